"""A real proxy process: nothing that was answered is missing after SIGTERM, and the client can name its request."""

import concurrent.futures
import http.client
import json

import pytest

from tests.support import LOCAL_KEY, account, make_home, running_proxy, stop, wait_for

from codex_manager.ledger import Reader
from codex_manager.testing import FakeOpenAI, answers, in_thread


CHAT = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}], "stream": True}).encode()
HEADERS = {"Authorization": f"Bearer {LOCAL_KEY}", "Content-Type": "application/json"}


@pytest.fixture
def fake():
    with in_thread(FakeOpenAI()) as server:
        server.account("sk-work")
        yield server


def ask(port: int) -> tuple[int, str | None]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("POST", "/v1/chat/completions", CHAT, HEADERS)
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.getheader("X-Codex-Manager-Request-Id")
    finally:
        connection.close()


def test_sigterm_loses_no_record(fake, isolated_home):
    home = make_home(isolated_home, [account("work", "sk-work")], f"proxy:\n  openai_base_url: {fake.base_url}\n")
    with running_proxy(home) as proxy:
        with concurrent.futures.ThreadPoolExecutor(8) as threads:
            answered = list(threads.map(ask, [proxy.port] * 24))
        fake.always("sk-work", answers.ok(chunks=40, every=0.05))
        with concurrent.futures.ThreadPoolExecutor(1) as threads:
            last = threads.submit(ask, proxy.port)
            assert wait_for(lambda: fake.counts("sk-work") == 25, 20)
            assert stop(proxy.process) == 0  # it lets what is on its way finish
            answered.append(last.result(20))
    assert {status for status, _ in answered} == {200}
    with Reader.open(home.path / "ledger.db") as reader:
        records = [reader.request(name or "") for _, name in answered]
        assert all(record is not None and record.usage is not None and not record.estimated for record in records)
        assert len(reader.requests()) == len(records) == 25
    assert "ledger" not in proxy.said()
