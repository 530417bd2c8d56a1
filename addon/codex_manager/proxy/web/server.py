"""The web server: mitmweb's application with a guard in front of every page, and our pages beside its own.

Knows tornado and mitmweb's application. Law: answers only to names of this machine (a page of another site that was
rebound to our address is refused before it is known what it asks for); neither logs nor errors repeat an address bar, which may
hold the token; bound to loopback only.
"""

import logging
import socket
import traceback

from collections.abc import Sequence
from typing import Any

from mitmproxy.tools.web import app
from tornado import httpserver, httputil, netutil, routing, web

from codex_manager.config.address import Address, is_loopback
from codex_manager.core.errors import CodexManagerError


__all__ = ["OWN_PREFIX", "WebServer", "WebServerError", "is_local_name"]

log = logging.getLogger(__name__)

OWN_PREFIX = "/codex"
LEFT_OUT = frozenset({r"/processes", r"/executable-icon"})
"""Pages of mitmweb that read this machine's programs, for a way of capturing that we have not."""
MOST_BODY = 64 * 1024 * 1024  # bytes; mitmweb allows 4 GiB, for opening dumps
IDLE_S = 3600.0


class WebServerError(CodexManagerError):
    """The page cannot be served there."""


def is_local_name(host: str) -> bool:
    """Whether a Host header names this machine: `localhost` or a loopback address, with any port."""
    name = host.strip()
    if name.startswith("["):
        name = name[1:].partition("]")[0]
    elif name.count(":") <= 1:
        name = name.partition(":")[0]
    return is_loopback(name)


class _Guarded(app.Application):
    """mitmweb's application; requests under a foreign name reach none of its handlers."""

    def find_handler(self, request: httputil.HTTPServerRequest, **kwargs: Any) -> Any:
        hosts = request.headers.get_list("Host")
        if len(hosts) != 1 or not is_local_name(hosts[0]):
            return self.get_handler_delegate(request, _Refused)
        if request.path in LEFT_OUT:
            return self.get_handler_delegate(request, web.ErrorHandler, {"status_code": 404})
        return super().find_handler(request, **kwargs)


class _Refused(web.RequestHandler):
    """What a request under another name gets."""

    def prepare(self) -> None:
        self.set_status(403)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish("codex-manager's page is reached as localhost or 127.0.0.1 only.\n")


class WebServer:
    """`add` handlers, `bind`, `serve`; `close` at the end."""

    def __init__(self, master: Any) -> None:
        self.application = _Guarded(master, debug=False)
        self.application.settings["log_function"] = _not_logged
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
            self.application, max_body_size=MOST_BODY, max_buffer_size=MOST_BODY, idle_connection_timeout=IDLE_S
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
