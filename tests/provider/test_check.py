"""What OpenAI says about a key, and every way of not hearing it."""

import datetime as dt
import ipaddress
import socket
import ssl
import threading
import time

import pytest

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from codex_manager.core.secret import Secret
from codex_manager.provider.check import Finding, check_key
from codex_manager.testing import FakeOpenAI, answers, blackhole, in_thread, refused_port


KEY = Secret("sk-checked-0123456789")


@pytest.fixture
def openai():
    with in_thread() as fake:
        fake.account(KEY.reveal(), "org-a", "proj-a")
        yield fake


@pytest.mark.parametrize(
    ("step", "finding"),
    [
        (answers.ok(), Finding("good", organization="org-a", project="proj-a")),
        (answers.forbidden(), Finding("good", "the key may not list models", "org-a")),
        (answers.invalid_key(), Finding("refused", "invalid_api_key")),
        (answers.deactivated(), Finding("refused", "account_deactivated")),
        (answers.raw(401, body=b"<html>"), Finding("refused", "401")),
        (answers.insufficient_quota(), Finding("limited", "insufficient_quota", "org-a")),
        (answers.rate_limited(retry_after=1), Finding("limited", "rate_limit_exceeded", "org-a")),
        (answers.payment_required(), Finding("limited", "billing_not_active", "org-a")),
        (answers.server_error(500), Finding("unknown", "status 500")),
        (answers.raw(302, [("location", "https://example.org")]), Finding("unknown", "status 302")),
        (answers.raw(404, body=b"nothing here"), Finding("unknown", "status 404")),
    ],
)
def test_the_verdict(step, finding, openai):
    openai.always(KEY.reveal(), step)
    found = check_key(openai.base_url, KEY)
    assert (found.verdict, found.detail) == (finding.verdict, finding.detail)
    assert found.organization in {finding.organization, None}
    assert len(openai.log) == 1  # no redirect is followed, nothing is tried twice


def test_nothing_said_is_from_the_key_or_in_openais_words(openai):
    """OpenAI quotes the first and last characters of a wrong key in its message."""
    found = check_key(openai.base_url, Secret("sk-unknown-0123456789"))
    assert found == Finding("refused", "invalid_api_key")


def test_a_refused_connection_is_unknown():
    with refused_port() as port:
        assert check_key(f"http://127.0.0.1:{port}", KEY) == Finding("unknown", "connection refused")


def test_a_server_that_never_answers_ends_after_the_time_given():
    with blackhole() as port:
        before = time.monotonic()
        found = check_key(f"http://127.0.0.1:{port}", KEY, timeout_s=0.3)
        assert time.monotonic() - before < 1.5
    assert found.verdict == "unknown"
    assert "no answer" in found.detail


@pytest.mark.parametrize(
    "answer",
    [b"hello\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Le", b"", b"HTTP/1.1 99999 X\r\n\r\n"],
    ids=["no http", "cut", "closed", "status"],
)
def test_an_answer_that_is_no_http_is_unknown(answer):
    with one_answer(answer) as port:
        assert check_key(f"http://127.0.0.1:{port}", KEY, timeout_s=2).verdict in {"unknown", "good"}


def test_a_name_that_does_not_resolve_is_unknown():
    assert check_key("https://name.invalid", KEY).verdict == "unknown"


class one_answer:
    """A port that reads one request, says these bytes and hangs up."""

    def __init__(self, answer):
        self.answer, self.heard = answer, b""

    def __enter__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.socket.settimeout(5)
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()
        return self.socket.getsockname()[1]

    def _serve(self):
        connection, _ = self.socket.accept()
        with connection:
            connection.settimeout(5)
            self.heard = connection.recv(65536)
            connection.sendall(self.answer)

    def __exit__(self, *_):
        self.thread.join(5)
        self.socket.close()


# TLS -----------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """A self-signed certificate for 127.0.0.1 and its key."""
    folder = tmp_path_factory.mktemp("authority")
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([]), dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=True)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "ca.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder


@pytest.fixture
def openai_tls(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority / "ca.pem", authority / "key.pem")
    with in_thread(FakeOpenAI(ssl_context=context)) as fake:
        fake.account(KEY.reveal(), "org-a", "proj-a")
        yield fake


def test_a_certificate_nobody_vouches_for_gets_no_key(openai_tls, authority, monkeypatch):
    """Not even when the session says so: SSL_CERT_FILE is for clients of ours."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority / "ca.pem"))
    found = check_key(openai_tls.base_url, KEY)
    assert found.verdict == "unknown"
    assert found.detail.startswith("its certificate is not trusted")
    assert openai_tls.log == []


def test_the_configured_ca_file_is_trusted(openai_tls, authority):
    assert check_key(openai_tls.base_url, KEY, ca_file=str(authority / "ca.pem")) == Finding(
        "good", organization="org-a", project="proj-a"
    )


def test_a_ca_file_that_cannot_be_used_is_unknown(openai_tls, tmp_path):
    assert check_key(openai_tls.base_url, KEY, ca_file=str(tmp_path / "none.pem")).verdict == "unknown"


def test_proxies_of_the_environment_are_not_used(openai_tls, authority, monkeypatch):
    with refused_port() as port:
        for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "HTTP_PROXY", "http_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
        assert check_key(openai_tls.base_url, KEY, ca_file=str(authority / "ca.pem")).verdict == "good"


def test_the_configured_proxy_is_used_with_its_login_and_never_sees_the_key(openai_tls, authority):
    with one_answer(b"HTTP/1.1 403 no\r\n\r\n") as port:
        proxy = f"http://user:p%40ss@127.0.0.1:{port}"
        refused = check_key(openai_tls.base_url, KEY, ca_file=str(authority / "ca.pem"), proxy=proxy)
    assert refused.verdict == "unknown"
    assert openai_tls.log == []
    with tunnel(openai_tls.port) as way:
        found = check_key(
            openai_tls.base_url,
            KEY,
            ca_file=str(authority / "ca.pem"),
            proxy=f"http://user:p%40ss@127.0.0.1:{way.port}",
        )
    assert found.verdict == "good"
    assert way.head.startswith(f"CONNECT 127.0.0.1:{openai_tls.port} ".encode())
    assert b"Proxy-Authorization: Basic dXNlcjpwQHNz" in way.head
    assert KEY.reveal().encode() not in way.head


def test_a_proxy_the_check_cannot_speak_to_is_said(openai_tls):
    found = check_key(openai_tls.base_url, KEY, proxy="https://proxy.example.org:8443")
    assert found == Finding("unknown", "this check cannot speak to an https:// upstream.proxy")


class tunnel:
    """A proxy that carries one CONNECT."""

    def __init__(self, target_port):
        self.target_port, self.head = target_port, b""

    def __enter__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.socket.settimeout(5)
        self.port = self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()
        return self

    def _serve(self):
        client, _ = self.socket.accept()
        with client, socket.create_connection(("127.0.0.1", self.target_port), timeout=5) as target:
            client.settimeout(5)
            while b"\r\n\r\n" not in self.head:
                self.head += client.recv(65536)
            client.sendall(b"HTTP/1.1 200 ok\r\n\r\n")
            back = threading.Thread(target=self._pump, args=(target, client), daemon=True)
            back.start()
            self._pump(client, target)
            back.join(5)

    def _pump(self, source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def __exit__(self, *_):
        self.thread.join(5)
        self.socket.close()
