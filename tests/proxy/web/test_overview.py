"""The dashboard: what it says of traffic, limits and trouble, over the real page in front of a real runtime and a fake OpenAI."""

import asyncio
import contextlib
import html
import json
import re
import time

from decimal import Decimal
from typing import Any

import pytest

from tests.proxy.runtime_rig import ask, incoming
from tests.proxy.web.page_rig import visiting
from tests.support import account
from websockets.asyncio import client

from codex_manager.config.paths import Paths
from codex_manager.core.record import Attempt, Record
from codex_manager.core.usage import Usage
from codex_manager.ledger import Ledger
from codex_manager.proxy.inspect.recent import Recent
from codex_manager.proxy.web import hub
from codex_manager.proxy.web.feed import row_of
from codex_manager.proxy.web.history import History
from codex_manager.proxy.web.present import MOST_SHOWN, spenders, verdict
from codex_manager.testing import FakeOpenAI, answers


WORK, HOME = "sk-work-canary-0123456789", "sk-home-canary-0123456789"
OFF = "metering: {enabled: false}\n"
MODEL = "gpt-4o"
HOSTILE = "<script>alert(1)</script>\"'"


@pytest.fixture
def paths(tmp_path):
    return Paths(tmp_path, tmp_path)


@contextlib.asynccontextmanager
async def dashboard(paths, *, config="", work=None, home=None):
    """Two accounts in front of a fake OpenAI."""
    async with FakeOpenAI() as fake:
        fake.account(WORK, organization="org-a")
        fake.account(HOME, organization="org-b")
        two = [account("Work", WORK, **(work or {})), account("Home", HOME, **(home or {}))]
        async with visiting(paths, two, f"proxy: {{openai_base_url: {fake.base_url}}}\n{config}") as visitor:
            yield visitor, fake


def chat(model=MODEL, **more):
    return json.dumps({"model": model, "messages": [{"role": "user", "content": "hello"}], **more}).encode()


async def send(visitor, model=MODEL, **more):
    status, _ = await ask(visitor.runtime, incoming(), chat(model, **more))
    return status


def first(pattern, text) -> str:
    """What the pattern's group finds."""
    found = re.search(pattern, text, re.DOTALL)
    assert found, pattern
    return found[1]


