"""Money in a running proxy: counted, remembered over a restart, held to limits, said when it is near; and what `/metrics` shows of it."""

import asyncio
import contextlib
import json
import threading

from decimal import Decimal

import pytest

from prometheus_client.parser import text_string_to_metric_families
from tests.proxy.runtime_rig import KEY, ask, code, in_force, incoming, new_home, running, warnings
from tests.support import POLLING

from codex_manager.core.secret import Secret
from codex_manager.ledger import Reader
from codex_manager.ledger.prices import Prices
from codex_manager.proxy import accounting, late_prices
from codex_manager.proxy.incoming import Admission
from codex_manager.testing import answers
from codex_manager.vault.upkeep import unlock


DEAR = "prices:\n  gpt-4o: {input: 1000000, output: 0}"
# A dollar a token: the chat of these tests has 9 of input, and is taken for 24 before it is sent.
COST = Decimal(9)


@pytest.fixture
async def home(tmp_path):
    async with new_home(tmp_path) as home:
        home.fake.account("sk-one", organization="org-a", project="proj_a")
        home.fake.account("sk-two", organization="org-b", project="proj_b")
        yield home


def recorded(home):
    with Reader.open(home.paths.ledger_file) as reader:
        return reader.requests()


def limit(home, label="One", **fields):
    with home.vault() as vault:
        vault.update(vault.account(label).replace(**fields))


async def samples(runtime, **headers):
    """The page, as numbers by name and labels."""
    status, body, _ = await page(runtime, **headers)
    assert status == 200
    families = text_string_to_metric_families(body.decode())
    return {
        (s.name.removeprefix("codex_manager_"), *sorted(s.labels.values())): s.value
        for f in families
        for s in f.samples
    }


async def page(runtime, method="GET", **changes):
    admitted = runtime.admit(incoming(method, "/metrics", **changes))
    answer = await runtime.carry(admitted, b"") if isinstance(admitted, Admission) else admitted
    body = b"".join([piece async for piece in answer.body])
    await answer.aclose()
    return answer.status, body, dict(answer.headers)


# Recording -----------------------------------------------------------------------------------------------------------


async def test_what_was_used_is_written_down_by_the_end(home):
    home.create("sk-one")
    async with running(home) as runtime:
        assert (await ask(runtime))[0] == 200
        assert (await ask(runtime, incoming("GET", "/v1/files"), b""))[0] == 200
        assert (await ask(runtime, incoming(key="sk-foreign")))[0] == 401
    records = {record.endpoint: record for record in recorded(home)}
    assert set(records) == {"chat/completions", "files"}
    chat = records["chat/completions"]
    assert (chat.account, chat.client, chat.model, chat.status) == ("One", "default", "gpt-4o", 200)
    assert (chat.usage.input, chat.usage.output, chat.estimated, chat.priced) == (9, 13, False, True)
    assert chat.cost == Decimal("0.0001525")  # 2.50 and 10 dollars a million
    assert (records["files"].usage, records["files"].cost) == (None, 0)


async def test_without_metering_nothing_is_written_until_it_is_wanted(home):
    home.create("sk-one")
    home.configure("metering: {enabled: false}")
    async with running(home) as runtime:
        assert (await ask(runtime))[0] == 200
        assert (await ask(runtime, incoming("GET", "/health")))[1]["recording"] == "off"
        assert not home.paths.ledger_file.exists()
        home.configure("metering: {enabled: true}")

        async def wanted():
            return (await ask(runtime, incoming("GET", "/health")))[1]["recording"] == "ok"

        await in_force(wanted)
        assert (await ask(runtime))[0] == 200
    assert len(recorded(home)) == 1


async def test_a_ledger_that_cannot_be_written_stops_nothing(home, caplog, monkeypatch):
    monkeypatch.setattr(accounting, "CLOSE_S", 0.1)
    home.create("sk-one")
    home.paths.ledger_file.mkdir()
    async with running(home) as runtime:
        for _ in range(3):
            assert (await ask(runtime))[0] == 200
        assert (await ask(runtime, incoming("GET", "/health")))[1]["recording"] == "failing"
        assert (await samples(runtime))["requests_total", "One", "chat/completions", "gpt-4o"] == 3
    assert sum("ledger" in said and "served all the same" in said for said in warnings(caplog)) == 1


@pytest.mark.slow
async def test_days_begin_where_the_configuration_says(home):
    home.create("sk-one")
    async with running(home) as runtime:
        await ask(runtime)
        home.configure("metering: {timezone: Pacific/Kiritimati}")  # 14 hours ahead, so never the same day's beginning

        async def moved():
            return str(runtime._engine.settings.zone) == "Pacific/Kiritimati"

        await in_force(moved)
        await ask(runtime)
    with Reader.open(home.paths.ledger_file) as reader:
        assert reader.calendar().name == "Pacific/Kiritimati"
        assert sum(row.requests for row in reader.usage(by="day")) == 2


