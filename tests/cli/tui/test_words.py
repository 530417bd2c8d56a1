"""What stands in cells is short, harmless, and never says nothing of something."""

import pytest

from tests.cli.tui.stage import a_request

from codex_manager_cli.tui import words


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(None, ""), (0.0004, "0ms"), (0.43, "430ms"), (0.9996, "1.0s"), (1.24, "1.2s"), (34.4, "34s"), (99.6, "1m40s"), (192, "3m12s"),
     (3600, "1h00m"), (7384, "2h03m")],
)  # fmt: skip
def test_durations_fit_five_cells(seconds, shown):
    assert words.lasted(seconds) == shown


@pytest.mark.parametrize(
    ("until", "shown"),
    [(None, ""), (-5, ""), (0, ""), (0.3, "1s"), (42, "42s"), (185, "3m05s"), (18_720, "5h12m"), (273_600, "3d4h")],
)
def test_countdowns_end_in_nothing(until, shown):
    assert words.left(None if until is None else 1000.0 + until, 1000.0) == shown


@pytest.mark.parametrize(
    ("usd", "shown"),
    [(None, ""), (0.0, "$0.00"), (0.000004, "<$.0001"), (0.0021, "$0.0021"), (1.0, "$1.00"), (1234.5, "$1,234.50")],
)
def test_a_cheap_request_is_not_free(usd, shown):
    assert words.money(usd) == shown


@pytest.mark.parametrize(
    ("usd", "shown"),
    [
        (None, "-"),
        (0.0, "$0.00"),
        (999.994, "$999.99"),
        (1234.5, "$1,234"),
        (12_345.0, "$12.3k"),
        (2_500_000.0, "$2.5M"),
    ],
)
def test_amounts_fit_a_column(usd, shown):
    assert words.amount(usd) == shown


@pytest.mark.parametrize(
    ("number", "shown"), [(None, ""), (9999, "9,999"), (12_345, "12.3k"), (999_400, "999k"), (4_500_000, "4.5M")]
)
def test_counts_fit_five_cells(number, shown):
    assert words.count(number) == shown
    assert len(shown) <= 5


@pytest.mark.parametrize(("share", "used"), [(0, 0), (0.0001, 1), (0.5, 8), (0.9999, 8), (1, 8), (7, 8)])
def test_a_bar_never_says_nothing_of_something_or_all_of_less(share, used):
    bar, rest = words.meter(share, 8)
    assert len(bar) + len(rest) == 8
    assert (bar == "") == (share == 0)
    assert (bar == "━" * 8) == (share >= 1)
    if used == 8 and share == 0.9999:
        assert bar == "━" * 7 + "╸"
    assert words.bar(share, 8).strip() != "" or share == 0
    assert (words.bar(share, 8) == "█" * 8) == (share >= 1)


def test_what_a_client_said_cannot_steer_the_terminal():
    assert words.plain("gpt\x1b[2J\r\n\x9b5\u202ex") == "gpt�[2J���5�x"
    assert words.plain("x" * 5000, 10) == "x" * 9 + "…"
    assert words.plain("[bold red]no markup[/]") == "[bold red]no markup[/]"


def test_a_failover_tells_who_was_asked_in_which_order():
    line = a_request("1", tried=(("home", "rate"), ("acme", "billing")), tries=3)
    assert words.route(line) == "home → acme → work"
    assert words.whole_why(line) == "home: rate limited; acme: out of credit → least_utilized: most room left"
    assert words.short_why(line) == "most room"


def test_the_last_of_those_that_failed_is_named_once():
    line = a_request("1", account="home", tried=(("acme", "rate"), ("home", "rate")), status=429, failure="rate")
    assert words.route(line) == "acme → home"
    assert words.status(line) == ("429", "bad")


@pytest.mark.parametrize(
    ("fields", "shown"),
    [({}, ("200", "good")), ({"duration_s": None}, ("···", "accent")), ({"failure": "gone"}, ("499", "dim")),
     ({"status": 0, "failure": "mid_stream"}, ("cut", "bad"))],
)  # fmt: skip
def test_the_status_says_how_it_ended(fields, shown):
    assert words.status(a_request("1", **fields)) == shown
