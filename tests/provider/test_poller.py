"""The background looks: when an account is asked, when it is left alone, and that nothing stops the loop."""

import asyncio
import itertools
import logging
import random
import threading

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from codex_manager.core.secret import Secret
from codex_manager.core.snapshot import Snapshot, utc_windows
from codex_manager.provider.poller import BACKOFF_FIRST_S, BACKOFF_LONGEST_S, Poller, PollerSettings, backoff
from codex_manager.testing import FakeOpenAI, blackhole
from codex_manager.vault.store import new_account


WALL = 1_795_000_000.0
SETTINGS = PollerSettings(enabled=True, interval_s=300.0, base_url="http://127.0.0.1:1")


class Stage:
    """A poller whose clock, accounts and answers are the test's."""

    def __init__(self, *accounts, **fields):
        self.accounts: Any = list(accounts)
        self.settings, self.now = SETTINGS, 1000.0
        self.asked: list[Any] = []
        self.delivered: list[Snapshot] = []
        self.answer: Callable[..., Any] = lambda account: {"today": Decimal(1)}
        self.poller = Poller(
            accounts=lambda: self.accounts, settings=lambda: self.settings, deliver=self.delivered.append,
            look=self.look, monotonic=lambda: self.now, wall=lambda: WALL, rng=random.Random(1), first_s=(0.0, 0.0),
            tick_s=0.002, **fields,
        )  # fmt: skip

    def look(self, account, way, *, now, project, refusals):
        self.asked.append((account.label, way.base_url, project))
        said = self.answer(account)
        day, month = utc_windows(now)
        return Snapshot(
            account_id=account.id, account=account.label, taken_at=now, day_start=day, month_start=month, **said
        )

    async def after(self, seconds, looks):
        """Let time pass; there are so many looks in all, and no more."""
        self.now += seconds
        async with asyncio.timeout(10):
            while len(self.delivered) < looks:
                await asyncio.sleep(0.002)
        await asyncio.sleep(0.02)
        assert len(self.delivered) == looks, self.asked

    async def __aenter__(self):
        self.poller.start()
        return self

    async def __aexit__(self, *_):
        async with asyncio.timeout(5):
            await self.poller.aclose()


@pytest.fixture
def work():
    return new_account("Work", Secret("sk-work-0123456789"), admin_key=Secret("sk-admin-0123456789"))


@pytest.fixture
def home():
    return new_account("Home", Secret("sk-home-0123456789"), base_url="https://eu.api.openai.com")


async def test_each_account_is_asked_every_interval_at_its_own_address(work, home):
    async with Stage(work, home, projects=lambda: {work.id: "proj-w"}) as stage:
        await stage.after(0, looks=2)
        assert sorted(stage.asked) == [
            ("Home", "https://eu.api.openai.com", None),
            ("Work", "http://127.0.0.1:1", "proj-w"),
        ]
        await stage.after(299, looks=2)
        await stage.after(1, looks=4)


async def test_a_disabled_account_and_disabled_polling_ask_nobody(work, home):
    async with Stage(work, home.replace(enabled=False)) as stage:
        await stage.after(0, looks=1)
        stage.settings = replace(SETTINGS, enabled=False)
        await asyncio.sleep(0.02)
        await stage.after(3000, looks=1)
        stage.settings = SETTINGS
        await stage.after(0, looks=2)


async def test_a_person_who_asks_is_told_at_once_and_the_next_look_waits_its_interval(work):
    async with Stage(work) as stage:
        await stage.after(0, looks=1)
        stage.now += 200
        assert (await stage.poller.ask(work)).today == Decimal(1)
        assert len(stage.delivered) == 2
        await stage.after(200, looks=2)
        await stage.after(100, looks=3)


async def test_a_person_may_ask_about_an_account_that_is_not_polled(home):
    stage = Stage(home)
    assert (await stage.poller.ask(home)).account == "Home"
    assert stage.asked == [("Home", "https://eu.api.openai.com", None)]


async def test_a_shorter_interval_counts_at_once(work):
    async with Stage(work) as stage:
        await stage.after(100, looks=1)
        stage.settings = replace(SETTINGS, interval_s=50)
        await stage.after(50, looks=2)


async def test_a_failure_is_asked_again_later_and_later(work, caplog):
    caplog.set_level(logging.INFO, "codex_manager.provider.poller")
    async with Stage(work) as stage:
        stage.answer = lambda _: {"error": "connection refused"}
        waits = []
        await stage.after(0, looks=1)
        for looks in range(2, 6):
            waits.append(stage.poller.due_in(work.id))
            await stage.after(waits[-1] - 1, looks=looks - 1)
            await stage.after(1, looks=looks)
        assert all(later > earlier for earlier, later in itertools.pairwise(waits))
        assert BACKOFF_FIRST_S <= waits[0] <= 72
        stage.answer = lambda _: {"today": Decimal(2)}
        await stage.after(3600, looks=6)
        assert stage.poller.due_in(work.id) == pytest.approx(300)
    said = [record.getMessage() for record in caplog.records]
    assert said == ["usage of account 'Work': connection refused", "usage of account 'Work' can be read again"]


