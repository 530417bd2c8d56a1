"""What a server needs to be believed for one host: a certificate and its key, in memory."""

import datetime as dt
import os
import secrets
import ssl
import tempfile

from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec


__all__ = ["Leaf"]


@dataclass(frozen=True, slots=True)
class Leaf:
    """A certificate for one host, signed by the authority. The key never touches a disk in clear text."""

    host: str
    certificate: x509.Certificate
    private_key: ec.EllipticCurvePrivateKey = field(repr=False)
    issuer: x509.Certificate
    """The authority's certificate, which clients have; there is nothing between the two."""

    @property
    def expires_at(self) -> dt.datetime:
        return self.certificate.not_valid_after_utc

    @property
    def cert_chain_pem(self) -> bytes:
        """What a server sends: the certificate; clients have its issuer."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The key in clear text; keep it in memory."""
        return self.private_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def server_context(self, alpn: tuple[str, ...] = ("http/1.1",)) -> ssl.SSLContext:
        """For servers of the standard library, whose `ssl` reads keys from files only.

        The file is encrypted under a password that nobody keeps, in a folder of its own, and gone on return.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(list(alpn))
        password = secrets.token_bytes(32).hex().encode()
        sealed = self.private_key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(password),
        )
        with tempfile.TemporaryDirectory(prefix="codex-manager-") as folder:
            path = Path(folder) / "leaf.pem"
            handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(sealed + self.cert_chain_pem)
            context.load_cert_chain(path, password=password)
        return context
