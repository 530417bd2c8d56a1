"""The page in front of a real runtime, in this process: no listener for clients, but everything else, over a real socket."""

import asyncio
import contextlib
import re

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from tests.support import MASTER_KEY, POLLING, make_home
from tornado import httpclient

from codex_manager.config.paths import Paths
from codex_manager.core.account import Account
from codex_manager.proxy.listener import Listener
from codex_manager.proxy.runtime import Runtime
from codex_manager.proxy.web.face import Face


__all__ = ["Visitor", "visiting"]

PATIENCE_S = 20.0
WEB = ("--web-bind", "127.0.0.1:0")


@dataclass
class Visitor:
    """Somebody with a browser: what it keeps and sends."""

    url: str
    paths: Paths
    runtime: Runtime
    face: Face
    cookies: dict[str, str] = field(default_factory=dict)

    @property
    def token(self) -> str:
        """What opens the page."""
        return self.face.master.token.secret.reveal()

    async def ask(
        self, path: str, form: Mapping[str, Any] | None = None, *, headers: Mapping[str, str] | None = None
    ) -> httpclient.HTTPResponse:
        """GET, or POST a form as htmx does; whatever the status."""
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        sent = {"Cookie": cookies, **(headers or {})}
        if form is not None:
            sent["X-XSRFToken"] = self.cookies.get("_mitmproxy_xsrf", "")
            sent["HX-Request"] = "true"
        answer = await httpclient.AsyncHTTPClient(force_instance=True).fetch(
            self.url + path,
            raise_error=False,
            method="GET" if form is None else "POST",
            body=None if form is None else urlencode(form, doseq=True),
            headers=sent,
            request_timeout=PATIENCE_S,
        )
        for line in answer.headers.get_list("Set-Cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value
        return answer

    async def text(self, path: str, form: Mapping[str, Any] | None = None, status: int = 200) -> str:
        """What is answered."""
        answer = await self.ask(path, form)
        assert answer.code == status, (answer.code, answer.body[:500])
        return answer.body.decode()


@contextlib.asynccontextmanager
async def visiting(
    paths: Paths, accounts: Sequence[Account] = (), config: str = "", environ: Mapping[str, str] | None = None
) -> AsyncIterator[Visitor]:
    """A visitor who has logged in."""
    make_home(paths.data_dir, accounts, config)
    known = {"CAM_MASTER_KEY": MASTER_KEY, POLLING: "false", **(environ or {})}
    runtime = Runtime.open(paths, known, options={"web.address": WEB, "web.open_browser": ("--no-browser", False)})
    face = Face(runtime, paths, known)
    face.attach(Listener(face.master, lambda context: None))  # type: ignore[arg-type, return-value]  # nobody connects
    try:
        bound = face.bind()
        await runtime.start(bound)
        face.serve("http://127.0.0.1:8080", ("127.0.0.1", 8080))
        await face.announce()
        door = (paths.data_dir / "web.html").read_text()
        found = re.search(r"url=(http://[^/]+)(/[^\"]+)\"", door)
        assert found
        visitor = Visitor(found[1], paths, runtime, face)
        await visitor.text(found[2])
        yield visitor
    finally:
        await face.close()
        await runtime.close()
        await asyncio.sleep(0)
