"""Upstreams are verified against the system's roots and the user's `ca_file`, whatever the session says."""

import datetime as dt
import ipaddress
import socket
import ssl
import threading

import pytest

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from codex_manager_certs.trust import IGNORED_VARIABLES, TrustError, upstream_context


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """A self-signed certificate for localhost and 127.0.0.1, as two PEM files."""
    folder = tmp_path_factory.mktemp("authority")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a company")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName(
                [
                    x509.DNSName("localhost"),
                    x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
                ]
            ),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "ca.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder


@pytest.fixture
def server(authority):
    """A TLS server that completes one handshake after another; yields its port, and takes a version limit."""
    servers = []

    def start(maximum=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(authority / "ca.pem", authority / "key.pem")
        if maximum:
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = maximum
        listener = socket.create_server(("127.0.0.1", 0))
        listener.settimeout(5)

        def serve():
            try:
                connection, _ = listener.accept()
                with connection:
                    connection.settimeout(5)
                    with context.wrap_socket(connection, server_side=True) as secured:
                        secured.recv(1)
            except OSError:
                return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        servers.append((listener, thread))
        return listener.getsockname()[1]

    yield start
    for listener, thread in servers:
        thread.join(6)
        listener.close()


def handshake(context: ssl.SSLContext, port: int, name: str = "localhost") -> str | None:
    with (
        socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname=name) as secured,
    ):
        secured.sendall(b"x")
        return secured.version()


def test_a_stranger_is_refused(server):
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(upstream_context(), server())


def test_the_users_authority_is_added(server, authority):
    assert handshake(upstream_context(authority / "ca.pem"), server()) == "TLSv1.3"


def test_a_right_chain_for_a_wrong_name_is_refused(server, authority):
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        handshake(upstream_context(authority / "ca.pem"), server(), name="api.openai.com")


def test_tls_1_1_is_refused(server, authority):
    with pytest.raises(ssl.SSLError), pytest.warns(DeprecationWarning, match="TLSv1"):
        handshake(upstream_context(authority / "ca.pem"), server(maximum=ssl.TLSVersion.TLSv1_1))


def test_the_session_cannot_add_an_authority(server, authority, monkeypatch):
    """A proxy started in a shell that trusts our own authority still asks for OpenAI's real one."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(authority))
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(upstream_context(), server())


def test_the_session_cannot_take_the_systems_roots_away(monkeypatch, tmp_path):
    before = upstream_context().cert_store_stats()
    for name in IGNORED_VARIABLES:
        monkeypatch.setenv(name, str(tmp_path / "nothing"))
    assert upstream_context().cert_store_stats() == before


def test_the_users_authority_adds_to_the_systems(authority):
    before = upstream_context().cert_store_stats()["x509"]
    assert upstream_context(authority / "ca.pem").cert_store_stats()["x509"] == before + 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read: no such file"),
        (b"", "no PEM"),
        (b"not a certificate", "no PEM"),
        ("folder", "CERT|directory|PEM"),
    ],
)
def test_a_bad_ca_file_is_one_sentence_with_its_cure(tmp_path, content, said):
    path = tmp_path / "ca.pem"
    if content == "folder":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(TrustError, match=said) as error:
        upstream_context(path)
    assert str(path) in str(error.value)
    assert "upstream.ca_file" in (error.value.hint or "")