# Prices --------------------------------------------------------------------------------------------------------------


async def test_a_price_of_ones_own_counts_from_then_on(home):
    home.create("sk-one")
    async with running(home) as runtime:
        await ask(runtime)
        home.configure(DEAR)

        async def dear():
            return runtime.config.prices.overrides()

        await in_force(dear)
        await ask(runtime)
    assert [record.cost for record in sorted(recorded(home), key=lambda record: record.time)] == [
        Decimal("0.0001525"),
        COST,
    ]


async def test_a_request_in_the_first_moments_waits_for_prices_and_not_for_ever(home, monkeypatch, caplog):
    """It would be held to limits, and booked, at the dearest price there is."""
    home.create("sk-one")
    may_load, load = threading.Event(), Prices.load

    def slow(*arguments):
        assert may_load.wait(10)
        return load(*arguments)

    monkeypatch.setattr(Prices, "load", slow)
    async with running(home) as runtime:
        asking = asyncio.create_task(ask(runtime))
        await asyncio.sleep(0.1)
        assert not home.fake.log
        may_load.set()
        assert (await asking)[0] == 200
    assert [record.cost for record in recorded(home)] == [Decimal("0.0001525")]
    monkeypatch.setattr(late_prices, "PATIENCE_S", 0.05)
    may_load.clear()
    async with running(home) as runtime:
        assert (await ask(runtime))[0] == 200
        may_load.set()
    assert [record.priced for record in sorted(recorded(home), key=lambda record: record.time)] == [True, False]


async def test_a_list_of_prices_that_cannot_be_read_is_said_and_everything_counts_dear(home, monkeypatch, caplog):
    def broken(*_):
        raise ImportError("sk-one")

    home.create("sk-one")
    monkeypatch.setattr(Prices, "load", broken)
    async with running(home) as runtime:
        assert (await ask(runtime))[0] == 200
    assert sum("the list of prices cannot be read" in record.getMessage() for record in caplog.records) == 1
    assert "sk-one" not in caplog.text
    assert [record.priced for record in recorded(home)] == [False]


# Limits --------------------------------------------------------------------------------------------------------------


async def test_a_limit_that_was_reached_holds_after_a_restart(home):
    home.create("sk-one")
    home.configure(DEAR)
    limit(home, daily_limit_usd=30.0)
    async with running(home) as runtime:
        assert await code(runtime) == (200, None)
        assert await code(runtime) == (429, "insufficient_quota")
    async with running(home) as runtime:
        assert await code(runtime) == (429, "insufficient_quota")
    assert home.fake.counts() == {"sk-one": 1}


async def test_an_account_at_its_limit_is_out_until_the_day_turns(home, monkeypatch):
    home.create("sk-one")
    home.configure(DEAR)
    home.fake.always("sk-one", answers.ok(usage={"prompt_tokens": 30}))
    limit(home, daily_limit_usd=30.0)
    async with running(home) as runtime:
        assert await code(runtime) == (200, None)
        assert (await ask(runtime, incoming("GET", "/ready")))[1] == {
            "status": "not ready",
            "reason": "no_usable_account",
        }
        (account,) = runtime._engine.report().accounts
        assert (account.state, account.available) == ("spent", False)
        assert "daily limit of $30.00 reached" in account.reason
        clock = runtime._engine.clock
        tomorrow = clock.time() + 86_400
        monkeypatch.setattr(clock, "time", lambda: tomorrow)
        assert await ask(runtime, incoming("GET", "/ready")) == (200, {"status": "ready"})
        assert await code(runtime) == (200, None)


async def test_a_limit_that_is_near_is_said_once(home, caplog):
    home.create("sk-one")
    home.configure("metering: {warn_at: 0.5}\n" + DEAR)
    limit(home, daily_limit_usd=60.0, monthly_limit_usd=1000.0)
    async with running(home) as runtime:
        for _ in range(4):
            assert await code(runtime) == (200, None)

        async def said():
            return any("daily limit" in text for text in warnings(caplog))

        await in_force(said)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.3):
                await asyncio.Event().wait()
        assert [text for text in warnings(caplog) if "limit" in text] == [
            "account 'One' has used 60% of its daily limit"
        ]


async def test_a_client_key_has_a_limit_of_its_own(home):
    home.create("sk-one")
    home.configure(DEAR)
    with home.vault() as vault:
        _, secret = vault.add_client_key("ci", daily_limit_usd=30.0, models=("gpt-4o",))
    ci = incoming(key=secret.reveal())
    async with running(home) as runtime:
        assert await code(runtime, ci) == (200, None)
        assert await code(runtime, ci) == (429, "insufficient_quota")
        assert await code(runtime) == (200, None)
        other = json.dumps({"model": "gpt-4o-mini", "messages": []}).encode()
        status, document = await ask(runtime, ci, other)
        assert (status, document["error"]["code"]) == (403, "model_not_allowed")
        assert (await samples(runtime))["client_limit_used_ratio", "ci"] == 0.3


