"""What a failover costs a stream: the first chunk after the first account's 429, and the delay of each chunk."""

import http.client
import json
import statistics
import time

import pytest

from tests.support import LOCAL_KEY, account, make_home, running_proxy

from codex_manager.testing import FakeOpenAI, answers, in_thread, toxics


ROUNDS = 30
REFUSAL_S = 0.05
KEYS = {"limited": "sk-limited-0123456789abcdef", "healthy": "sk-healthy-0123456789abcdef"}


@pytest.mark.bench
def test_what_a_failover_costs_a_stream(isolated_home):
    """Each round asks for a model of its own, so that the first account is asked and refuses each time."""
    with in_thread(FakeOpenAI()) as fake:
        for key in KEYS.values():
            fake.account(key)
        fake.always(KEYS["limited"], answers.rate_limited(retry_after=60) | toxics.delay(REFUSAL_S))
        fake.always(KEYS["healthy"], answers.ok(chunks=10, every=0.02, stamped=True))
        accounts = [account(label, key, priority=-n) for n, (label, key) in enumerate(KEYS.items())]
        config = f"proxy:\n  openai_base_url: {fake.base_url}\nrouting:\n  strategy: priority\n"
        first, lags = [], []
        with running_proxy(make_home(isolated_home, accounts, config)) as proxy:
            for number in range(ROUNDS):
                took, lag = one_stream(proxy.port, f"gpt-4o-mini-{number}")
                first.append(took - REFUSAL_S * 1000)
                lags += lag
        assert len(fake.log) == 2 * ROUNDS
    print(
        f"\nfirst chunk after the refusal's round trip: median {statistics.median(first):.1f} ms, worst {max(first):.1f} ms"
    )
    print(f"a chunk's way through: median {statistics.median(lags):.2f} ms, worst {max(lags):.1f} ms of {len(lags)}")


def one_stream(port, model):
    """Milliseconds to the first chunk, and how long each chunk was on its way."""
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "hi"}], "stream": True})
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    started = time.monotonic_ns()
    connection.request("POST", "/v1/chat/completions", body, {"Authorization": f"Bearer {LOCAL_KEY}"})
    answer = connection.getresponse()
    assert answer.headers["X-Account-Label"] == "healthy"
    first, lags = 0, []
    while line := answer.readline():
        now = time.monotonic_ns()
        first = first or now
        if line.startswith(b"data: {"):
            lags.append((now - json.loads(line[6:])["sent_ns"]) / 1e6)
    connection.close()
    return (first - started) / 1e6, lags
