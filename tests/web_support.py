"""`codex-manager web` for tests: the real process over a fake OpenAI, and a visitor who speaks HTTP to its page without any library's kindness."""

import contextlib
import http.client
import json
import re
import socket

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.support import Home, ProxyProcess, running_proxy, wait_for


XSRF = "0123456789abcdef"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Site:
    """The page of a running proxy."""

    proxy: ProxyProcess
    port: int
    token: str

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    @property
    def login(self) -> str:
        return f"{self.url}/codex/login?token={self.token}"

    @property
    def bearer(self) -> dict[str, str]:
        """What lets a program in, XSRF included."""
        return {
            "Authorization": f"Bearer {self.token}",
            "Cookie": f"_mitmproxy_xsrf={XSRF}",
            "X-XSRFToken": XSRF,
        }

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        """As whoever the headers say, or a program with the token; a body that is no bytes goes as JSON."""
        sent = dict(self.bearer if headers is None else headers)
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with contextlib.closing(connection):
            connection.request(method, path, body, sent)
            seen = connection.getresponse()
            return Answer(seen.status, seen.headers, seen.read())

    def form(self, path: str, values: dict[str, str], headers: dict[str, str] | None = None) -> Answer:
        """What a form of a page sends."""
        from urllib.parse import urlencode

        sent = {
            **self.bearer,
            "Content-Type": "application/x-www-form-urlencoded",
            "HX-Request": "true",
            **(headers or {}),
        }
        return self.ask("POST", path, urlencode(values).encode(), sent)

    def command(self, name: str, *arguments: str) -> Any:
        return self.ask("POST", f"/commands/{name}", {"arguments": list(arguments)}).json()


def raw(port: int, data: bytes, seconds: float = 10.0) -> bytes:
    """What comes back for these bytes, until the other side closes or `seconds` of silence have passed."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        client.settimeout(seconds)
        with contextlib.suppress(OSError):
            client.sendall(data)
            while piece := client.recv(65536):
                received += piece
    return received


FILLINGS = ("abc", "00000000-0000-0000-0000-000000000000", "0" * 32, "request", "raw", "1h")
"""For the groups of an address, the first that fits."""


def addresses() -> list[str]:
    """A path for each address of mitmweb's and of ours, WebSockets among them, files not."""
    from unittest.mock import MagicMock

    from mitmproxy.tools.web import app

    from codex_manager.proxy.web.routes import routes

    patterns = [str(rule[0]) for rule in (*app.handlers, *routes(MagicMock()))]
    paths = {_filled(pattern) for pattern in patterns if "/static/" not in pattern}
    return sorted(paths)


def _filled(pattern: str) -> str:
    path = pattern.replace(r"(?:\.json)?", "").replace("/?", "")
    while group := re.search(r"\((?:\?P<\w+>)?([^()]*)\)", path):
        filling = next(text for text in FILLINGS if re.fullmatch(group[1], text))
        path = path[: group.start()] + filling + path[group.end() :]
    assert re.fullmatch(pattern, path), f"no address for {pattern}: {path}"
    return path


DOOR = re.compile(r"url=http://([^:]+|\[[0-9a-f:]+\]):(\d+)/codex/login\?token=([0-9a-f]+)")


@contextlib.contextmanager
def running_web(home: Home, *arguments: str, browser: bool = False) -> Iterator[Site]:
    """`python -m codex_manager.proxy --web` and where its page is."""
    quiet = () if browser else ("--no-browser",)
    with running_proxy(home, "--web", "--web-bind", "127.0.0.1:0", *quiet, *arguments) as proxy:
        door = home.path / "web.html"
        assert wait_for(lambda: door.exists() and DOOR.search(door.read_text()), 20), proxy.said()
        found = DOOR.search(door.read_text())
        assert found is not None
        yield Site(proxy, int(found[2]), found[3])
