"""What the doctor asks OpenAI: whether it is there, what time it is, and whether each key is good."""

import pytest

from tests.support import MASTER_KEY, account, make_home

from codex_manager.config.paths import Paths
from codex_manager.doctor import examine, upstream
from codex_manager.provider.reach import Reached, reach
from codex_manager.testing import FakeOpenAI
from codex_manager.testing.thread import in_thread


GOOD, BAD, OFF = "sk-canary-good-0123456789", "sk-canary-bad-0123456789", "sk-canary-off-0123456789"


def test_keys_are_asked_about_and_the_upstream_without_one(tmp_path):
    with in_thread(FakeOpenAI()) as fake:
        fake.account(GOOD)
        accounts = [account("Good", GOOD), account("Bad one", BAD), account("Off", OFF, enabled=False)]
        make_home(tmp_path, accounts, f"proxy: {{openai_base_url: {fake.api_url}}}\n")
        paths = Paths(tmp_path, tmp_path)
        findings = examine(paths, {"CAM_MASTER_KEY": MASTER_KEY}, network=True)
    told = {finding.area: finding for finding in findings if finding.area in {"upstream", "clock"}}
    assert told["upstream"].level == "ok"
    said = [(finding.level, finding.text) for finding in findings if finding.area == "accounts"]
    assert said == [
        ("ok", "Good: OpenAI takes its key"), ("bad", "Bad one: OpenAI refuses its key (invalid_api_key)"),
    ]  # fmt: skip
    assert "codex-manager edit 'Bad one' --new-key" in repr(findings)
    assert "canary" not in repr(findings)


def test_an_upstream_that_is_not_there(free_port):
    assert reach(f"http://127.0.0.1:{free_port}").problem == "connection refused"
    assert "http://" not in reach("https://me.invalid", proxy="https://10.0.0.1:1").problem


@pytest.mark.parametrize(
    ("ahead", "level", "word"), [(3, "ok", "right"), (-90, "warn", "90 s fast"), (7200, "bad", "7200 s slow")]
)
def test_the_clock(ahead, level, word):
    finding = upstream._clock(ahead)
    assert (finding.level, word in finding.text) == (level, True)


@pytest.mark.parametrize(
    ("found", "level"),
    [
        (Reached(status=401, seconds=0.1), "ok"), (Reached(status=403), "warn"), (Reached(status=503), "warn"),
        (Reached(problem="its certificate is not trusted: x"), "bad"),
    ],
)  # fmt: skip
def test_what_an_answer_means(found, level):
    assert upstream._reached("host:443", found).level == level
