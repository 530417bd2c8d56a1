"""Limits hold whatever comes in whatever order: reserved, settled, given back, loaded, turned, killed."""

import datetime as dt
import itertools
import random

from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from codex_manager.core.snapshot import Snapshot
from codex_manager.core.spend import Spending
from codex_manager.core.window import Window, day_of, month_of


USD = Decimal
WORK, HOME, CI = ("account", "work"), ("account", "home"), ("client", "ci")
NOON = dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC).timestamp()
MIDNIGHT = dt.datetime(2026, 11, 2, tzinfo=dt.UTC).timestamp()
MONTH = dt.datetime(2026, 11, 1, tzinfo=dt.UTC).timestamp()
DAY_S = 86_400.0


def limited(daily="10", monthly=None, key=WORK, wall=NOON, zone=dt.UTC):
    spending = Spending(zone)
    spending.at(wall, wall - 1e9)
    spending.set_limits(key, USD(daily) if daily else None, USD(monthly) if monthly else None)
    return spending


def spend(spending, usd, number=1, keys=(WORK,)):
    spending.settle(spending.reserve(keys, USD(0)), USD(usd), number)


def snapshot(today=None, month=None, *, hard=None, at=NOON, day_start=MONTH, month_start=MONTH, wide=False, error=""):
    return Snapshot(
        account_id="work", account="Work", taken_at=at, day_start=int(day_start), month_start=int(month_start),
        today=USD(today) if today else None, month=USD(month) if month else None,
        hard_limit=USD(hard) if hard else None, organization_wide=wide, error=error,
    )  # fmt: skip


# --- one request after the other ---


def test_without_a_limit_nothing_is_asked_and_nothing_kept():
    spending = Spending()
    spending.at(NOON, 0.0)
    spend(spending, "1e6")
    assert spending.room(WORK, USD("1e9")) is None
    assert spending.share(WORK) is None
    assert not spending.accounts


def test_people_are_told_what_the_ledger_says_also_of_those_without_a_limit():
    spending = Spending()
    spending.at(NOON, 0.0)
    assert spending.spent(HOME) is None, "the ledger has not said anything"
    spending.load({HOME: (USD(2), USD(30))}, 1)
    assert spending.spent(HOME) == (USD(2), USD(30))
    assert spending.spent(WORK) == (USD(0), USD(0))
    spending.at(MIDNIGHT, DAY_S / 2)
    assert spending.spent(HOME) == (USD(0), USD(30)), "a new day of the same month"


def test_what_is_set_aside_counts_until_it_is_settled_or_given_back():
    spending = limited("10")
    one, other = spending.reserve([WORK, CI], USD(4)), spending.reserve([WORK], USD(5))
    assert spending.share(WORK) == 0.9
    assert spending.room(WORK, USD(1)) is None
    assert spending.room(WORK, USD("1.01")) is not None
    assert spending.settle(one, USD(1), 1)
    assert spending.release(other)
    assert spending.share(WORK) == 0.1
    assert not spending.release(one)
    assert not spending.settle(other, USD(9), 2)
    assert spending.share(WORK) == 0.1


def test_at_its_limit_an_account_is_out_until_the_window_turns():
    spending = limited("10")
    spend(spending, "10.03")
    shortage = spending.room(WORK, USD("0.01"))
    assert shortage is not None
    assert (shortage.window, shortage.turns_at, shortage.until) == ("day", MIDNIGHT, MIDNIGHT - (NOON - (NOON - 1e9)))
    assert shortage.is_reached
    spending.at(MIDNIGHT - 0.001, 0.0)
    assert spending.room(WORK, USD("0.01")) is not None
    spending.at(MIDNIGHT, 0.001)
    assert spending.room(WORK, USD("0.01")) is None
    assert spending.share(WORK) == 0.0


def test_the_day_turns_within_the_month():
    spending = limited("10", "15")
    spend(spending, "10")
    spending.at(MIDNIGHT, 0.0)
    assert spending.room(WORK, USD(5)) is None
    shortage = spending.room(WORK, USD("5.01"))
    assert shortage is not None
    assert shortage.window == "month"
    assert shortage.fits_never_now


