"""The launcher as a process: it says when it serves, why it does not, and ends without cutting anybody off."""

import asyncio
import contextlib
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

from pathlib import Path

import psutil
import pytest

from tests.support import LOCAL_KEY, account, make_home, running_proxy, wait_for

from codex_manager.testing import FakeOpenAI, answers, in_thread, toxics


pytestmark = pytest.mark.slow  # each of these starts real programs; `.ci/run` runs them


CHAT = b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"hi"}]}'
HEADERS = {"Authorization": f"Bearer {LOCAL_KEY}", "Content-Type": "application/json"}


@pytest.fixture
def fake():
    with in_thread(FakeOpenAI()) as server:
        server.account("sk-one")
        yield server


@pytest.fixture
def home(fake, isolated_home):
    return make_home(isolated_home, [account("one", "sk-one")], f"proxy:\n  openai_base_url: {fake.base_url}\n")


def ask(port, path="/v1/chat/completions", body=CHAT, timeout=20):
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)) as connection:
        connection.request("POST" if body else "GET", path, body, HEADERS)
        answer = connection.getresponse()
        return answer.status, answer.read()


def send(port):
    """A request under way: sent, its answer not read."""
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {LOCAL_KEY}\r\n"
    link = socket.create_connection(("127.0.0.1", port), timeout=10)
    link.sendall(f"{head}Content-Length: {len(CHAT)}\r\n\r\n".encode() + CHAT)
    return link


def run(home, *arguments, **variables):
    """A proxy that is expected to end by itself."""
    return subprocess.run(
        [sys.executable, "-m", "codex_manager.proxy", *arguments],
        env=home.environ() | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_it_says_where_it_listens_and_how_to_use_it(home, tmp_path):
    port_file = tmp_path / "port"
    with running_proxy(home, "--port-file", str(port_file)) as proxy:
        assert wait_for(lambda: len(proxy.stderr) >= 6)
        assert port_file.read_text() == f"{proxy.port}\n"
        assert ask(proxy.port)[0] == 200
    assert proxy.stderr == [
        "codex-manager: 1 account in use\n",
        "codex-manager: made a certificate authority that can vouch for api.openai.com and nothing else\n",
        f"codex-manager: listening on http://127.0.0.1:{proxy.port}\n",
        f"codex-manager: use it with: export OPENAI_BASE_URL=http://127.0.0.1:{proxy.port}/v1\n",
        f"codex-manager:              export OPENAI_API_KEY={LOCAL_KEY}\n",
        (
            "codex-manager: for tools without such settings: codex-manager run -- COMMAND, or HTTPS_PROXY as"
            " `codex-manager env` says\n"
        ),
    ]
    assert proxy.process.returncode == 0


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="file descriptors are not passed on there")
def test_it_writes_the_port_to_the_ready_fd(home):
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "codex_manager.proxy", "--bind", "127.0.0.1:0", "--ready-fd", str(writing)],
        env=home.environ(),
        pass_fds=[writing],
        stderr=subprocess.DEVNULL,
    )
    os.close(writing)
    try:
        with os.fdopen(reading) as ready:
            assert ask(int(ready.readline()))[0] == 200
    finally:
        process.terminate()
        assert process.wait(15) == 0


def test_a_port_in_use_is_one_sentence_with_the_cure(home):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run(home, "--bind", f"127.0.0.1:{port}")
    assert ended.returncode == 1
    assert ended.stderr == (
        f"codex-manager: error: 127.0.0.1:{port} is in use by another program\n"
        f"codex-manager: hint: stop it, or listen elsewhere: `codex-manager proxy --bind 127.0.0.1:{port + 1}`\n"
    )


@pytest.mark.parametrize(
    ("arguments", "variables", "status", "words"),
    [
        (
            ("--bind", "203.0.113.1:0"),
            {"CODEX_MANAGER__PROXY__API_KEY": "sk-changed"},
            1,
            "not an address of this machine",
        ),
        (("--bind", "0.0.0.0:0"), {}, 1, "key"),
        (("--bind", "nonsense"), {}, None, "--bind"),
    ],
)
def test_what_cannot_start_says_why_in_one_sentence(home, arguments, variables, status, words):
    ended = run(home, *arguments, **variables)
    assert ended.returncode == status if status is not None else ended.returncode in {1, 2}
    lines = ended.stderr.splitlines()
    assert lines[0].startswith("codex-manager: error: ")
    assert words in lines[0]
    assert all(line.startswith("codex-manager: hint: ") for line in lines[1:])
    assert "Traceback" not in ended.stderr


