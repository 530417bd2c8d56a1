"""The id of a real answer explains it, and a dry run knows what the running proxy knows."""

import http.client
import json
import re

import pytest

from tests.cli.console import run
from tests.support import LOCAL_KEY, MASTER_KEY, account, make_home, running_proxy, wait_for

from codex_manager.config import presence
from codex_manager.testing import FakeOpenAI, answers, in_thread


pytestmark = pytest.mark.slow


def ask(proxy):
    """The answer's id."""
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=20)
    try:
        body = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]})
        headers = {"Authorization": f"Bearer {LOCAL_KEY}", "Content-Type": "application/json"}
        connection.request("POST", "/v1/chat/completions", body, headers)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200
        return answer.getheader("X-Codex-Manager-Request-Id")
    finally:
        connection.close()


def test_from_the_answers_header_to_the_reasons(isolated_home, monkeypatch):
    monkeypatch.setenv("CAM_MASTER_KEY", MASTER_KEY)
    with in_thread(FakeOpenAI()) as fake:
        for label in ("work", "home"):
            fake.account(f"sk-{label}", organization=f"org-{label}", project="p")
        fake.always("sk-work", answers.rate_limited(retry_after=90.0))
        config = f"proxy:\n  openai_base_url: {fake.base_url}\nrouting: {{strategy: priority}}\n"
        accounts = [account("work", "sk-work", priority=2), account("home", "sk-home", priority=1)]
        home = make_home(isolated_home, accounts, config)
        with running_proxy(home) as proxy:
            assert wait_for(lambda: presence.running(home.path) is not None)
            first = ask(proxy)
            assert wait_for(lambda: run("explain", first).status == 0)
            told = run("explain", first).out
            assert f"request  {first}\n" in told
            assert "1. work, priority: the highest priority at hand" in told
            assert "-> 429 after" in told
            assert re.search(r"2\. home, only: .*\n +work +rate limited +until \d\d:\d\d:\d\d, 1 m", told)
            assert re.search(r"\nanswer +200 from home\n", told)
            assert re.search(r"cost +\$0\.0", told)
            dry = run("simulate", "--model", "gpt-4o")
            assert "-> home, only: no other account can serve" in dry.out
            assert "work  rate limited" in dry.out
            assert "decided over what the running proxy tells" in dry.err
            second = ask(proxy)
            assert wait_for(lambda: run("explain", second).status == 0)
        told = run("explain", "--last", "--json").json
        assert told["id"] == second
        assert [attempt["account"] for attempt in told["attempts"]] == ["home"]
        after = run("simulate", "--model", "gpt-4o")
        assert "work  rate limited" in after.out  # the ledger kept it
        assert "decided over what the ledger knows" in after.err
        again = run("simulate", "--replay", "1h", "--strategy", "priority", "--json").json
        assert again["was"]["failovers"] == again["would_be"]["failovers"] == 1
        assert again["was"]["usd"] == again["would_be"]["usd"]
        assert again["same_account"] == again["requests"] == 2
