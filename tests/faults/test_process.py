"""What happens to the whole process: signals, kills, a storm of clients that leave, an upstream that misbehaves."""

import contextlib
import http.client
import json
import signal
import socket
import threading
import time

from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from tests.support import LOCAL_KEY, account, make_home, running_proxy, wait_for

from codex_manager.testing import FakeOpenAI, answers, in_thread, toxics


pytestmark = pytest.mark.slow  # each of these starts real programs; `.ci/run` runs them


KEY = "sk-faults-0123456789abcdef"
CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}
HEADERS = {"Authorization": f"Bearer {LOCAL_KEY}", "Content-Type": "application/json"}


@pytest.fixture
def fake():
    with in_thread(FakeOpenAI()) as server:
        server.account(KEY)
        yield server


@pytest.fixture
def home(fake, isolated_home):
    return make_home(isolated_home, [account("only", KEY)], f"proxy:\n  openai_base_url: {fake.base_url}\n")


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    """An upstream and a proxy that waits a second for it, for tests that leave it as it was."""
    with in_thread(FakeOpenAI()) as upstream:
        upstream.account(KEY)
        config = (
            f"proxy:\n  openai_base_url: {upstream.base_url}\nupstream:\n  header_timeout_s: 1\n  idle_timeout_s: 1\n"
        )
        home = make_home(tmp_path_factory.mktemp("stage") / "home", [account("only", KEY)], config)
        with running_proxy(home) as process:
            yield upstream, process


@pytest.fixture
def shared(stage):
    """Nothing scripted, nothing seen, and no test before this one has left the account resting."""
    upstream, process = stage
    upstream.clear()
    assert wait_for(lambda: ask(process.port)[0] == 200, 15)
    upstream.log.clear()
    return upstream, process


def ask(port, *, stream=False, timeout=20):
    """Status and body; the body is what came until the connection ended, and whether it ended whole."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)) as connection:
        connection.request("POST", "/v1/chat/completions", json.dumps({**CHAT, "stream": stream}), HEADERS)
        answer = connection.getresponse()
        body = b""
        try:
            while piece := answer.read1():
                body += piece
        except (http.client.IncompleteRead, ConnectionError):
            return answer.status, body, False
        return answer.status, body, answer.isclosed()


def test_sigterm_under_a_hundred_streams_lets_them_end_and_exits_0(home, fake):
    """The drain lasts up to 10 s; these streams need one more second each."""
    fake.always(KEY, answers.ok(chunks=20, every=0.1))
    with running_proxy(home) as proxy, ThreadPoolExecutor(100) as pool:
        streams = [pool.submit(ask, proxy.port, stream=True) for _ in range(100)]
        assert wait_for(lambda: len(fake.log) == 100, 10)
        proxy.process.send_signal(signal.SIGTERM)
        got = [stream.result(30) for stream in streams]
        assert proxy.process.wait(15) == 0
    assert all(status == 200 and body.endswith(b"data: [DONE]\n\n") for status, body, _ in got)


def test_sigterm_under_a_hundred_streams_without_end_is_over_after_ten_seconds(home, fake):
    """They are cut off where they are, visibly; the exit status is 0 all the same."""
    fake.always(KEY, answers.ok(chunks=600, every=0.1))
    with running_proxy(home) as proxy, ThreadPoolExecutor(100) as pool:
        streams = [pool.submit(ask, proxy.port, stream=True, timeout=40) for _ in range(100)]
        assert wait_for(lambda: len(fake.log) == 100, 10)
        began = time.monotonic()
        proxy.process.send_signal(signal.SIGTERM)
        assert proxy.process.wait(25) == 0
        took = time.monotonic() - began
        got = [stream.result(30) for stream in streams]
    assert 9 < took < 10 + 5, "the drain is ten seconds; the rest is for a machine that runs other tests as well"
    assert all(status == 200 and b"[DONE]" not in body and not ended for status, body, ended in got)


def test_after_sigkill_it_serves_again_within_three_seconds(home, fake):
    """Nothing is left behind that keeps the next one from starting."""
    with running_proxy(home) as proxy:
        assert ask(proxy.port)[0] == 200
        proxy.process.kill()
        proxy.process.wait(5)
    started = time.monotonic()
    with running_proxy(home) as proxy:
        assert ask(proxy.port)[0] == 200
        assert time.monotonic() - started < 3 + 2  # two more for a machine that runs other tests as well


@pytest.mark.slow
def test_a_reset_at_each_of_fifty_offsets_never_looks_like_a_whole_answer(home, fake):
    """Before the first byte nothing has been sent to the client: an error in OpenAI's shape. After it: a visible cut."""
    with running_proxy(home) as proxy:
        whole = ask(proxy.port, stream=True)[1]
        size = fake.log[-1].sent_bytes
        head = size - len(whole)
        outcomes = set()
        for step in range(50):
            offset = step * size // 50
            fake.script(KEY, answers.ok() | toxics.reset_at(offset))
            status, body, ended = ask(proxy.port, stream=True)
            if status == 200:
                assert not (ended and body != whole), f"a cut at {offset} of {size} looked whole"
                assert whole.startswith(body)
                outcomes.add("cut")
            else:
                assert offset <= head
                assert status in {502, 504}
                assert json.loads(body)["error"]["code"] == "upstream_unreachable"
                outcomes.add("error")
            assert wait_for(lambda: ask(proxy.port)[0] == 200, 10), "the proxy does not serve any more"
        assert outcomes == {"cut", "error"}