def test_a_request_counts_in_the_window_in_which_it_was_sent():
    spending = limited("10", "100")
    hold = spending.reserve([WORK], USD(4))
    spending.at(MIDNIGHT, 0.0)
    assert spending.share(WORK) == 0.4, "as long as it is on its way it counts wherever it may end"
    spending.settle(hold, USD(4), 1)
    assert spending.accounts["work"].purses["day"].spent == 0
    assert spending.accounts["work"].purses["month"].spent == 4


def test_a_client_has_a_limit_of_its_own():
    spending = limited("1", key=CI)
    spend(spending, "1", keys=(WORK, CI))
    assert spending.room(CI, USD("0.01")) is not None
    assert spending.room(("client", "work"), USD(1)) is None
    assert spending.room(WORK, USD(1)) is None
    assert not spending.accounts


# --- limits and settings change ---


def test_a_limit_set_later_knows_what_the_ledger_said():
    spending = limited(None)
    spending.load({WORK: (USD(3), USD(30))}, 9)
    spending.set_limits(WORK, USD(4), USD(31))
    assert spending.room(WORK, USD(1)) is None
    assert spending.room(WORK, USD("1.01")) is not None
    spending.set_limits(WORK, USD(4), None)
    assert spending.share(WORK) == 0.75


def test_a_changed_limit_keeps_what_is_spent_and_set_aside():
    spending = limited("10")
    spend(spending, "4")
    hold = spending.reserve([WORK], USD(1))
    spending.set_limits(WORK, USD(20), None)
    assert spending.share(WORK) == 0.25
    spending.set_limits(WORK, None, None)
    assert spending.room(WORK, USD("1e9")) is None
    spending.settle(hold, USD(1), 2)
    assert not spending.accounts


def test_an_account_that_is_gone_is_forgotten():
    spending = limited("10")
    spending.learn(snapshot("1", hard="50"))
    spending.retain(["home"])
    assert not spending.accounts


@pytest.mark.parametrize("by", [-30.0, -3599.0])
def test_a_clock_that_is_corrected_does_not_turn_a_window_back(by):
    spending = limited("10")
    spending.at(MIDNIGHT + 1, 0.0)
    spend(spending, "10")
    spending.at(MIDNIGHT + by, 5.0)
    spend(spending, "1", 2)
    spending.at(MIDNIGHT + 6, 6.0)
    assert spending.accounts["work"].purses["day"].spent == 11


@pytest.mark.parametrize("change", [lambda s: s.at(NOON - 3 * DAY_S, 5.0), lambda s: setattr(s, "zone", ZoneInfo("Asia/Tokyo"))])  # fmt: skip
def test_after_a_change_of_clock_or_zone_what_was_spent_goes_on_counting_until_the_ledger_knows_better(change):
    spending = limited("10")
    spend(spending, "10")
    change(spending)
    assert spending.room(WORK, USD(1)) is not None
    spending.load({WORK: (USD(2), USD(30))}, 1)
    assert spending.room(WORK, USD(8)) is None


def test_when_a_window_turns_is_told_by_the_wall_clock_also_after_a_sleep():
    spending = limited("10")
    spend(spending, "10")
    spending.at(NOON + 3600, NOON - 1e9 + 10)  # the monotonic clock stood still
    shortage = spending.room(WORK, USD(1))
    assert shortage is not None
    assert shortage.until == pytest.approx(NOON - 1e9 + 10 + MIDNIGHT - NOON - 3600)


@pytest.mark.parametrize("wall", [0.0, 1000.0, -5.0, float("nan"), 1e18])
def test_a_clock_without_a_battery_does_not_lift_a_limit(wall):
    spending = limited("10", wall=wall)
    spend(spending, "10")
    spending.at(wall, 0.0)
    assert spending.room(WORK, USD(1)) is not None
    spending.at(NOON, 5.0)
    assert spending.share(WORK) in {0.0, 1.0}


# --- the ledger ---


