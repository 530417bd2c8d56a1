"""Usage in even steps, from a ledger that somebody wrote."""

import datetime as dt

from decimal import Decimal

import pytest

from codex_manager.core.record import Record
from codex_manager.core.usage import Usage
from codex_manager.ledger import Ledger, Reader
from codex_manager_cli.tui.figures import STEPS, figures_of


NOW = dt.datetime(2026, 11, 21, 14, 6, tzinfo=dt.UTC).timestamp()


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    path = tmp_path_factory.mktemp("figures") / "ledger.db"
    with Ledger.open(path, clock=lambda: NOW) as ledger:
        for hours, usd, account in (
            (0, "1.5", "1"),
            (0, "0.5", "2"),
            (3, "2", "1"),
            (30, "4", "1"),
            (24 * 40, "8", "2"),
        ):
            ledger.record(
                Record(
                    id=f"{hours}-{account}", time=NOW - hours * 3600, client="default", method="POST", endpoint="responses", model="gpt-5",
                    account_id=account, account=f"account {account}", status=200, usage=Usage(input=100, output=10), cost=Decimal(usd),
                )
            )  # fmt: skip
    with Reader.open(path) as reader:
        yield reader


@pytest.mark.parametrize(("span", "usd"), [("hour", 4.0), ("day", 8.0), ("month", 16.0)])
def test_each_step_is_a_bar_and_the_last_one_is_now(reader, span, usd):
    figures = figures_of(reader, span, "account", {"1": "work"}, NOW)
    assert len(figures.bars) == STEPS[span]
    assert sum(each.usd for each in figures.bars) == usd
    assert figures.bars[-1].name == {"hour": "14", "day": "21", "month": "Nov"}[span]
    assert figures.bars[-1].usd >= 2.0


def test_the_dearest_is_first_under_the_name_it_has_now(reader):
    figures = figures_of(reader, "day", "account", {"1": "work"}, NOW)
    assert [(each.name, each.usd, each.requests) for each in figures.rows] == [("work", 7.5, 3), ("account 2", 0.5, 1)]
    assert [each.name for each in figures_of(reader, "day", "model", {}, NOW).rows] == ["gpt-5"]
