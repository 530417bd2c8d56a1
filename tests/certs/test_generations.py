"""An authority is replaced in time, at once when it must be, and never twice for the same reason."""

import datetime as dt

from typing import Any

import pytest

from codex_manager_certs.certificates import AUTHORITY_LIFETIME, BACKDATE
from codex_manager_certs.errors import AuthorityError
from codex_manager_certs.generations import KEPT, anew, due, renewed


HOSTS = frozenset({"api.openai.com"})
START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
END = START + AUTHORITY_LIFETIME


def day(number: float) -> dt.datetime:
    return START + dt.timedelta(days=number)


def before_end(days: float) -> dt.datetime:
    return END - dt.timedelta(days=days)


def changed(state, hosts, now) -> Any:
    """What is due; something must be."""
    result = due(state, hosts, now)
    assert result is not None
    return result


@pytest.fixture(scope="module")
def young():
    return anew(None, HOSTS, START)


def test_the_first_is_made_and_said():
    state, said = changed(None, HOSTS, START)
    assert state.active.hosts == HOSTS
    assert state.active.expires_at == END
    assert said == ("made a certificate authority that can vouch for api.openai.com and nothing else",)


def test_it_lives_no_longer_than_a_public_one_may(young):
    certificate = young.active.certificate
    assert certificate.not_valid_after_utc - certificate.not_valid_before_utc == AUTHORITY_LIFETIME + BACKDATE
    assert dt.timedelta(days=397) >= AUTHORITY_LIFETIME + BACKDATE


@pytest.mark.parametrize("now", [START, day(1), day(300), before_end(61)])
def test_nothing_is_due_while_it_is_young(young, now):
    assert due(young, HOSTS, now) is None
    assert due(young, None, now) is None


def test_its_successor_is_made_long_before_the_end_and_signs_late(young):
    state, said = changed(young, HOSTS, before_end(60))
    assert state.active == young.active
    assert state.next.hosts == HOSTS
    assert state.switch_at == before_end(14)
    assert state.certificates == (state.active.certificate, state.next.certificate)
    assert len(said) == 1
    assert due(state, HOSTS, before_end(14.1)) is None

    after, said = changed(state, HOSTS, before_end(14))
    assert after.active == state.next
    assert after.next is None
    assert [old.certificate for old in after.previous] == [state.active.certificate]
    assert len(said) == 1
    assert due(after, HOSTS, before_end(13)) is None
    assert changed(after, HOSTS, END)[0].previous == ()  # it has ended: no use in the bundle


@pytest.mark.parametrize(("left", "waits"), [(10, 1), (1.5, 1), (0.5, 0.5)])
def test_a_successor_made_late_waits_a_day_or_for_the_end(young, left, waits):
    state, _ = changed(young, HOSTS, before_end(left))
    switch = before_end(left - waits)
    assert due(state, HOSTS, switch - dt.timedelta(minutes=1)) is None
    assert changed(state, HOSTS, switch)[0].active == state.next


def test_one_that_has_ended_is_replaced_at_once_and_said(young):
    state, (said,) = changed(young, HOSTS, END)
    assert state.active.expires_at > END
    assert "ended on 2027-02-01" in said
    assert state.previous == ()


def test_a_machine_that_slept_through_the_switch_uses_the_successor(young):
    state, _ = changed(young, HOSTS, before_end(20))
    assert changed(state, HOSTS, END + dt.timedelta(days=5))[0].active == state.next


def test_a_machine_that_slept_through_both_gets_a_new_one(young):
    state, _ = changed(young, HOSTS, before_end(20))
    later = END + dt.timedelta(days=500)
    assert changed(state, HOSTS, later)[0].active not in {state.active, state.next}


@pytest.mark.parametrize("hosts", [{"api.openai.com", "eu.api.openai.com"}, {"eu.api.openai.com"}])
def test_other_hosts_make_a_new_one_at_once_and_it_is_said(young, hosts):
    state, (said,) = changed(young, frozenset(hosts), day(10))
    assert state.active.hosts == hosts
    assert [old.certificate for old in state.previous] == [young.active.certificate]
    assert "hosts changed" in said
    assert all(host in said for host in hosts)
    assert due(state, frozenset(hosts), day(10)) is None


def test_a_retired_one_is_forgotten_after_a_while(young):
    state = anew(young, HOSTS, day(10))
    assert due(state, HOSTS, day(10) + KEPT - dt.timedelta(hours=1)) is None
    after, said = changed(state, HOSTS, day(10) + KEPT)
    assert (after.previous, said) == ((), ())


def test_hosts_that_change_to_and_fro_do_not_fill_the_bundle(young):
    state = young
    for number in range(20):
        hosts = HOSTS if number % 2 else frozenset({"eu.api.openai.com"})
        state, _ = changed(state, hosts, day(10 + number / 100))
    assert len(state.previous) == 4


def test_a_successor_on_demand_signs_after_a_day(young):
    state = renewed(young, day(10))
    assert state.switch_at == day(11)
    assert changed(state, HOSTS, day(11))[0].active == state.next


def test_a_clock_that_is_behind_is_told(young):
    with pytest.raises(AuthorityError, match="valid from 2025-12-31, but this machine's clock says 1970-01-01"):
        due(young, HOSTS, dt.datetime(1970, 1, 1, tzinfo=dt.UTC))


def test_without_hosts_none_is_made():
    with pytest.raises(AuthorityError, match="no certificate authority yet"):
        due(None, None, START)


@pytest.mark.parametrize("step", [0.3, 7, 45, 200])
def test_over_years_there_is_always_one_that_is_valid_and_was_announced(young, step):
    """Whatever the rhythm in which somebody looks, a client is never shown an authority that was not in a bundle before."""
    state, now = young, START
    known: set[bytes] = set()
    while now < day(1500):
        known |= {certificate.tbs_certificate_bytes for certificate in state.certificates}
        found = due(state, HOSTS, now)
        if found:
            after, _ = found
            if step <= 45 and after.active != state.active:
                assert after.active.certificate.tbs_certificate_bytes in known
            state = after
        assert state.active.certificate.not_valid_before_utc <= now < state.active.expires_at
        now += dt.timedelta(days=step)