@pytest.mark.slow
def test_however_the_upstream_splits_its_bytes_the_stream_is_the_same(home, fake):
    """One byte a segment, and every size up to 40: the client's stream is identical."""
    with running_proxy(home) as proxy:
        whole = ask(proxy.port, stream=True)[1]
        for size in range(1, 41):
            fake.script(KEY, answers.ok() | toxics.slice_into(size))
            assert ask(proxy.port, stream=True)[1] == whole


def test_clients_that_leave_close_their_upstream_at_once_and_leave_nothing_behind(shared):
    """Two hundred clients hang up in the middle; files and connections go back to what they were."""
    fake, proxy = shared
    fake.always(KEY, answers.ok(chunks=200, every=0.05))
    watched = psutil.Process(proxy.process.pid)
    ask_once = json.dumps({**CHAT, "stream": True}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {LOCAL_KEY}\r\n"
    request = f"{head}Content-Length: {len(ask_once)}\r\n\r\n".encode() + ask_once
    before = watched.num_fds()
    for _ in range(4):
        links = [socket.create_connection(("127.0.0.1", proxy.port), timeout=10) for _ in range(50)]
        for link in links:
            link.sendall(request)
        for link in links:
            assert link.recv(1000).startswith(b"HTTP/1.1 200")
        for link in links:
            link.close()
        assert wait_for(lambda: all(seen.aborted_at for seen in fake.log), 5)
    assert wait_for(lambda: watched.num_fds() <= before + 2, 5)
    assert len(fake.log) == 200


def test_slow_clients_do_not_hold_up_good_ones(shared):
    """Two hundred connections that never finish their headers; good requests go on being served."""
    _, proxy = shared
    with contextlib.ExitStack() as links:
        for _ in range(200):
            link = links.enter_context(socket.create_connection(("127.0.0.1", proxy.port), timeout=10))
            link.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
        took = []
        for _ in range(50):
            started = time.perf_counter()
            assert ask(proxy.port)[0] == 200
            took.append(time.perf_counter() - started)
    assert sorted(took)[25] < 0.25, f"good requests wait: {took}"  # some 3 ms usually


def test_an_upstream_that_says_nothing_ends_in_an_answer(shared):
    """Silence before the headers is a 504, silence in the middle a visible cut; both within their timeouts."""
    fake, proxy = shared
    fake.script(KEY, answers.ok() | toxics.hang())
    status, body, _ = ask(proxy.port)
    assert status == 504
    assert json.loads(body)["error"]["code"] == "upstream_unreachable"
    fake.script(KEY, answers.ok() | toxics.hang_mid_stream(2))
    started = time.monotonic()
    status, body, ended = ask(proxy.port, stream=True)
    assert (status, ended) == (200, False)
    assert b"[DONE]" not in body
    assert time.monotonic() - started < 10


def test_two_proxies_on_one_vault_serve_at_once(home, fake):
    """Each at its own port; an account disabled meanwhile is out in both."""
    with running_proxy(home) as one, running_proxy(home) as two:
        results = []
        threads = [
            threading.Thread(target=lambda p=p: results.append(ask(p.port)[0])) for p in (one, two) for _ in range(10)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert results == [200] * 20
        with home.vault() as vault:
            vault.edit("only", enabled=False)
        assert all(wait_for(lambda p=p: ask(p.port)[0] == 403, 4) for p in (one, two))
