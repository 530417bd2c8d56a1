"""WebSockets through real processes: the launcher and how it ends, and mitmdump with our script in both modes."""

import signal
import socket
import time

import openai
import pytest

from tests.proxy.test_addons import mitm
from tests.support import LOCAL_KEY, account, make_home, running_proxy
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from codex_manager.testing import FakeOpenAI, answers, in_thread


pytestmark = pytest.mark.slow  # each of these starts real programs; `.ci/run` runs them


KEY = "sk-canary-account-0123456789"


@pytest.fixture
def fake():
    with in_thread(FakeOpenAI()) as server:
        server.account("sk-limited")
        server.always("sk-limited", answers.rate_limited(retry_after=60))
        server.account(KEY)
        yield server


@pytest.fixture
def home(fake, isolated_home):
    config = f"proxy:\n  openai_base_url: {fake.base_url}\nrouting:\n  strategy: priority\n"
    return make_home(isolated_home, [account("limited", "sk-limited", priority=2), account("good", KEY)], config)


def talk(port):
    """One turn with the SDK."""
    base_url = f"http://127.0.0.1:{port}/v1"
    with (
        openai.OpenAI(api_key=LOCAL_KEY, base_url=base_url, max_retries=0, timeout=20) as client,
        client.responses.connect() as connection,
    ):
        connection.send({"type": "response.create", "model": "gpt-5", "input": "hello"})
        for event in connection:
            if event.type == "response.completed":
                return event.response.output_text
    return ""


@pytest.mark.parametrize(
    "mode",
    [
        pytest.param(("--mode", "reverse:https://api.openai.com"), id="reverse"),
        pytest.param((), id="regular", marks=pytest.mark.slow),
    ],
)
def test_mitmdump_carries_sockets_and_shows_no_key(mode, home, fake, tmp_path):
    dump = tmp_path / "flows"
    with mitm(home, tmp_path, *mode, "-w", str(dump), "--set", "flow_detail=3") as proxy:
        assert "gpt-5 answers" in talk(proxy.port)
        said = proxy.said()
    kept = dump.read_bytes()
    assert b"response.completed" in kept
    for secret in (KEY, "sk-limited", LOCAL_KEY):
        assert secret not in said
        assert secret.encode() not in kept
    assert "Traceback" not in said
    assert [(seen.key, seen.status) for seen in fake.log if seen.method == "GET"] == [("sk-limited", 429), (KEY, 101)]


def test_sigterm_closes_a_socket_in_order_and_ends_the_process(home, fake):
    with running_proxy(home) as proxy:
        headers = {"Authorization": f"Bearer {LOCAL_KEY}"}
        with connect(
            f"ws://127.0.0.1:{proxy.port}/v1/realtime?model=gpt-realtime", additional_headers=headers
        ) as client:
            assert "session.created" in client.recv(timeout=10)
            began = time.monotonic()
            proxy.process.send_signal(signal.SIGTERM)
            with pytest.raises(ConnectionClosed) as closed:
                client.recv(timeout=10)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1001
        assert proxy.process.wait(10) == 0
        assert time.monotonic() - began < 5
    assert fake.log[-1].close_code == 1000


def test_a_killed_client_is_gone_upstream(home, fake):
    """A reset, not a FIN: no close frame, no good-bye."""
    import struct

    with running_proxy(home) as proxy:
        headers = {"Authorization": f"Bearer {LOCAL_KEY}"}
        client = connect(f"ws://127.0.0.1:{proxy.port}/v1/realtime?model=gpt-realtime", additional_headers=headers)
        client.recv(timeout=10)
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        left = time.monotonic()
        client.socket.shutdown(socket.SHUT_RDWR)
        deadline = time.monotonic() + 5
        while not fake.log[-1].aborted and time.monotonic() < deadline:
            time.sleep(0.005)
        assert fake.log[-1].aborted_at is not None
        assert fake.log[-1].aborted_at - left < 0.2
        client.close_socket()