def test_the_ledgers_figures_of_another_day_are_not_taken():
    spending = limited("10", "100")
    spending.at(MIDNIGHT + 1, 0.0)
    spend(spending, "1", 5)
    spending.load({WORK: (USD(9), USD(50))}, 5, day_start=MONTH, month_start=MONTH)
    purses = spending.accounts["work"].purses
    assert purses["day"].spent == 1
    assert purses["month"].spent == 50
    spending.load({WORK: (USD(1), USD(51))}, 6, day_start=MIDNIGHT, month_start=MONTH)
    assert purses["day"].spent == 1


def test_limits_known_before_the_time_are_filled_as_soon_as_it_is():
    spending = Spending()
    spending.set_limits(WORK, USD(10), None)
    spending.load({WORK: (USD(9), USD(9))}, 0, day_start=MONTH, month_start=MONTH)
    spending.learn(snapshot("9.5"))
    spending.at(NOON, 0.0)
    assert spending.room(WORK, USD("0.5")) is None
    assert spending.room(WORK, USD("0.6")) is not None


def test_who_is_not_in_the_ledger_has_spent_nothing():
    spending = limited("10")
    spend(spending, "4")
    spending.load({}, 0)
    assert spending.share(WORK) == 0.4, "it does not contain this yet"
    spending.load({}, 1)
    assert spending.share(WORK) == 0.0, "reset"


# --- OpenAI's word ---


def test_the_larger_of_both_figures_counts():
    spending = limited("10", "100")
    spending.load({WORK: (USD(3), USD(60))}, 0)
    spending.learn(snapshot("8", "50"))
    purses = spending.accounts["work"].purses
    assert (purses["day"].spent, purses["month"].spent) == (8, 60)
    spend(spending, "1")
    assert (purses["day"].spent, purses["month"].spent) == (9, 61)


def test_openais_figure_of_a_day_that_began_before_ours_does_not_count():
    spending = limited("10", wall=NOON, zone=ZoneInfo("America/New_York"))
    spending.learn(snapshot("8"))
    assert spending.share(WORK) == 0.0
    spending = limited("10", wall=NOON, zone=ZoneInfo("Asia/Tokyo"))
    spending.learn(snapshot("8"))
    assert spending.share(WORK) == 0.8


def test_a_look_of_yesterday_is_forgotten_at_midnight():
    spending = limited("10")
    spending.learn(snapshot("8"))
    spending.at(MIDNIGHT, 0.0)
    assert spending.share(WORK) == 0.0
    spending.learn(snapshot("9", at=NOON - 5))
    assert spending.share(WORK) == 0.0


def test_a_whole_organizations_spending_counts_only_against_openais_own_limit():
    spending = limited("10", "20")
    spending.learn(snapshot("500", "900", hard="1000", wide=True))
    assert spending.share(WORK) == 0.9
    shortage = spending.room(WORK, USD("10.5"))
    assert shortage is not None
    assert shortage.window == "day"
    spending.learn(snapshot("600", "1000", hard="1000", wide=True, at=NOON + 1))
    shortage = spending.room(WORK, USD("0.5"))
    assert shortage is not None
    assert shortage.window == "provider"


def test_what_our_other_accounts_spent_in_the_same_project_is_not_this_accounts():
    spending = limited("10", "100")
    spending.load({WORK: (USD(3), USD(30)), HOME: (USD(4), USD(40))}, 0)
    spending.learn(snapshot("8", "75", hard="80"), beside=["home", "nobody"])
    purses = spending.accounts["work"].purses
    assert {window: purse.spent for window, purse in purses.items()} == {"day": 4, "month": 35, "provider": 75}
    spending.learn(snapshot("2", "75", hard="80", at=NOON + 1), beside=["home"])
    assert purses["day"].spent == 3


def test_without_metering_nobody_is_held_to_anything():
    spending = limited("10")
    spending.set_limits(CI, USD(1), None)
    spending.load({WORK: (USD(10), USD(10)), CI: (USD(10), USD(10))}, 0)
    spending.learn(snapshot("8", "200", hard="100"))
    spending.clear()
    assert not spending.accounts
    assert spending.room(CI, USD(1)) is None
    spending.set_limits(WORK, USD(10), None)
    assert spending.room(WORK, USD(1)) is not None


