"""Nothing leads from the proxy's port to the page's, whatever is configured; and the page bears many and slow visitors."""

import contextlib
import http.client
import json
import socket
import subprocess
import sys
import time

import psutil
import pytest

from tests.support import LOCAL_KEY, account, make_home, wait_for
from tests.web_support import raw, running_web
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect


pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

KEY = "sk-canary-reach-0123456789abcdef"
NAMES = ("127.0.0.1", "localhost", "127.0.0.1.", "[::ffff:127.0.0.1]", socket.gethostname())


@pytest.fixture
def home(fake, isolated_home):
    fake.account(KEY, organization="org-reach")
    return make_home(isolated_home, [account("Work", KEY)], f"proxy:\n  openai_base_url: {fake.base_url}\n")


def ask(port, model="gpt-4o-mini"):
    """A request as a client sends it: status and body."""
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "hi"}]})
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        head = {"Authorization": f"Bearer {LOCAL_KEY}", "Content-Type": "application/json"}
        connection.request("POST", "/v1/chat/completions", body, head)
        seen = connection.getresponse()
        return seen.status, seen.read()


def test_no_setting_leads_to_the_page(home, fake):
    before = home.config_file.read_text()
    with running_web(home) as site:
        assert ask(site.proxy.port)[0] == 200
        for name in NAMES:
            for text in (
                f"proxy:\n  openai_base_url: http://{name}:{site.port}\n",
                f"{before}upstream:\n  proxy: http://{name}:{site.port}\n",
            ):
                said = len(site.proxy.said())
                home.config_file.write_text(text)
                assert wait_for(lambda since=said: len(site.proxy.said()) > since, 10), f"nothing was said of {text}"
                status, body = ask(site.proxy.port)
                assert status == 200 or b'"error"' in body, (name, body[:200])
                assert b"<html" not in body
                assert b"codex-manager's page" not in body
                home.config_file.write_text(before)
                assert wait_for(lambda: ask(site.proxy.port)[0] == 200, 10, 0.2)
        with home.vault() as vault:
            vault.edit("Work", base_url=f"http://127.0.0.1:{site.port}")
        assert wait_for(lambda: ask(site.proxy.port)[0] != 200, 10, 0.2)
        status, body = ask(site.proxy.port)
        assert b'"error"' in body
        assert b"<html" not in body


def test_no_allowance_leads_to_the_page(home):
    """Whoever lets tunnels into this machine's network still gets none to the page, nor does an intercepted host of its name."""
    home.config_file.write_text(
        home.config_file.read_text()
        + "forward:\n  hosts: [api.openai.com, localhost]\n  allow_private: ['127.0.0.0/8', '::1/128']\n"
    )
    with running_web(home) as site:
        for name in ("127.0.0.1", "[::ffff:127.0.0.1]", "localhost", socket.gethostname()):
            request = f"CONNECT {name}:{site.port} HTTP/1.1\r\nHost: {name}:{site.port}\r\nProxy-Authorization: Bearer {LOCAL_KEY}\r\n\r\n"
            page = f"GET /codex HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\nAuthorization: Bearer {site.token}\r\nConnection: close\r\n\r\n"
            answer = raw(site.proxy.port, (request + page).encode(), 3)
            assert b"Server: codex-manager" not in answer, (name, answer[:200])
            assert b"<!doctype html>" not in answer


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0", "8.8.8.8:80", "evil.example:80"])
def test_the_page_is_served_on_this_machine_only(home, address):
    command = [
        sys.executable,
        "-m",
        "codex_manager.proxy",
        "--bind",
        "127.0.0.1:0",
        "--web",
        "--no-browser",
        "--web-bind",
        address,
    ]
    done = subprocess.run(command, env=home.environ(), capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode in {1, 2}
    assert "Traceback" not in done.stderr
    assert "error:" in done.stderr


def test_six_hundred_windows_and_a_sleeping_one(home, fake):
    """More than may be open are refused, none is forgotten, and one that reads nothing holds no memory."""
    with running_web(home) as site:
        process = psutil.Process(site.proxy.process.pid)
        for path, count, most in (("/updates", 150, 100), ("/codex/live?topic=accounts", 600, 500)):
            opened, refused = [], 0
            for _ in range(count):
                try:
                    opened.append(
                        connect(
                            f"ws://{site.host}{path}",
                            additional_headers={"Authorization": f"Bearer {site.token}"},
                            open_timeout=20,
                        )
                    )
                except InvalidStatus as error:
                    refused += error.response.status_code == 503
            assert refused >= count - most, path
            began = time.monotonic()
            assert site.ask("GET", "/codex").status == 200
            assert ask(site.proxy.port)[0] == 200
            assert time.monotonic() - began < 5
            for one in opened:
                one.close()
            again = lambda path=path: raw_upgrade(site, path)  # noqa: E731
            assert wait_for(again, 20, 0.2), f"{path} has room again"

        asleep = socket.create_connection((site.host.partition(":")[0], site.port), 10)
        asleep.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        asleep.sendall(upgrade(site, "/updates"))
        many(site.proxy.port, 2000)
        full = process.memory_info().rss
        many(site.proxy.port, 4000)
        grown = (process.memory_info().rss - full) / 2**20
        asleep.close()
        print(f"a window that sleeps: {grown:.1f} MiB more after 4,000 requests")
        assert grown < 12
        assert site.ask("GET", "/codex").status == 200


def upgrade(site, path):
    return (
        f"GET {path} HTTP/1.1\r\nHost: {site.host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: MDAwMDAwMDAwMDAwMDAwMA==\r\nAuthorization: Bearer {site.token}\r\n\r\n"
    ).encode()


def raw_upgrade(site, path):
    return raw(site.port, upgrade(site, path), 0.2).startswith(b"HTTP/1.1 101")


def many(port, count):
    """Requests one after the other, on one connection."""
    body = json.dumps({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]})
    head = {"Authorization": f"Bearer {LOCAL_KEY}", "Content-Type": "application/json"}
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        for _ in range(count):
            connection.request("POST", "/v1/chat/completions", body, head)
            connection.getresponse().read()
