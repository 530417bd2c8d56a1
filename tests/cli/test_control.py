"""Asking the running proxy: typed answers over one connection that is kept, and a sentence when there is none."""

import json
import threading

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.support import LOCAL_KEY, account, make_home, running_proxy, wait_for

from codex_manager.config import presence
from codex_manager.core.secret import Secret
from codex_manager.testing import FakeOpenAI, in_thread
from codex_manager_cli import control
from codex_manager_cli.talk import UserError


TOKEN = "the-token"
PAGES = {
    "running?limit=200": {
        "count": 7,
        "requests": [
            {
                "id": "r1", "since": "2026-11-21T10:00:00.000+00:00", "seconds": 0.5, "client": "me", "method": "POST",
                "endpoint": "responses", "model": "gpt-5", "stage": "asked", "account": "work", "account_id": "a", "attempts": 2,
                "status": None, "streamed": False, "websocket": False, "bytes": 0, "said_by_a_newer_version": 1,
            }
        ],
    },
    "requests?after=3&limit=200": {"number": 3, "missed": 0, "since": "2026", "recorded": True, "requests": []},
    "requests?after=0&limit=200": {"number": 3, "missed": 0, "since": "2026", "recorded": True, "requests": [{"id": "?"}]},
    "log?after=0&limit=500": {
        "number": 1, "missed": 0,
        "lines": [{"number": 1, "time": "2026", "level": "info", "logger": "codex_manager", "message": "hi"}],
    },
    "status": {"pid": 1},
}  # fmt: skip


class Server(ThreadingHTTPServer):
    """Remembers who called."""

    def __init__(self, folder):
        super().__init__(("127.0.0.1", 0), Proxy)
        self.folder, self.callers, self.hangs_up = folder, set(), False


class Proxy(BaseHTTPRequestHandler):
    """Enough of one to answer from PAGES."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        page = PAGES.get(self.path.removeprefix("/codex-manager/api/v1/"))
        knows = self.headers["Authorization"] == f"Bearer {TOKEN}"
        body = json.dumps(page).encode() if page is not None and knows else b"{}"
        self.send_response(200 if page is not None and knows else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        server: Any = self.server
        server.callers.add(self.client_address)
        self.close_connection = server.hangs_up

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def proxy(tmp_path):
    with Server(tmp_path) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        about = presence.RunningProxy(pid=1, host="0.0.0.0", port=server.server_port, version="0", started="2026")
        announced = presence.announce(tmp_path, about, Secret(TOKEN))
        yield server
        assert announced
        announced.withdraw()
        server.shutdown()
        thread.join(5)


def told[T](found: T | None) -> T:
    assert found is not None
    return found


def test_nobody_is_asked_where_nobody_runs(tmp_path):
    with control.Line(tmp_path) as line:
        assert (line.status(), line.running(), line.requests(), line.log()) == (None, None, None, None)


def test_answers_come_as_values_over_one_connection(proxy):
    with control.Line(proxy.folder) as line:
        running = told(line.running())
        assert (running.count, running.requests[0].model, running.requests[0].account) == (7, "gpt-5", "work")
        assert line.requests(3) == control.Requests(3, 0, "2026", recorded=True, requests=())
        assert told(line.log()).lines == (control.LogLine(1, "2026", "info", "codex_manager", "hi"),)
        assert line.status() == {"pid": 1}
        assert len(proxy.callers) == 1


def test_a_connection_that_was_closed_meanwhile_is_made_again(proxy):
    proxy.hangs_up = True
    with control.Line(proxy.folder) as line:
        for _ in range(3):
            assert line.status() == {"pid": 1}
    assert len(proxy.callers) > 1


def test_another_version_another_token_and_silence_are_one_sentence_each(proxy):
    with control.Line(proxy.folder, patience_s=0.2) as line:
        with pytest.raises(UserError, match="of another version"):
            line.requests()
        with pytest.raises(UserError, match="no such page"):
            line.log(5)
        proxy.server_close()
        proxy.shutdown()
        with pytest.raises(UserError, match="does not answer"), control.Line(proxy.folder, patience_s=0.2) as other:
            other.status()


@pytest.mark.slow
def test_a_real_proxy_tells_what_is_over_what_is_on_its_way_and_what_it_said(isolated_home):
    import openai

    with in_thread(FakeOpenAI()) as fake:
        fake.account("sk-one")
        home = make_home(isolated_home, [account("one", "sk-one")], f"proxy:\n  openai_base_url: {fake.base_url}\n")
        with running_proxy(home) as proxy, control.Line(isolated_home) as line:
            assert wait_for(lambda: line.requests() is not None)
            with openai.OpenAI(base_url=proxy.base_url, api_key=LOCAL_KEY, max_retries=0, timeout=20) as client:
                client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "hello"}])
                assert wait_for(lambda: told(line.requests()).number == 1)
                (finished,) = told(line.requests()).requests
                assert (finished.account, finished.model, finished.status) == ("one", "gpt-4o-mini", 200)
                assert finished.attempts == (control.Attempt("one", "only", 200, None),)
                stream = client.chat.completions.create(
                    model="gpt-4o-mini", messages=[{"role": "user", "content": "hello"}], stream=True
                )
                assert told(line.running()).count <= 1
                list(stream)
            assert wait_for(lambda: told(line.running()).count == 0)
            assert "1 account in use" in [each.message for each in told(line.log()).lines]
