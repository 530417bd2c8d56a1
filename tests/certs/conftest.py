"""A folder for an authority, and a way to open TLS to a leaf of one."""

import contextlib
import datetime as dt
import ipaddress
import socket
import ssl

import pytest

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from codex_manager_certs.authority import Authority
from codex_manager_certs.certificates import make_leaf
from codex_manager_certs.leaf import Leaf
from codex_manager_certs.witness import Witness


HOST = "api.openai.com"
NOW = dt.datetime.now(dt.UTC)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "data" / "ca"


@pytest.fixture
def authority(folder):
    return Authority.open_or_make(folder, {HOST, "eu.api.openai.com"})


@pytest.fixture(scope="session")
def forge():
    """A leaf for any name or address, signed with the authority's own key and no questions asked."""

    def signed(authority: Authority, name: str) -> Leaf:
        active = authority.state.active
        certificate, key = make_leaf("x", active.certificate, active.key, NOW)
        try:
            alternative: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(name))
        except ValueError:
            alternative = x509.DNSName(name)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
            .issuer_name(certificate.issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(certificate.not_valid_before_utc)
            .not_valid_after(certificate.not_valid_after_utc)
            .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        )
        for extension in certificate.extensions:
            if not isinstance(extension.value, x509.SubjectAlternativeName):
                builder = builder.add_extension(extension.value, critical=extension.critical)
        return Leaf(name, builder.sign(active.key, hashes.SHA256()), key, active.certificate)

    return signed


@pytest.fixture
def serving():
    """Serve a leaf on a port of its own until the test ends."""
    with contextlib.ExitStack() as running:
        yield lambda leaf: running.enter_context(Witness(leaf)).port


@pytest.fixture
def believes(serving):
    """Whether a client with this context completes a handshake and a request with a server of this leaf."""

    def asked(context: ssl.SSLContext, leaf: Leaf, name: str | None = None) -> bool:
        with socket.create_connection(("127.0.0.1", serving(leaf)), timeout=5) as plain:
            try:
                with context.wrap_socket(plain, server_hostname=name or leaf.host) as secured:
                    secured.sendall(b"GET / HTTP/1.0\r\n\r\n")
                    return secured.recv(12) == b"HTTP/1.1 200"
            except ssl.SSLCertVerificationError:
                return False

    return asked


@pytest.fixture
def client():
    """A client's context that trusts one file, as strict as Python can be."""

    def made(file) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        context.load_verify_locations(cafile=file)
        return context

    return made
