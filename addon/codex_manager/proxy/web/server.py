"""The web server: mitmweb's application with a guard in front of every page, and our pages beside its own.

Knows tornado and mitmweb's application. Law: answers only to names of this machine (a page of another site that was
rebound to our address is refused before it is known what it asks for); neither logs nor errors repeat an address bar, which may
hold the token; bound to loopback only.
"""

import logging
import socket
import traceback

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from mitmproxy.tools.web import app
from tornado import httpserver, httputil, netutil, routing, web

from codex_manager.config.address import Address
from codex_manager.core.errors import CodexManagerError
from codex_manager.proxy.web import guard


if TYPE_CHECKING:
    from tornado import http1connection

__all__ = ["OWN_PREFIX", "WebServer", "WebServerError"]

log = logging.getLogger(__name__)

OWN_PREFIX = "/codex"
LEFT_OUT = frozenset({r"/processes", r"/executable-icon"})
"""Pages of mitmweb that read this machine's programs, for a way of capturing that we have not."""
FILES = ("/static/", "/codex/static/", "/favicon.ico")
"""Nothing in them is anybody's."""
IDLE_S = 3600.0
BODY_S = 120.0
"""What sending a body may take."""
MOST_TOLD = 64 * 1024
"""Bytes of a message from a page to us; they only name filters."""


class WebServerError(CodexManagerError):
    """The page cannot be served there."""


class _Guarded(app.Application):
    """mitmweb's application; what `guard` refuses reaches none of its handlers."""

    def find_handler(self, request: httputil.HTTPServerRequest, **kwargs: Any) -> Any:
        """Called when the head of a request is there, before its body is read."""
        sentence = guard.refusal(request)
        known = sentence is None and self._knows(request)
        cast("http1connection.HTTP1Connection", request.connection).set_max_body_size(
            guard.most_body(request.path, known=known)
        )
        if sentence is not None:
            return self.get_handler_delegate(request, _Refused, {"sentence": sentence})
        if request.path in LEFT_OUT:
            return self.get_handler_delegate(request, web.ErrorHandler, {"status_code": 404})
        return super().find_handler(request, **kwargs)

    def _knows(self, request: httputil.HTTPServerRequest) -> bool:
        """Whether the request comes from a holder of the token; what it may do is for the pages to ask again."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme == "Bearer" and self.settings["is_valid_password"](token):
            return True
        name = self.settings["auth_cookie_name"]()
        cookie = request.cookies.get(name)
        value = cookie and web.decode_signed_value(self.settings["cookie_secret"], name, cookie.value, min_version=2)
        return value == app.AuthRequestHandler.AUTH_COOKIE_VALUE


class _Refused(web.RequestHandler):
    """What a request gets that no page may be asked for."""

    def initialize(self, sentence: str) -> None:
        self._sentence = sentence

    def prepare(self) -> None:
        self.set_status(403)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(f"{self._sentence}\n")


class _Narrow(web.OutputTransform):
    """The headers that hold for everything, mitmweb's pages and errors included."""

    def __init__(self, request: httputil.HTTPServerRequest) -> None:
        self._file = request.path.startswith(FILES)
        self._socket = f"ws://{request.host}"

    def transform_first_chunk(
        self,
        status_code: int,
        headers: httputil.HTTPHeaders,
        chunk: bytes,
        finishing: bool,  # noqa: ARG002 - tornado's
    ) -> tuple[int, httputil.HTTPHeaders, bytes]:
        """Conversations are kept by no browser; no address with a token in it is told to another site."""
        headers["Server"] = "codex-manager"
        headers["Referrer-Policy"] = "no-referrer"
        headers["X-Content-Type-Options"] = "nosniff"
        headers["X-Frame-Options"] = "DENY"
        headers["Cross-Origin-Resource-Policy"] = "same-origin"
        if not self._file:
            headers["Cache-Control"] = "no-store"
        policy = headers.get("Content-Security-Policy", "default-src 'none'")
        policy = policy.replace("'self' ws:;", f"'self' {self._socket};")  # mitmweb's allows any host
        if "frame-ancestors" not in policy:
            policy += "; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
        headers["Content-Security-Policy"] = policy
        return status_code, headers, chunk


class WebServer:
    """`add` handlers, `bind`, `serve`; `close` at the end."""

    def __init__(self, master: Any) -> None:
        self.application = _Guarded(master, debug=False)
        self.application.settings |= {"log_function": _not_logged, "websocket_max_message_size": MOST_TOLD}
        self.application.transforms.append(_Narrow)
        self._sockets: list[socket.socket] = []
        self._server: httpserver.HTTPServer | None = None
        _quiet_tornado()

    def add(self, handlers: Sequence[Any]) -> None:
        """Serve these before mitmweb's own."""
        self.application.add_handlers(r".*", [routing.Rule(routing.PathMatches(h[0]), *h[1:]) for h in handlers])

    def bind(self, address: Address) -> tuple[tuple[str, int], ...]:
        """Take the address; nobody is answered yet. Where it is bound.

        Raises:
            WebServerError: the address is taken, or not one of this machine's own.
        """
        try:
            self._sockets = netutil.bind_sockets(address.port, address.host)
        except OSError as error:
            raise WebServerError(
                f"the page cannot be served at {address}: {(error.strerror or type(error).__name__).lower()}",
                hint=f"choose another: `codex-manager web --web-bind {Address(address.host, address.port + 1)}`",
            ) from error
        return tuple((name[0], name[1]) for sock in self._sockets for name in [sock.getsockname()])

    def serve(self) -> None:
        """From now on answer."""
        self._server = httpserver.HTTPServer(
            self.application,
            max_buffer_size=guard.MOST_UPLOAD,
            max_body_size=guard.MOST_UPLOAD,
            idle_connection_timeout=IDLE_S,
            body_timeout=BODY_S,
        )
        self._server.add_sockets(self._sockets)
        self._sockets = []

    async def close(self) -> None:
        """Stop, whoever is connected."""
        for sock in self._sockets:
            sock.close()
        server, self._server = self._server, None
        if server is not None:
            server.stop()
            await server.close_all_connections()


def _not_logged(handler: web.RequestHandler) -> None:
    """Addresses may hold the token."""


class _Scrubbed(logging.Filter):
    """Tornado's records of failures, without the request they quote."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            places = [
                f"{f.filename.rpartition('/')[2]}:{f.lineno}" for f in traceback.extract_tb(error.__traceback__)[-3:]
            ]
            record.msg, record.args = f"a page failed: {type(error).__name__} at {' < '.join(reversed(places))}", ()
            record.exc_info = record.exc_text = None
            return True
        return record.levelno >= logging.ERROR and not record.args


_SCRUBBED = _Scrubbed()


def _quiet_tornado() -> None:
    for name in ("tornado.application", "tornado.general", "tornado.access"):
        logging.getLogger(name).addFilter(_SCRUBBED)
