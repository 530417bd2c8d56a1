"""One request as a page: the decision in words, what happened, what it cost."""

import datetime as dt

from decimal import Decimal

import pytest

from tests.core.telling.recorded import ID, NOON, OLD, WORK, record

from codex_manager.core.telling.story import Story
from codex_manager.core.telling.story_page import as_page
from codex_manager.core.usage import Usage


def page(told, zone=dt.UTC, **fields):
    return as_page(Story(told, labels={OLD: "old"}, **fields), NOON + 200, zone)


def test_a_page_tells_the_decision_of_each_attempt_and_what_came_of_it():
    assert (
        page(record(detail={"saved": "0.0045", "stripped": 2}, session="c0ffee" * 8))
        == f"""\
request       {ID}
came          2026-11-18 12:00:00 UTC, 3 m ago
asked         POST responses, gpt-5, streamed; by client default
conversation  c0ffeec0ffeec0ff

1. work, least_utilized: most room left
   old  disabled  -
   -> 429 after 0.21 s: rate limited (rate, rate_limit_exceeded); asked 1 ms after it came

2. home, only: no other account can serve
   work  rate limited  until 12:00:12, 12 s later
   old   disabled      -
   -> 200 after 0.84 s; asked 0.21 s after it came

answer    200 from home
took      4.20 s, its first byte after 1.05 s
used      1,234 tokens in (1,000 of them cached), 56 out (20 of them reasoning)
cost      $0.0123
saved     about $0.0045 by staying where its prompt cache is
stripped  2"""
    )


def test_times_are_those_of_the_readers_clock_with_the_date_where_it_is_another():
    east = dt.timezone(dt.timedelta(hours=11, minutes=59, seconds=50))
    shown = page(record(), east)
    assert "came     2026-11-18 23:59:50" in shown
    assert "until 2026-11-19 00:00:02, 12 s later" in shown


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"estimated": True}, "$0.0123; estimated, because the answer did not say what it used"),
        ({"priced": False}, "the model has no price and counts as the dearest of its family"),
        ({"open": True, "object_id": "resp_1"}, "an estimate until the usage of resp_1 is known"),
        ({"failure": "gone", "status": 0}, "none from home: the client left"),
        ({"failure": "mid_stream"}, "200 from home: the answer broke off"),
        ({"account": None, "account_id": None, "status": 429, "failure": "rate_limit_exceeded", "usage": None, "cost": Decimal(0)},
         "429 of codex-manager's own: rate_limit_exceeded"),
        ({"model": None, "usage": None, "cost": Decimal(0)}, "POST responses, no model"),
        ({"usage": Usage(images=2, seconds=1.5, calls=(("web_search", 3),), tier="flex")}, "2 images; 1.5 s of sound or video; 3 web_search; tier flex"),
        ({"model": "x\x1b[31m\u202e\ny"}, "x\ufffd[31m\ufffd\ufffdy, streamed"),
        ({"detail": {"saved": "much"}}, "cost"),
        ({"detail": {"out": [[WORK, "billing", "", NOON + 300], [OLD, "limit", "daily limit of $20.00 reached", NOON]]}},
         ("no account could serve\n   work  out of credit                  until 12:05:00, 5 m later\n"
         "   old   daily limit of $20.00 reached  -")),
    ],
)  # fmt: skip
def test_what_is_special_about_a_request_is_said(fields, expected):
    assert expected in page(record(**fields))
