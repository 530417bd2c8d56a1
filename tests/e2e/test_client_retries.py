"""What the official SDK makes of each answer of ours: how often it comes back, and how long it waits before.

Its own retries are on, as they are for everybody who does not turn them off. A real proxy in front of a fake OpenAI; counts are
exact, times are within what a loaded machine may add. The table it prints stands in docs/deciding.md, "What clients do with it".
"""

import contextlib
import json
import subprocess
import sys
import time

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.support import LOCAL_KEY, ProxyProcess, account, make_home, running_proxy, wait_for

from codex_manager.testing import FakeOpenAI, answers, in_thread, toxics


__all__ = ["CASES", "Case", "prepared", "shown"]

LIMIT_S = 1.2
PATIENCE_S = 6.0
"""What a loaded machine may add to a wait."""


@dataclass(frozen=True, slots=True)
class Case:
    """One state of things, told by the name of the model that leads into it."""

    model: str
    status: int
    code: str | None
    requests: int
    """How many the SDK sends in all."""
    waits: tuple[float, float]
    """Seconds from the first to the last, at least and at most on an idle machine."""
    in_node: tuple[int, tuple[float, float]] | None = None
    """The same of openai-node where it differs."""

    @property
    def says(self) -> str:
        return f"{self.status} `{self.code}`" if self.code else str(self.status)


CASES = [
    Case("limited", 200, None, 2, (LIMIT_S - 0.3, LIMIT_S)),
    Case("limited-for-long", 429, "rate_limit_exceeded", 1, (0, 0), in_node=(3, (1.1, 1.5))),
    Case("flooded", 429, "rate_limit_exceeded", 3, (1.6, 2.6)),
    Case("broke", 429, "insufficient_quota", 1, (0, 0)),
    Case("revoked", 403, "no_usable_account", 1, (0, 0)),
    Case("nobodys", 403, "model_not_allowed", 1, (0, 0)),
    Case("divided", 409, "account_conflict", 1, (0, 0)),
    Case("nowhere", 502, "upstream_unreachable", 3, (1.1, 1.5)),
    Case("lost", 504, "upstream_unreachable", 3, (1.1, 1.5)),
    Case("empty", 503, "no_available_accounts", 1, (0, 0)),
    Case("locked", 503, "vault_locked", 1, (0, 0)),
    Case("wrong-key", 401, "invalid_api_key", 1, (0, 0)),
]
"""openai-python: two retries. It obeys `x-should-retry`, waits as long as `retry-after-ms` says, up to two minutes, and does not come
back when it is longer; without it, 0.5 s and 1 s, less up to a quarter. openai-node waits up to one minute so, and takes a longer time for none."""

ACCOUNTS = {"first": ("limited*", "flooded", "divided"), "second": ("divided",), "broke": ("broke",), "revoked": ("revoked",),
            "nowhere": ("nowhere",), "lost": ("lost",)}  # fmt: skip


@contextlib.contextmanager
def prepared(folder: Path) -> Iterator[Callable[[Case], ProxyProcess]]:
    """The proxy for a case: one with accounts, or one without, whose vault is locked when that is asked for."""
    with in_thread(FakeOpenAI()) as fake:
        for label in ACCOUNTS:
            fake.account(
                f"sk-{label}", organization=f"org-{label}", project="p", models=tuple(case.model for case in CASES)
            )
        fake.script("sk-first", answers.rate_limited(retry_after_ms=LIMIT_S * 1000), model="limited")
        fake.always("sk-first", answers.ok(), model="limited")
        fake.always("sk-first", answers.rate_limited(retry_after=150), model="limited-for-long")
        fake.always("sk-first", answers.rate_limited(retry_after=1), model="flooded")
        fake.always("sk-broke", answers.insufficient_quota(), model="broke")
        fake.always("sk-revoked", answers.invalid_key(), model="revoked")
        fake.always("sk-lost", toxics.reset_before_headers(), model="lost")
        for label in ("first", "second"):
            fake.stock(f"sk-{label}", "file", id=f"file-of-{label}")
        accounts = [
            account(label, f"sk-{label}", models=models, base_url="http://127.0.0.1:9" if label == "nowhere" else None)
            for label, models in ACCOUNTS.items()
        ]
        config = f"proxy:\n  openai_base_url: {fake.base_url}\nrouting:\n  max_inline_wait_s: 0\n"
        with contextlib.ExitStack() as stack:
            full, empty = make_home(folder / "full", accounts, config), make_home(folder / "none", [], config)
            many, none = stack.enter_context(running_proxy(full)), stack.enter_context(running_proxy(empty))

            def proxy_for(case: Case) -> ProxyProcess:
                if case.model == "locked":
                    lock = [sys.executable, "-m", "codex_manager_cli", "vault", "lock"]
                    subprocess.run(lock, env=empty.environ(), capture_output=True, timeout=30, check=True)
                    assert wait_for(lambda: _code(none) == "vault_locked", 10)
                return none if case.model in {"empty", "locked"} else many

            yield proxy_for


