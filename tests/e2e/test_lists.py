"""The real SDK pages through the things of three accounts as through those of one, also when the proxy is started anew meanwhile."""

from typing import Any

import openai
import pytest

from tests.support import LOCAL_KEY, account, make_home, running_proxy

from codex_manager.testing import in_thread


KEYS = {"A": "sk-a-0123456789", "B": "sk-b-0123456789", "C": "sk-c-0123456789"}
TIMES = {"A": [10, 40, 70, 70, 70], "B": [20, 50, 70, 80], "C": [30, 60, 90]}


@pytest.fixture
def fake():
    with in_thread() as fake:
        for key in KEYS.values():
            fake.account(key)
        yield fake


@pytest.fixture
def home(tmp_path, fake):
    accounts = [account(label, key) for label, key in KEYS.items()]
    return make_home(tmp_path / "home", accounts, f"proxy:\n  openai_base_url: {fake.base_url}\n")


def client(proxy) -> openai.OpenAI:
    return openai.OpenAI(api_key=LOCAL_KEY, base_url=proxy.base_url, max_retries=0, timeout=20)


@pytest.mark.slow
def test_pages_go_on_after_a_restart(fake, home):
    made = {fake.stock(KEYS[label], "file", created_at=time, bytes=1, filename="f", purpose="batch", status="processed"): time
            for label, times in TIMES.items() for time in times}  # fmt: skip
    with running_proxy(home) as proxy, client(proxy) as sdk:
        whole = [file.id for file in sdk.files.list()]
        assert sorted(whole) == sorted(made)
        assert [made[name] for name in whole] == sorted(made.values(), reverse=True)
        for limit in (1, 3, 5):
            assert [file.id for file in sdk.files.list(limit=limit)] == whole
        first = sdk.files.list(limit=3)
        assert first.has_next_page()
    with running_proxy(home) as proxy, client(proxy) as sdk:
        rest = sdk.files.list(limit=3, after=first.data[-1].id)
        assert [file.id for file in first.data] + [file.id for file in rest] == whole
        raw = sdk.files.with_raw_response.list(limit=1)
        assert len(raw.headers["x-codex-manager-request-id"]) > 16
        for file in sdk.files.list(limit=2):  # deletes the cursor of the next page, too
            assert sdk.files.delete(file.id).deleted
        assert [file.id for file in sdk.files.list()] == []
        assert fake.violations() == []


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the SDK's, of assistants
def test_every_kind_of_list_of_the_sdk(fake, home):
    with running_proxy(home) as proxy, client(proxy) as sdk:
        lists: dict[str, Any] = {
            "batch": sdk.batches, "vector_store": sdk.vector_stores, "fine_tuning_job": sdk.fine_tuning.jobs,
            "assistant": sdk.beta.assistants, "chat_completion": sdk.chat.completions, "container": sdk.containers,
            "eval": sdk.evals, "video": sdk.videos, "skill": sdk.skills, "chatkit_thread": sdk.beta.chatkit.threads,
        }  # fmt: skip
        for kind, resource in lists.items():
            made = [fake.stock(KEYS[label], kind, created_at=time) for label, times in TIMES.items() for time in times]
            assert sorted(each.id for each in resource.list(limit=4)) == sorted(made), kind
        assert fake.violations() == []