# Domains -------------------------------------------------------------------------------------------------------------


async def test_whose_an_account_is_is_known_after_a_restart(home):
    home.create("sk-one", "sk-two")
    async with running(home) as runtime:
        for _ in range(4):
            await ask(runtime)

    async with running(home) as runtime:
        state = runtime._engine.state
        known = {c.account.label: state.accounts[c.account.id].domain for c in runtime._engine.candidates}
        assert known == {"One": "org-a/proj_a", "Two": "org-b/proj_b"}

    limit(home, label="Two", notes="edited")
    async with running(home) as runtime:
        state = runtime._engine.state
        known = {c.account.label: state.accounts[c.account.id].domain for c in runtime._engine.candidates}
        assert known["One"] == "org-a/proj_a"
        assert known["Two"].startswith("account:")


@pytest.mark.slow
async def test_an_account_that_comes_later_is_remembered_too(home):
    """Such as one of a vault that was locked at the start."""
    home.create("sk-one")
    async with running(home) as runtime:
        await ask(runtime)
    with home.vault() as vault:
        vault.lock()
    async with running(home) as runtime:
        assert await code(runtime) == (503, "vault_locked")
        await asyncio.to_thread(unlock, home.paths.vault_file, Secret(KEY))

        async def known():
            return [s.domain for s in runtime._engine.state.accounts.values()] == ["org-a/proj_a"]

        await in_force(known)


# Polling -------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_what_openai_says_counts_and_is_kept(home, caplog):
    """The first look comes within 3 s."""
    home.environ[POLLING] = "true"
    home.create("sk-one")
    home.configure(DEAR)
    home.fake.billing("sk-one", hard_limit=100, spent=95)
    async with running(home) as runtime:

        async def heard():
            return (await samples(runtime)).get(("account_limit_used_ratio", "One")) == 0.95

        await in_force(heard)
        assert "account 'One' has used 95% of its monthly limit at OpenAI" in warnings(caplog)
        assert await code(runtime) == (429, "insufficient_quota")
    with Reader.open(home.paths.ledger_file) as reader:
        (snapshot,) = reader.snapshots().values()
    assert (snapshot.hard_limit, snapshot.month) == (Decimal(100), Decimal(95))
    home.environ[POLLING] = "false"
    async with running(home) as runtime:
        assert await code(runtime) == (429, "insufficient_quota")


# /metrics ------------------------------------------------------------------------------------------------------------


async def test_metrics_show_what_happened(home):
    home.create("sk-one", "sk-two")
    home.configure("routing: {strategy: priority}")
    limit(home, priority=1, daily_limit_usd=100.0)
    async with running(home) as runtime:
        await ask(runtime)
        home.fake.always("sk-one", answers.rate_limited(retry_after=60))
        await ask(runtime)
        found = await samples(runtime)
    assert found["requests_total", "One", "chat/completions", "gpt-4o"] == 1
    assert found["requests_total", "Two", "chat/completions", "gpt-4o"] == 1
    assert found["failovers_total", "One", "rate"] == 1
    assert found["tokens_total", "One", "gpt-4o", "input"] == 9
    assert found["spent_usd_total", "One", "gpt-4o", "reported"] == pytest.approx(0.0001525)
    assert found["client_requests_total", "default"] == 2
    assert 50 < found["cooldown_seconds", "One", "gpt-4o"] <= 60
    assert found["account_state", "One", "limited"] == 1
    assert 0 < found["account_limit_used_ratio", "One"] < 0.01
    assert found["ledger_dropped_rows_total",] == 0


async def test_metrics_take_a_key_unless_they_are_open_or_off(home):
    home.create("sk-one")
    async with running(home) as runtime:
        assert (await page(runtime, key="sk-foreign"))[0] == 401
        status, body, headers = await page(runtime)
        assert (status, headers[b"Content-Type"]) == (200, b"text/plain; version=0.0.4; charset=utf-8")
        assert b"One" in body
        status, body, _ = await page(runtime, "HEAD")
        assert (status, body) == (200, b"")
        assert (await page(runtime, "POST"))[0] == 405
        home.configure("metrics: {open: true}")

        async def opened():
            return (await page(runtime, key="sk-foreign"))[0] == 200

        await in_force(opened)
        home.configure("metrics: {enabled: false}")

        async def off():
            return (await page(runtime))[0] == 404

        await in_force(off)


@pytest.mark.slow
async def test_many_scrapes_at_once_and_requests_between_them(home):
    home.create("sk-one")
    async with running(home) as runtime:
        pages = [asyncio.create_task(page(runtime)) for _ in range(20)]
        assert (await ask(runtime))[0] == 200
        assert {status for status, _, _ in await asyncio.gather(*pages)} == {200}
