"""The system's roots: which certificate authorities this machine trusts by itself.

Law: found where the system keeps them, never where a variable of the session points; and never ours. Who installed our
authority into the system's store (`certs trust --install`) wants *clients* to believe it; on our own way to OpenAI it
would let whoever has its key stand in for OpenAI.
"""

import re
import ssl
import sys

from binascii import Error as Base64Error
from pathlib import Path


__all__ = ["BUNDLES", "MARK", "certificates_in", "system_roots"]

MARK = "codex-manager local authority"
"""Organization of every authority of ours, by which it is known again among others."""

BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch, Alpine
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/ssl/cert.pem",  # macOS, FreeBSD, OpenBSD
)
"""Where systems keep their roots (the list Go's crypto/x509 uses), for a Python whose own OpenSSL looks elsewhere."""
_BLOCK = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_SERVERS = "1.3.6.1.5.5.7.3.1"
"""Server authentication, as the Windows store writes what a root is trusted for."""


def system_roots() -> list[bytes]:
    """Every root in DER, each once, in the system's order; certifi's on a platform that has none, such as a slim container."""
    found = _of_windows() if sys.platform == "win32" else _of_files()
    if not found:
        import certifi

        found = certificates_in(Path(certifi.where()).read_bytes())
    return list(dict.fromkeys(der for der in found if MARK.encode() not in der))


def certificates_in(content: bytes) -> list[bytes]:
    """The certificates of a PEM file in DER; blocks that are none are left out."""
    found = []
    for block in _BLOCK.findall(content):
        try:
            found.append(ssl.PEM_cert_to_DER_cert(block.decode("ascii", "replace")))
        except (ValueError, Base64Error):
            continue  # a broken block is one root fewer, as in OpenSSL's own loader of folders
    return found


def _of_files() -> list[bytes]:
    compiled = ssl.get_default_verify_paths()  # the `openssl_` fields are those no variable can move
    for name in (compiled.openssl_cafile, *BUNDLES):
        if found := certificates_in(_content(Path(name))):
            return found
    try:
        inside = sorted({path.resolve() for path in Path(compiled.openssl_capath).iterdir()})
    except OSError:
        return []
    return [der for path in inside for der in certificates_in(_content(path))]


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _of_windows() -> list[bytes]:
    if sys.platform != "win32":  # for the type checker, which knows `enum_certificates` on Windows only
        return []
    return [
        certificate
        for store in ("ROOT", "CA")
        for certificate, encoding, trust in ssl.enum_certificates(store)
        if encoding == "x509_asn" and (trust is True or _SERVERS in trust)
    ]
