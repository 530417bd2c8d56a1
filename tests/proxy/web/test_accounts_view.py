"""Rows of the table of accounts, in words: each state, what it has spent, which of its models rest."""

from decimal import Decimal

import pytest

from tests.support import account

from codex_manager.proxy.local_keys import LocalKey
from codex_manager.proxy.web.accounts_view import client_rows, rows, shape


WORK = account("Work", "sk-work-0123456789abcdef")
SOON = "2026-11-21T12:00:00Z"


def same(text):
    assert text, "of an empty text gettext makes a catalogue's header"
    return text


def spent(_):
    return Decimal("0.5"), Decimal(3)


def row(state="ready", reason=None, *, of=WORK, limits=(), models=(), retry_at=None, spent=spent):
    standing = {
        "id": of.id, "state": state, "reason": reason, "retry_at": retry_at, "in_flight": 2, "limits": list(limits),
        "models": [{"model": name, "state": doing, "retry_at": SOON, "used": None} for name, doing in models],
    }  # fmt: skip
    (found,) = rows([of], None, {"accounts": [standing]}, spent, same)
    return found


@pytest.mark.parametrize(
    ("state", "reason", "looks", "why"),
    [
        ("ready", None, "good", ""),
        ("limited", "rate limited", "warn", ""),
        ("billing", "out of credit", "bad", "OpenAI says that its credit is used up."),
        ("failing", "it kept failing", "warn", "It kept failing; others are asked first."),
        ("auth_failed", "its key was refused (revoked)", "bad", "its key was refused (revoked)"),
        ("unusable", "its base URL is no URL", "bad", "its base URL is no URL"),
        ("disabled", "disabled", "off", ""),
        ("a state of a later version", None, "warn", ""),
    ],
)
def test_each_state_has_words_and_a_look(state, reason, looks, why):
    found = row(state, reason)
    assert (found.looks, found.why, found.in_flight) == (looks, why, 2)
    assert found.state


def test_a_limit_shows_what_counts_against_it_and_without_one_what_was_spent():
    limit = {"window": "day", "spent_usd": 5.1, "limit_usd": 5.0, "turns_at": SOON}
    found = row("spent", "daily limit …", limits=[limit], retry_at=SOON)
    day, month = found.money
    assert (day.spent, day.limit, day.share) == (5.1, 5.0, pytest.approx(1.02))
    assert (month.spent, month.limit, month.share) == (Decimal(3), None, None)
    assert (found.why, found.retry_at) == ("Its daily limit is reached.", SOON)
    assert [each.spent for each in row(spent=lambda _: None).money] == [None, None], "nothing is counted"


def test_models_that_rest_are_named_with_their_own_times_the_first_few():
    resting = [(name, "resting") for name in ("a", "b", "c", "d")]
    found = row("limited", "rate limited", models=[("ready-one", "ready"), *resting], retry_at=SOON)
    assert [each["model"] for each in found.resting] == ["a", "b", "c"]
    assert found.more_resting == 1
    assert found.retry_at is None, "they say it"


def test_an_account_that_the_proxy_left_out_is_shown_and_says_why():
    (left_out,) = rows([WORK], WORK.id, {"accounts": []}, spent, same)
    assert (left_out.looks, left_out.data["switched_to"]) == ("bad", True)
    assert "leads back to this proxy" in left_out.why
    (off,) = rows([WORK.replace(enabled=False)], None, {"accounts": []}, spent, same)
    assert (off.looks, off.why) == ("off", "")


def test_of_a_key_only_its_end_is_in_a_row():
    found = row()
    assert found.data["key"] == "…cdef"
    assert "0123456789" not in repr(found)


def test_clients_have_their_limits_and_the_one_of_the_configuration_is_first():
    found = client_rows([LocalKey("ci", b"x", models=("gpt-4o",), daily_limit_usd=2.0)], spent, same, "default")
    assert [(each.name, each.is_default) for each in found] == [("default", True), ("ci", False)]
    assert [each.share for each in found[1].money] == [0.25, None]


def test_the_shape_differs_when_what_is_stored_differs():
    key = LocalKey("ci", b"x")
    shapes = {
        shape(None, None, []), shape([], None, []), shape([WORK], None, []), shape([WORK], WORK.id, []),
        shape([WORK.replace(updated_at="later")], None, []), shape([WORK], None, [key]),
        shape([WORK], None, [LocalKey("ci", b"x", daily_limit_usd=1.0)]),
    }  # fmt: skip
    assert len(shapes) == 7
    assert shape([WORK], None, [key]) == shape([WORK], None, [key])