async def test_what_is_not_offered_is_asked_again_in_a_day_or_when_the_account_changes(work):
    async with Stage(work) as stage:
        stage.answer = lambda _: {"offered": False, "error": "nothing about money"}
        await stage.after(0, looks=1)
        await stage.after(86_000, looks=1)
        stage.accounts = [work.replace(admin_key=Secret("sk-admin-another-one"))]
        await stage.after(0, looks=2)
        stage.accounts = [stage.accounts[0].replace(label="Renamed", daily_limit_usd=3.0)]
        await stage.after(100, looks=2)
        await stage.after(86_400, looks=3)
        assert stage.asked[-1][0] == "Renamed"


async def test_what_a_look_or_a_listener_throws_is_survived_and_shows_no_words(work, caplog):
    async with Stage(work) as stage:
        stage.answer = lambda _: 1 / 0
        while not caplog.records:
            await asyncio.sleep(0.002)
        assert "ZeroDivisionError" in caplog.text
        assert "division" not in caplog.text
        stage.answer = lambda _: {"today": Decimal(1)}
        await stage.after(3600, looks=1)
        stage.poller._deliver = lambda _: dict[str, None]()["sk-secret"]
        stage.now += 300
        while "KeyError" not in caplog.text:
            await asyncio.sleep(0.002)
        assert "sk-secret" not in caplog.text


async def test_accounts_that_cannot_be_listed_do_not_end_it(work, caplog):
    async with Stage(work) as stage:
        await stage.after(0, looks=1)
        listed, stage.accounts = stage.accounts, None
        while not caplog.records:
            await asyncio.sleep(0.002)
        stage.accounts = listed
        await stage.after(300, looks=2)


async def test_no_more_than_two_are_asked_at_once():
    accounts = [new_account(f"A{n}", Secret(f"sk-{n}-0123456789abcd")) for n in range(6)]
    gate, lock, state = threading.Event(), threading.Lock(), {"now": 0, "most": 0}

    def slowly(_):
        with lock:
            state["now"] += 1
            state["most"] = max(state["most"], state["now"])
        gate.wait(5)
        with lock:
            state["now"] -= 1
        return {"today": Decimal(1)}

    async with Stage(*accounts) as stage:
        stage.answer = slowly
        await asyncio.sleep(0.05)
        gate.set()
        await stage.after(0, looks=6)
    assert state["most"] == 2


async def test_stopping_waits_for_no_answer(work):
    gate = threading.Event()
    try:
        stage = Stage(work)
        stage.answer = lambda _: gate.wait(20) and {}
        async with stage:
            while not stage.asked:
                await asyncio.sleep(0.002)
        assert stage.delivered == []
    finally:
        gate.set()


async def test_an_account_that_left_delivers_no_more(work, home):
    gate = threading.Event()
    async with Stage(work) as stage:
        stage.answer = lambda _: gate.wait(5) and {"today": Decimal(1)}
        while not stage.asked:
            await asyncio.sleep(0.002)
        stage.accounts = [home]
        await asyncio.sleep(0.02)
        gate.set()
        await stage.after(0, looks=1)
        assert stage.delivered[0].account == "Home"


@pytest.mark.parametrize("failures", [1, 2, 5, 7, 50, 10_000])
def test_backoff_stays_between_a_minute_and_an_hour_and_scatters(failures):
    waits = {backoff(failures, random.Random(seed)) for seed in range(50)}
    assert all(BACKOFF_FIRST_S <= wait <= BACKOFF_LONGEST_S for wait in waits)
    assert len(waits) > 10


async def test_real_looks_reach_openai_while_the_loop_goes_on(work):
    got: asyncio.Queue[Snapshot] = asyncio.Queue()
    async with FakeOpenAI() as fake:
        fake.account("sk-work-0123456789", "org-a")
        fake.admin("sk-admin-0123456789", "org-a")
        fake.spent("org-a", "1.5")
        settings = replace(SETTINGS, base_url=fake.base_url)
        poller = Poller(accounts=lambda: [work], settings=lambda: settings, deliver=got.put_nowait, first_s=(0, 0))
        poller.start()
        poller.start()
        said = await asyncio.wait_for(got.get(), 10)
        await poller.aclose()
    assert (said.today, said.account_id) == (Decimal("1.5"), work.id)


async def test_a_silent_server_keeps_nobody_from_leaving(work):
    with blackhole() as port:
        settings = replace(SETTINGS, base_url=f"http://127.0.0.1:{port}")
        poller = Poller(
            accounts=lambda: [work], settings=lambda: settings, deliver=lambda _: None, first_s=(0, 0), tick_s=0.01
        )
        poller.start()
        await asyncio.sleep(0.05)
        async with asyncio.timeout(2):
            await poller.aclose()