def test_openais_hard_limit_holds_without_any_of_ours():
    spending = limited(None)
    spending.learn(snapshot(None, "99", hard="100"))
    assert spending.room(WORK, USD(1)) is None
    spend(spending, "0.5")
    assert spending.room(WORK, USD(1)) is not None
    spending.set_limits(WORK, None, None)
    assert spending.room(WORK, USD(1)) is not None, "the user's settings do not lift it"
    spending.learn(snapshot(None, "99.5", error="the limit could not be read", at=NOON + 1))
    assert spending.room(WORK, USD(1)) is not None
    spending.learn(snapshot(None, "99.5", hard="200", at=NOON + 2))
    assert spending.room(WORK, USD(1)) is None
    spending.learn(snapshot(None, "99.5", at=NOON + 3))
    assert not spending.accounts


def test_openais_month_is_utc_wherever_we_are():
    zone = ZoneInfo("America/New_York")
    spending = limited(None, zone=zone)
    spending.learn(snapshot(None, "120", hard="100"))
    shortage = spending.room(WORK, USD(1))
    assert shortage is not None
    assert shortage.turns_at == dt.datetime(2026, 12, 1, tzinfo=dt.UTC).timestamp()
    spending.at(shortage.turns_at, 0.0)
    assert spending.room(WORK, USD(1)) is None


@pytest.mark.parametrize("said", [snapshot(), snapshot(None, hard="0"), snapshot(None, hard="-1")])
def test_a_look_that_says_nothing_changes_nothing(said):
    spending = limited("10")
    spending.learn(said)
    assert list(spending.accounts["work"].purses) == ["day"]
    assert spending.share(WORK) == 0.0


def test_a_warning_comes_once_a_window():
    spending = limited("10", "20")
    spending.set_limits(CI, USD(9), None)
    spend(spending, "7.9", 1, [WORK, CI])
    assert list(spending.warnings()) == [(CI, "day", pytest.approx(7.9 / 9))]
    spend(spending, "0.2", 2)
    spending.warn_at = 0.5
    assert {(key, window) for key, window, _ in spending.warnings()} == {(WORK, "day")}
    assert list(spending.warnings()) == []
    spending.at(MIDNIGHT, 0.0)
    spend(spending, "8.1", 3)
    assert {(key, window) for key, window, _ in spending.warnings()} == {(WORK, "day"), (WORK, "month")}


# --- everything in any order ---


