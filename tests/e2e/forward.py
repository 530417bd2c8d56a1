"""A fake OpenAI over TLS, the real proxy in front of it, and raw clients that come by CONNECT."""

import contextlib
import socket
import ssl
import time

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import h2.exceptions

from tests.support import LOCAL_KEY, Home, ProxyProcess

from codex_manager.testing import FakeOpenAI, in_thread
from codex_manager_certs.authority import Authority


HOST = "api.openai.com"
CHAT = b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"hi"}]}'


@dataclass
class Theirs:
    """A TLS server of somebody else's on `localhost`, with an authority of its own."""

    authority: Authority

    @property
    def ca_file(self) -> Path:
        return self.authority.certificate_file

    def context(self) -> ssl.SSLContext:
        return self.authority.leaf("localhost").server_context()


@contextlib.contextmanager
def tls_fake(folder: Path) -> Iterator[tuple[FakeOpenAI, Theirs, str]]:
    """The fake, whom to trust for it, and its base URL."""
    theirs = Theirs(Authority.open_or_make(folder, {"localhost"}))
    with in_thread(FakeOpenAI(ssl_context=theirs.context())) as fake:
        yield fake, theirs, f"https://localhost:{fake.port}"


def ca_of(home: Home) -> Path:
    return home.path / "ca" / "ca.pem"


def trust(home: Home, *alpn: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca_of(home))
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


def connect(proxy: ProxyProcess, authority: str = f"{HOST}:443", timeout: float = 10) -> socket.socket:
    """A connection that stands."""
    link = socket.create_connection(("127.0.0.1", proxy.port), timeout=timeout)
    link.sendall(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        piece = link.recv(1)
        assert piece, head
        head += piece
    if b" 200 " not in head:
        said = everything(link, 2)
        link.close()
        raise AssertionError((head + said).decode())
    return link


def secure(proxy: ProxyProcess, home: Home, *alpn: str, timeout: float = 10) -> ssl.SSLSocket:
    """TLS inside."""
    return trust(home, *alpn).wrap_socket(connect(proxy, timeout=timeout), server_hostname=HOST)


def request(key: str = LOCAL_KEY, body: bytes = CHAT, *lines: str) -> bytes:
    head = [
        "POST /v1/chat/completions HTTP/1.1", f"Host: {HOST}", f"Authorization: Bearer {key}",
        "Content-Type: application/json", f"Content-Length: {len(body)}", *lines, "", "",
    ]  # fmt: skip
    return "\r\n".join(head).encode() + body


def everything(link: socket.socket, seconds: float) -> bytes:
    """What comes until the other end closes or falls silent."""
    received, deadline = b"", time.monotonic() + seconds
    with contextlib.suppress(TimeoutError, OSError):
        while (left := deadline - time.monotonic()) > 0:
            link.settimeout(left)
            piece = link.recv(65536)
            if not piece:
                break
            received += piece
            if received.count(b"\r\n\r\n") and _whole(received):
                break
    return received


def _whole(answer: bytes) -> bool:
    head, _, body = answer.partition(b"\r\n\r\n")
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return len(body) >= int(value)
    return False


class H2:
    """A blocking HTTP/2 client that sends what it is told, valid or not."""

    def __init__(self, link: ssl.SSLSocket) -> None:
        self.link = link
        self.h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(
                client_side=True,
                header_encoding=False,
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
            )
        )
        self.h2.initiate_connection()
        self.flush()

    def flush(self) -> None:
        self.link.sendall(self.h2.data_to_send())

    def send(self, headers: list[tuple[bytes, bytes]], body: bytes | None = CHAT) -> int:
        stream = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream, headers, end_stream=body is None)
        if body is not None:
            self.h2.send_data(stream, body, end_stream=True)
        self.flush()
        return stream

    def status(self, stream: int, seconds: float = 5) -> int | str:
        """The status of a stream's answer, or how it ended without one."""
        deadline, found = time.monotonic() + seconds, 0
        try:
            while (left := deadline - time.monotonic()) > 0:
                self.link.settimeout(left)
                data = self.link.recv(65536)
                if not data:
                    return "closed"
                for event in self.h2.receive_data(data):
                    if isinstance(event, h2.events.ConnectionTerminated):
                        return "goaway"
                    if getattr(event, "stream_id", None) != stream:
                        continue
                    if isinstance(event, h2.events.ResponseReceived):
                        found = int(dict(event.headers)[b":status"])
                    elif isinstance(event, h2.events.StreamReset):
                        return found or "reset"
                    elif isinstance(event, h2.events.StreamEnded):
                        return found
                self.flush()
        except TimeoutError:
            return "silent"
        except (OSError, h2.exceptions.ProtocolError):
            return "closed"
        return "silent"


def pseudo(path: bytes = b"/v1/chat/completions", method: bytes = b"POST") -> list[tuple[bytes, bytes]]:
    return [(b":method", method), (b":scheme", b"https"), (b":authority", HOST.encode()), (b":path", path)]


def authorized(*extra: tuple[bytes, bytes], path: bytes = b"/v1/chat/completions", method: bytes = b"POST"):
    return [
        *pseudo(path, method),
        (b"authorization", f"Bearer {LOCAL_KEY}".encode()),
        (b"content-type", b"application/json"),
        *extra,
    ]
