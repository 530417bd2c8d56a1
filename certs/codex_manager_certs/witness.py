"""A server that sees for itself whether a client believes our authority.

It is a proxy for one CONNECT and the TLS server behind it in one, on loopback; a client may also begin TLS at once.
Law: a client believes us when a request of its came through TLS, for some look at the certificate only after the
handshake. What it said when it does not is kept in its own words. Nothing of a request is kept.
"""

import contextlib
import re
import socket
import ssl
import threading

from collections.abc import Callable
from types import TracebackType
from typing import Self

from codex_manager_certs.leaf import Leaf


__all__ = ["Witness"]

_PATIENCE = 20.0
"""Seconds for any one step of a client."""
_CONNECT = re.compile(rb"CONNECT ([^ :]+):\d+ HTTP/1\.[01]\r\n")
_LONGEST_HEAD = 16 * 1024
_TLS_HANDSHAKE = 0x16
"""First byte of a ClientHello (RFC 8446, 5.1)."""
_ANSWER = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 27\r\nconnection: close\r\n\r\n"
    b'{"object":"list","data":[]}'
)


class Witness:
    """A listener for one client. `believed` is set when it believes; `complaint` is what it said otherwise."""

    def __init__(self, leaf: Leaf) -> None:
        self.believed = threading.Event()
        self.refused = threading.Event()
        self.complaint: str | None = None
        self._host = leaf.host
        self._context = leaf.server_context()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _close(self._listener)
        for connection in list(self._open):
            _close(connection)
        for thread in self._threads:
            thread.join(_PATIENCE)

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # closed: the end
                return
            connection.settimeout(_PATIENCE)
            self._open.add(connection)
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        try:
            if self._is_for_us(connection):
                with self._context.wrap_socket(connection, server_side=True) as secured:
                    if secured.recv(4096):
                        self.believed.set()
                        secured.sendall(_ANSWER)
        except ssl.SSLError as error:
            said = (error.reason or str(error)).lower().replace("_", " ")
            self.complaint = "it hung up in the handshake" if "eof" in said else said
            self.refused.set()
        except OSError:
            return  # it went away, or said nothing in time: neither believes nor refuses
        finally:
            self._open.discard(connection)
            _close(connection)

    def _is_for_us(self, connection: socket.socket) -> bool:
        """Whether TLS for our host comes next; other hosts that a client asks for are refused."""
        first = connection.recv(1, socket.MSG_PEEK)
        if not first or first[0] == _TLS_HANDSHAKE:
            return bool(first)
        head = b""
        while b"\r\n\r\n" not in head and len(head) < _LONGEST_HEAD:
            data = connection.recv(4096)
            if not data:
                return False
            head += data
        asked = _CONNECT.match(head)
        if asked is None or asked[1].decode("ascii", "replace").lower() != self._host:
            connection.sendall(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            return False
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        return True


def _close(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # never connected, or closed by its other end
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