def _code(proxy: ProxyProcess) -> str | None:
    with openai.OpenAI(api_key=LOCAL_KEY, base_url=proxy.base_url, timeout=30, max_retries=0) as sdk:
        try:
            sdk.models.retrieve("gpt-4o")
        except openai.APIStatusError as error:
            return error.code
    return None


def shown(name: str, rows: list[tuple[Case, int, float]]) -> str:
    """The table, as it stands in docs/deciding.md."""
    lines = [f"| our answer | requests of {name} | in |", "|---|---|---|"]
    lines += [f"| {case.model}: {case.says} | {count} | {took:.1f} s |" for case, count, took in rows]
    return "\n".join(lines)


def asked(sdk: openai.OpenAI, case: Case) -> Any:
    if case.model == "divided":
        files = [f"file-of-{label}" for label in ("first", "second")]
        return sdk.vector_stores.create(file_ids=files)
    return sdk.chat.completions.create(model=case.model, messages=[{"role": "user", "content": "hello"}])


@pytest.mark.slow
def test_how_often_the_sdk_comes_back_and_how_long_it_waits(tmp_path, capsys):
    rows = []
    with prepared(tmp_path) as proxy_for:
        for case in CASES:
            proxy = proxy_for(case)
            key = "sk-wrong" if case.model == "wrong-key" else LOCAL_KEY
            with openai.OpenAI(api_key=key, base_url=proxy.base_url, timeout=30) as sdk:
                if case.model == "divided":
                    for label in ("first", "second"):
                        sdk.files.retrieve(f"file-of-{label}")
                sent = _counted(sdk)
                status, code = 200, None
                began = time.monotonic()
                try:
                    asked(sdk, case)
                except openai.APIStatusError as error:
                    status, code = error.status_code, error.code
                took = time.monotonic() - began
            rows.append((case, len(sent), took))
            assert (status, code) == (case.status, case.code), case
            assert len(sent) == case.requests, case
            assert case.waits[0] - 0.05 <= took <= case.waits[1] + PATIENCE_S, (case, took)
    with capsys.disabled():
        print(f"\n{shown(f'openai-python {openai.__version__}', rows)}")


def _counted(sdk: openai.OpenAI) -> list[float]:
    """The moments of its requests."""
    sent: list[float] = []
    send: Callable[..., Any] = sdk._client.send

    def counting(*arguments: Any, **options: Any) -> Any:
        sent.append(time.monotonic())
        return send(*arguments, **options)

    sdk._client.send = counting  # type: ignore[method-assign]
    return sent


def test_the_table_in_the_documentation_is_this_one():
    text = (Path(__file__).parents[2] / "docs" / "deciding.md").read_text(encoding="utf-8")
    section = text.partition("## What clients do with it")[2].partition("\n## ")[0]
    for case in CASES:
        if case.code is not None:
            assert f"{case.status} `{case.code}`" in section, json.dumps(case.code)