def words(page):
    """The text of a page, tags and runs of spaces left out."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def part(page, name):
    """One part of it, from its id to the next of them."""
    found = re.search(
        rf'<\w+ id="{name}".*?(?=<\w+ id="(?:standing|alerts|tiles|best|spending|figures|told|feed)"|\Z)',
        page,
        re.DOTALL,
    )
    assert found, f"no part {name}"
    return words(found[0])


@contextlib.asynccontextmanager
async def live(visitor, page, monkeypatch):
    """What is pushed to a page that is open, as far as it has come."""
    monkeypatch.setattr(hub, "TICK_S", 0.01)
    address = html.unescape(first(r'ws-connect="([^"]+)"', page))
    kept = "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())
    async with client.connect(
        visitor.url.replace("http:", "ws:") + address, additional_headers={"Cookie": kept}, open_timeout=20
    ) as connection:
        yield connection


async def pushed(connection, *wanted):
    """Wait until all of this has been told."""
    async with asyncio.timeout(20):
        told = ""
        while not all(each in words(told) for each in wanted):
            told += await connection.recv()
    return told


# Without anything -----------------------------------------------------------------------------------------------------


async def test_an_empty_install_is_told_what_to_do(paths):
    async with visiting(paths) as visitor:
        page = await visitor.text("/codex")
    assert "There is no account yet" in part(page, "best")
    assert 'href="/codex/accounts"' in page
    assert "no account yet" in part(page, "standing")
    assert "export OPENAI_BASE_URL=http://127.0.0.1:8080" in part(page, "feed")
    assert "export OPENAI_API_KEY=sk-codex-manager" in part(page, "feed")
    assert "Nothing is spent" in part(page, "spending")


async def test_a_local_key_of_ones_own_is_not_shown_and_uncounted_usage_is_said(paths):
    own = "sk-own-local-key-0123456789"
    async with dashboard(paths, config=OFF) as (visitor, _):
        (paths.config_file).write_text(paths.config_file.read_text().replace("proxy: {", f"proxy: {{api_key: {own}, "))
        await visitor.runtime.reload()
        page = await visitor.text("/codex?range=30d&model=gpt-5")
        assert own not in page
        assert "Usage is not counted" in part(page, "alerts")
        assert "requests are not recorded" in part(page, "feed")
        visitor.runtime.engine.update(accounts=None)
        page = await visitor.text("/codex")
    assert "vault locked" in part(page, "standing")
    assert "The vault is locked" in part(page, "alerts")
    assert own not in page


async def test_odd_questions_get_the_page_all_the_same(paths):
    async with visiting(paths, [account("Work", WORK)], OFF) as visitor:
        for query in ("range=nothing", "model=" + "x" * 5000, "model=%00%1b", "model=%3Cscript%3E", "range=30d&model="):
            page = await visitor.text(f"/codex?{query}")
            assert "<script>" not in page.replace("<script src=", "")
        assert (await visitor.ask("/codex/requests/nobody")).code == 404
        assert (await visitor.ask("/codex/requests/..%2f..%2fvault")).code == 404
        visitor.cookies.clear()
        for path in ("/codex", "/codex/requests/x"):
            assert (await visitor.ask(path)).code == 403


# Traffic --------------------------------------------------------------------------------------------------------------


async def test_a_failover_is_seen_as_it_falls_and_explained(paths, monkeypatch):
    async with dashboard(paths, work={"daily_limit_usd": 5.0}) as (visitor, fake):
        assert await send(visitor) == 200
        page = await visitor.text("/codex")
        assert "1" in part(page, "tiles")
        async with live(visitor, page, monkeypatch) as connection:
            await pushed(connection, "all is well", MODEL)
            fake.script(WORK, answers.rate_limited(retry_after=60.0))
            for _ in range(3):
                assert await send(visitor) == 200
            told = await pushed(
                connection, "⇄ failover Work 429", "rate limited, again in", "1 of 2 accounts can serve", "of $5.00"
            )
        assert 'hx-swap-oob="true"' in told
        page = await visitor.text("/codex")
        assert "Home no other account can serve" in part(page, "best")
        assert "25 % of the requests" in part(page, "tiles")
        name = first(r'class="ok moved">.*?href="(/codex/requests/[^"]+)"', page)
        whole = await visitor.text(name)
        assert "<html" in whole
        fragment = (await visitor.ask(name, headers={"HX-Request": "true"})).body.decode()
        assert "<html" not in fragment
        for text in (whole, fragment):
            assert "-> 429 after" in html.unescape(text)
            assert "2. Home, only: no other account can serve" in text
        visitor.face.recent._by_id.clear()
        async with asyncio.timeout(10):
            while (await visitor.ask(name)).code != 200:  # the ledger writes ten times a second
                await asyncio.sleep(0.02)
        assert "2. Home, only" in await visitor.text(name)
        everything = told + page + whole + fragment
    assert WORK not in everything
    assert HOME not in everything
    assert "hello" not in everything


async def test_limits_refusals_and_hostile_names(paths):
    async with dashboard(
        paths, config=OFF.replace("false", "true"), work={"daily_limit_usd": 1.0}, home={"models": ("gpt-*", "<b>*")}
    ) as (visitor, _):
        engine = visitor.runtime.engine
        spending = engine.state.spending
        key = ("account", engine.candidates[0].account.id)
        spending.settle(spending.reserve([key], Decimal(0)), Decimal("0.85"), 1)
        page = await visitor.text("/codex")
        assert "Work comes near its daily limit: $0.8500 of $1.00, counts anew in" in part(page, "alerts")
        assert "85 % · near" in part(page, "spending")
        spending.set_limits(("client", "ci"), Decimal(1), None)
        for holder in (key, ("client", "ci")):
            spending.settle(spending.reserve([holder], Decimal(0)), Decimal("1.5"), 2)
        page = await visitor.text(f"/codex?model={MODEL}")
        assert "Work has reached its daily limit" in part(page, "alerts")
        assert "client key ci has reached its daily limit" in part(page, "alerts")
        assert "Home no other account can serve" in part(page, "best")
        assert await send(visitor, HOSTILE) == 429
        page = await visitor.text("/codex")
        assert HOSTILE not in page
        assert "<b>" not in page
        assert "not for this model (gpt-*, <b>*)" in html.unescape(page)
        assert html.escape(HOSTILE) in page or "&lt;script&gt;" in page
        assert "refused spending limit, not for this model" in part(page, "feed")
        assert "nobody Something stands against every account" in part(page, "best")  # of the model asked for most
        assert "1 failed" in part(page, "tiles")


def record(name="r", **fields):
    made = {"id": name, "time": time.time(), "client": "default", "method": "POST", "endpoint": "responses", "model": MODEL,
            "account_id": "a", "account": "A", "status": 200, "attempts": (Attempt("a", "A", 0, 0.1, 200, by="priority"),)} | fields  # fmt: skip
    return Record(**made)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, {"kind": "ok", "why": "the highest priority at hand", "moved": False, "usd": None, "input": None}),
        ({"usage": Usage(input=3, output=4), "cost": Decimal("0.5"), "estimated": True},
         {"input": 3, "output": 4, "usd": 0.5, "estimated": True}),
        ({"failure": "transient", "status": 500}, {"kind": "failed", "failure": "an error at OpenAI"}),
        ({"failure": "gone"}, {"kind": "left"}),
        ({"account_id": None, "account": None, "failure": "no_usable_account", "attempts": (),
          "detail": {"out": [["a", "rate", "", 1.0], ["b", "limit", "daily", None], ["c", "rate", "", None], ["odd"]]}},
         {"kind": "refused", "account": "", "against": "rate limited, spending limit"}),
        ({"model": "x\x1b[31m" + "y" * 500}, {"model": "x\N{REPLACEMENT CHARACTER}[31m" + "y" * 53 + "…"}),
        ({"attempts": (Attempt("b", "B", 0, 0.1, 0, "pre_dispatch"), Attempt("a", "A", 0.1, 0.1, 200, by="from a newer version"))},
         {"moved": True, "why": "from a newer version"}),
    ],
)  # fmt: skip
def test_how_a_request_is_shown(fields, said):
    row = row_of(record(**fields))
    assert {name: getattr(row, name) for name in said} == said


async def test_with_hundreds_of_accounts_it_stays_short(paths):
    many = [account(f"Account {number}", f"sk-many-canary-{number:06}", daily_limit_usd=1.0) for number in range(60)]
    async with visiting(paths, many, "") as visitor:
        engine = visitor.runtime.engine
        found = verdict(engine, MODEL, priced=visitor.runtime.knows_prices())
        assert found is not None
        shown, more = spenders(engine, engine.report().accounts, warn_at=0.8)
        page = await visitor.text("/codex")
    assert (len(found.others), found.more) == (MOST_SHOWN, 59 - MOST_SHOWN)
    assert (len(shown), more) == (MOST_SHOWN, 60 - MOST_SHOWN)
    assert len(page) < 60_000
    assert "sk-many" not in page


# Over time ------------------------------------------------------------------------------------------------------------


async def test_what_was_before_is_read_once_and_counted_once(paths):
    now = time.time()
    ledger = Ledger.open(paths.ledger_file, retention_days=90)
    for number, ago in enumerate((100, 3000, 40_000, 3 * 86_400, 20 * 86_400)):
        ledger.record(record(f"old{number}", time=now - ago, cost=Decimal("0.25"), first_byte_s=0.5))
    assert ledger.close(10)
    recent = Recent(10)
    history: Any = History(recent, paths.ledger_file)
    recent.record(record("new", time=now + 0.5))
    assert history.series("24h").total.requests == 1
    for name in ("24h", "24h", "1h"):
        history.freshen(name)
        await history._reading
    assert history.series("24h").total.requests == 4
    assert history.series("1h").total.usd == 0.5
    assert len(history.series("24h", rows=True).starts) == 24
    assert history.known_from is None
    told = []
    history.freshen("30d", then=lambda: told.append(1))
    await history._reading
    days = history.series("30d")
    assert (len(days.starts), days.total.requests, days.total.usd, told) == (30, 5, 1.25, [1])
    history.freshen("30d", then=lambda: told.append(2))
    assert history._reading.done(), "not again within a minute"


async def test_a_ledger_that_cannot_be_read_leaves_the_charts_without_it(paths, caplog):
    history: Any = History(Recent(10), paths.ledger_file)
    history.freshen("30d")
    await history._reading
    assert history.series("30d") is None
    paths.ledger_file.write_bytes(b"no database" * 1000)
    history.freshen("24h")
    await history._reading
    assert history.series("24h").total.requests == 0
    assert "the charts lack what is in the ledger" in caplog.text


async def test_ranges_are_links_and_have_their_figures_in_numbers_too(paths, monkeypatch):
    async with dashboard(paths) as (visitor, _):
        await send(visitor)
        for name, rows in (("1h", 12), ("24h", 24)):
            page = await visitor.text(f"/codex?range={name}")
            series = json.loads(html.unescape(first(r'data-series="([^"]*)"', page)))
            assert len(series["t"]) == len(series["requests"]) == len(series["p95"]) == {"1h": 60, "24h": 96}[name]
            assert sum(series["requests"]) == 1
            assert part(page, "told").startswith(
                f"1 request in the last {'hour' if name == '1h' else '24 hours'} ; 0 moved"
            )
            assert page.count('<tr><th scope="row">') == rows
            assert f'id="range-{name}"' in page
        page = await visitor.text("/codex?range=30d")
        async with live(visitor, page, monkeypatch) as connection:
            told = await pushed(connection, "in the last 30 days")
    assert "p95" not in part(told, "told")


async def test_while_prices_are_not_read_yet_limits_do_not_seem_too_small(paths, monkeypatch):
    async with dashboard(paths, work={"daily_limit_usd": 0.05}, home={"daily_limit_usd": 0.05}) as (visitor, _):
        assert await send(visitor) == 200  # it waited for the prices
        assert "most room left" in part(await visitor.text(f"/codex?model={MODEL}"), "best")
        monkeypatch.setattr(visitor.runtime, "knows_prices", lambda: False)
        monkeypatch.setattr(visitor.runtime.engine.metering, "need", lambda asked: Decimal(5))
        assert "most room left" in part(await visitor.text(f"/codex?model={MODEL}"), "best")
        monkeypatch.setattr(visitor.runtime, "knows_prices", lambda: True)
        assert "nobody" in part(await visitor.text(f"/codex?model={MODEL}"), "best")
