"""The way of our own questions to OpenAI: `GET` and nothing else, over one connection, by the standard library.

The one place that opens a connection for a question about an account; knows no path and no answer of OpenAI's.
Law: a key goes to the given base URL and nowhere else (no redirect is followed, no proxy of the environment is used);
every question has an end that neither a name server nor a server that trickles bytes can put off; what is read is
bounded; nothing here puts a key, an address or the other side's words into an error.
"""

import base64
import contextlib
import functools
import http.client
import queue
import socket
import ssl
import threading
import time

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import SplitResult, unquote, urlencode, urlsplit

from codex_manager import __version__
from codex_manager.core.secret import Secret
from codex_manager_certs.trust import TrustError, upstream_context


__all__ = ["BODY_MAX", "Line", "Reply", "Way", "reason", "within"]

BODY_MAX = 4 << 20
"""Bytes read of an answer; a month of costs by line item is some hundred kB."""
PIECE = 65_536

type Parameters = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Way:
    """How the upstream is reached. Make one and use it often: reading the system's roots takes milliseconds."""

    base_url: str
    """With or without a path, never with `/v1`."""
    ca_file: str | None = None
    """Trusted besides the system's roots."""
    proxy: str | None = None
    """`http://` proxy that https connections are tunnelled through."""

    @functools.cached_property
    def _context(self) -> ssl.SSLContext:
        return upstream_context(Path(self.ca_file) if self.ca_file is not None else None)

    def connection(self, timeout_s: float) -> http.client.HTTPConnection:
        """Not yet connected.

        Raises:
            TrustError: `ca_file` cannot be used.
            NotImplementedError: the proxy cannot be spoken to.
        """
        url = urlsplit(self.base_url)
        host = url.hostname or ""
        if url.scheme == "http":  # this machine itself (see config.address): never by way of a proxy
            return http.client.HTTPConnection(host, url.port or 80, timeout=timeout_s)
        if self.proxy is None:
            return http.client.HTTPSConnection(host, url.port or 443, timeout=timeout_s, context=self._context)
        way = urlsplit(self.proxy)
        if way.scheme != "http":
            raise NotImplementedError("this check cannot speak to an https:// upstream.proxy")
        connection = http.client.HTTPSConnection(
            way.hostname or "", way.port or 80, timeout=timeout_s, context=self._context
        )
        connection.set_tunnel(host, url.port or 443, headers=_proxy_login(way))
        return connection


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, whatever its status."""

    status: int
    headers: Mapping[str, str]
    """By lower-case name, the first of equal names."""
    body: bytes
    """At most `BODY_MAX`; a longer one is cut."""

    def header(self, name: str) -> str | None:
        """A header that can be shown; None where there is none."""
        value = self.headers.get(name)
        return value if value and value.isprintable() and len(value) <= 200 else None


class Line:
    """One connection, kept for several questions. The mutable state is the connection and whether it was used."""

    def __init__(self, way: Way, *, timeout_s: float) -> None:
        self._way = way
        self._timeout_s = timeout_s
        """Seconds for each question."""
        self._connection: http.client.HTTPConnection | None = None
        self._closed = False

    def get(
        self,
        path: str,
        key: Secret,
        *,
        parameters: Parameters = (),
        headers: Mapping[str, str] | None = None,
        full: bool = True,
    ) -> Reply:
        """Ask `path` (from `/v1` on) with a key; without `full` a 200 is enough and its body is not read.

        Raises:
            TimeoutError, OSError, http.client.HTTPException, TrustError, NotImplementedError: see `reason`.
        """
        target = (
            urlsplit(self._way.base_url).path.rstrip("/") + path + (f"?{urlencode(parameters)}" if parameters else "")
        )
        sent = {
            "Authorization": f"Bearer {key.reveal()}",
            "Accept": "application/json",
            "User-Agent": f"codex-manager/{__version__}",
            **(headers or {}),
        }
        deadline = time.monotonic() + self._timeout_s
        again = self._connection is not None
        try:
            return self._ask(target, sent, deadline, full)
        except (http.client.RemoteDisconnected, ConnectionError):
            self._drop()
            if not again:
                raise
            return self._ask(target, sent, deadline, full)  # a kept connection that the other side had given up

    def _ask(self, target: str, headers: Mapping[str, str], deadline: float, full: bool) -> Reply:
        if self._closed:
            raise TimeoutError
        if self._connection is None:
            self._connection = self._way.connection(max(deadline - time.monotonic(), 0.01))
        connection = self._connection
        try:
            connection.request("GET", target, headers=dict(headers))
            if connection.sock is not None:
                connection.sock.settimeout(max(deadline - time.monotonic(), 0.01))
            with connection.getresponse() as response:
                found: dict[str, str] = {}
                for name, value in response.getheaders():
                    found.setdefault(name.lower(), value)
                body = bytearray()
                wanted = full or response.status != 200
                while wanted and len(body) <= BODY_MAX and (piece := response.read1(PIECE)):
                    body += piece
                    if time.monotonic() > deadline:
                        raise TimeoutError
                over = not (response.isclosed() or response.length == 0)  # 3.12 closes late
                reply = Reply(response.status, found, bytes(body[:BODY_MAX]))
        except BaseException:
            self._drop()
            raise
        if over:
            self._drop()
        return reply

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def close(self) -> None:
        """End it, from any thread: who waits for an answer on it gets an error."""
        self._closed = True
        connection = self._connection
        sock = connection.sock if connection is not None else None
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self._drop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def within[T](seconds: float, work: Callable[[], T], *, name: str, give_up: Callable[[], None] | None = None) -> T:
    """What `work` returns, in a thread of its own, because not every wait knows about our seconds.

    Raises:
        TimeoutError: it took longer; it goes on unheard, unless `give_up` can end it.
    """
    answers: queue.Queue[tuple[T | None, Exception | None]] = queue.Queue()

    def run() -> None:
        try:
            answers.put((work(), None))
        except Exception as error:  # noqa: BLE001 - a thread's end; told to the waiting side, which names it
            answers.put((None, error))

    threading.Thread(target=run, name=name, daemon=True).start()
    try:
        result, failure = answers.get(timeout=seconds)
    except queue.Empty:
        if give_up is not None:
            give_up()
        raise TimeoutError(f"no answer within {seconds:g} s") from None
    if failure is not None:
        raise failure
    return result  # type: ignore[return-value]  # None only where work() returned it


def reason(error: Exception) -> str:
    """Why nothing can be said, in words without the address or the key."""
    match error:
        case TimeoutError():
            return str(error) if str(error).startswith("no answer within") else "no answer in time"
        case ssl.SSLCertVerificationError():
            return f"its certificate is not trusted: {error.verify_message}"
        case ConnectionRefusedError():
            return "connection refused"
        case NotImplementedError() | TrustError():
            return str(error)
        case OSError():
            return (error.strerror or type(error).__name__).lower()
        case _:
            return f"the answer was not understood ({type(error).__name__})"


def _proxy_login(way: SplitResult) -> dict[str, str]:
    """What a proxy URL's user name and password become (RFC 7617)."""
    if way.username is None:
        return {}
    pair = f"{unquote(way.username)}:{unquote(way.password or '')}"
    return {"Proxy-Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