class World:
    """Requests, a ledger that lags behind, a clock that goes over midnights, and a process that is killed; all in the open."""

    KEYS = (WORK, HOME, CI)

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.zone = self.rng.choice([dt.UTC, ZoneInfo("Asia/Tokyo"), ZoneInfo("America/New_York")])
        self.wall = NOON + self.rng.random() * DAY_S
        self.limits = {
            key: (self.amount(20, 1), self.amount(60, 1) if self.rng.random() < 0.5 else None) for key in self.KEYS
        }
        self.numbers = itertools.count(1)
        self.last = self.through = 0
        self.records = []  # (number, wall, keys, usd)
        self.open = []  # (hold, wall, keys, need)
        self.excess = USD(0)
        self.admitted = self.refused = 0
        self.start()

    def amount(self, most, least=0):
        return USD(self.rng.randrange(least * 1000, most * 1000)) / 1000

    def start(self):
        self.spending = Spending(self.zone)
        self.spending.at(self.wall, self.wall)
        for key, (daily, monthly) in self.limits.items():
            self.spending.set_limits(key, daily, monthly)
        self.through = self.last
        self.load()

    def spent(self, key, span, through=None):
        return sum(
            (usd for number, wall, keys, usd in self.records
             if key in keys and wall in span and (through is None or number <= through)),
            USD(0),
        )  # fmt: skip

    def reserved(self, key):
        return sum((need for _, _, keys, need in self.open if key in keys), USD(0))

    def spans(self):
        return day_of(self.wall, self.zone), month_of(self.wall, self.zone)

    @staticmethod
    def fits(taken, need, limit):
        return taken + need <= limit if need else taken < limit

    # what can happen

    def request(self):
        keys, need = (self.rng.choice([WORK, HOME]), CI), self.amount(3)
        fits = True
        for key in keys:
            fits_here = all(
                limit is None or self.fits(self.spent(key, span) + self.reserved(key), need, limit)
                for span, limit in zip(self.spans(), self.limits[key], strict=True)
            )  # fmt: skip
            assert (self.spending.room(key, need) is None) == fits_here
            fits &= fits_here
        self.admitted += fits
        self.refused += not fits
        if fits:
            self.open.append((self.spending.reserve(keys, need), self.wall, keys, need))

    def settle(self):
        if self.open:
            hold, wall, keys, need = self.open.pop(self.rng.randrange(len(self.open)))
            usd = need * USD(self.rng.choice([0, 0.25, 1, 1, 1.5]))
            self.excess += max(usd - need, USD(0))
            self.last = next(self.numbers)
            self.records.append((self.last, wall, keys, usd))
            assert self.spending.settle(hold, usd, self.last)
            assert not self.spending.release(hold)

    def give_back(self):
        if self.open:
            hold, *_ = self.open.pop(self.rng.randrange(len(self.open)))
            assert self.spending.release(hold)

    def load(self):
        day, month = self.spans()
        self.through = self.rng.randint(self.through, self.last)
        figures = {
            key: (self.spent(key, day, self.through), self.spent(key, month, self.through))
            for key in self.KEYS if self.rng.random() < 0.9 or self.spent(key, month, self.through)
        }  # fmt: skip
        self.spending.load(figures, self.through, day_start=day.start, month_start=month.start)

    def late_load(self):
        """Worked out before midnight, told after it."""
        day, month = self.spans()
        figures = {key: (self.spent(key, day, self.last), self.spent(key, month, self.last)) for key in self.KEYS}
        through = self.last
        self.pass_time()
        self.spending.load(figures, through, day_start=day.start, month_start=month.start)
        self.through = max(self.through, through)
        self.load()

    def pass_time(self):
        self.wall += self.rng.choice([1.0, 60.0, 3600.0, 20_000.0, DAY_S])
        self.spending.at(self.wall, self.wall)

    def kill(self):
        """What was on its way is booked by the ledger at its estimate."""
        for _, wall, keys, need in self.open:
            self.last = next(self.numbers)
            self.records.append((self.last, wall, keys, need))
        self.open = []
        self.start()

    def play(self, steps):
        acts = (
            [self.request] * 8
            + [self.settle] * 4
            + [self.give_back, self.load, self.load, self.pass_time, self.late_load]
        )
        for _ in range(steps):
            self.rng.choice(acts)()
            if self.rng.random() < 0.02:
                self.kill()
            self.check()

    def check(self) -> None:
        for key in self.KEYS:
            table = self.spending.accounts if key[0] == "account" else self.spending._clients
            allowance = table[key[1]]
            assert allowance.reserved == self.reserved(key)
            names: tuple[Window, Window] = "day", "month"
            for span, name, limit in zip(self.spans(), names, self.limits[key], strict=True):
                if limit is not None:
                    purse = allowance.purses[name]
                    assert purse.spent == self.spent(key, span)
                    assert purse.spent + allowance.reserved <= limit + self.excess


@pytest.mark.parametrize("seed", range(60))
def test_no_limit_is_passed_and_none_refuses_what_fits(seed):
    world = World(seed)
    world.play(60)
    assert world.admitted


@pytest.mark.slow
@pytest.mark.parametrize("part", range(8))
def test_no_limit_is_passed_in_a_thousand_more_plays(part):
    for seed in range(1000 + part * 125, 1000 + (part + 1) * 125):
        World(seed).play(200)


def test_two_hundred_at_once_spend_what_ten_may():
    spending = limited("1")
    need = USD("0.1")
    holds = [spending.reserve([WORK], need) for _ in range(200) if spending.room(WORK, need) is None]
    assert len(holds) == 10
    for number, hold in enumerate(holds):
        spending.settle(hold, USD("0.1"), number + 1)
    assert spending.accounts["work"].purses["day"].spent == 1