def test_sigterm_lets_a_request_finish_and_closes_idle_connections(home, fake):
    fake.always("sk-one", answers.ok() | toxics.delay(1.0))
    with running_proxy(home) as proxy:
        idle = socket.create_connection(("127.0.0.1", proxy.port), timeout=10)
        outcome = []
        asking = threading.Thread(target=lambda: outcome.append(ask(proxy.port)))
        asking.start()
        assert wait_for(lambda: fake.log)
        proxy.process.send_signal(signal.SIGTERM)
        started = time.monotonic()
        assert idle.recv(1) == b""
        assert time.monotonic() - started < 0.9
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", proxy.port), timeout=5)
        asking.join(10)
        assert outcome[0][0] == 200
        assert proxy.process.wait(5) == 0
        idle.close()


def test_a_second_signal_ends_it_at_once(home, fake):
    fake.always("sk-one", answers.ok() | toxics.hang())
    with running_proxy(home) as proxy:
        link = send(proxy.port)
        assert wait_for(lambda: fake.log)
        proxy.process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        assert proxy.process.poll() is None
        started = time.monotonic()
        proxy.process.send_signal(signal.SIGINT)
        assert proxy.process.wait(5) == 128 + signal.SIGINT
        assert time.monotonic() - started < 3
        link.close()


def test_a_client_that_leaves_is_told_to_the_upstream_within_100_ms(home, fake):
    fake.always("sk-one", answers.ok() | toxics.hang())
    with running_proxy(home) as proxy:
        link = send(proxy.port)
        assert wait_for(lambda: fake.log)
        link.close()
        started = time.monotonic()
        assert wait_for(lambda: fake.log[0].aborted, 5, 0.005)
        assert time.monotonic() - started < 0.2  # 100 ms of ours, and the fake's own time to notice


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_process_is_hardened_and_has_files_enough(home):
    with running_proxy(home) as proxy:
        limits = Path(f"/proc/{proxy.process.pid}/limits").read_text()
        assert re.search(r"Max core file size\s+0\s+0", limits)
        found = re.search(r"Max open files\s+(\d+)\s+(\d+)", limits)
        assert found
        assert found[1] == found[2]


async def sdk_calls(base_url):
    import openai

    async with openai.AsyncOpenAI(base_url=base_url, api_key=LOCAL_KEY, max_retries=0, timeout=20) as client:
        calls = (
            client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": f"{n}"}])
            for n in range(50)
        )
        answers_ = await asyncio.gather(*calls)
        stream = await client.chat.completions.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": "s"}], stream=True
        )
        chunks = [chunk async for chunk in stream]
    return answers_, chunks


@pytest.mark.slow
def test_the_async_sdk_50_at_once_and_a_stream(home, fake):
    with running_proxy(home) as proxy:
        got, chunks = asyncio.run(sdk_calls(proxy.base_url))
    assert len(got) == 50
    assert all(answer.choices[0].message.content for answer in got)
    assert len(chunks) > 2
    assert not fake.duplicates()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_400_mb_upload_and_a_slow_400_mb_download_leave_memory_flat(home, fake):
    fake.always(
        "sk-one",
        answers.raw(200, [("content-type", "application/octet-stream")], b"x" * (400 << 20)),
        path="/v1/files/file-1/content",
    )
    with running_proxy(home) as proxy:
        watched = psutil.Process(proxy.process.pid)
        assert ask(proxy.port)[0] == 200
        before = watched.memory_info().rss
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=60) as link:
            head = f"POST /v1/files HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {LOCAL_KEY}\r\nContent-Type: application/octet-stream\r\n"
            link.sendall(f"{head}Content-Length: {400 << 20}\r\n\r\n".encode())
            for _ in range(400):
                link.sendall(b"x" * (1 << 20))
            assert link.recv(100).startswith(b"HTTP/1.1 ")
        assert watched.memory_info().rss - before < 40 << 20
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=60) as link:
            link.sendall(
                f"GET /v1/files/file-1/content HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {LOCAL_KEY}\r\n\r\n".encode()
            )
            time.sleep(2)
            received = 0
            while received < 400 << 20:
                data = link.recv(1 << 20)
                assert data
                received += len(data)
        assert watched.memory_info().rss - before < 40 << 20
