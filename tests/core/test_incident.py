"""Failures of one kind in two domains within ten seconds are nobody's account's fault."""

from codex_manager.core.incident import Cause, Incidents


def test_one_domain_alone_is_to_blame_itself():
    incidents = Incidents()
    assert [incidents.note(Cause.OPENAI, "a", now) for now in (0.0, 1.0, 2.0)] == [False, False, False]
    assert incidents.current(2.0) is None


def test_two_domains_alike_name_the_common_cause():
    incidents = Incidents()
    incidents.note(Cause.OPENAI, "a", 0.0)
    assert incidents.note(Cause.OPENAI, "b", 10.0) is True
    assert incidents.current(10.0) is Cause.OPENAI
    assert incidents.current(10.1) is None
    assert repr(incidents) == "<Incidents OpenAI in a at 0, OpenAI in b at 10>"


def test_different_kinds_are_not_alike():
    incidents = Incidents()
    incidents.note(Cause.OPENAI, "a", 0.0)
    assert incidents.note(Cause.NETWORK, "b", 1.0) is False


def test_more_than_ten_seconds_apart_is_not_together():
    incidents = Incidents()
    incidents.note(Cause.NETWORK, "a", 0.0)
    assert incidents.note(Cause.NETWORK, "b", 10.5) is False


def test_its_memory_is_bounded():
    incidents = Incidents()
    for number in range(10_000):
        incidents.note(Cause.OPENAI, f"domain {number}", float(number))
    assert len(incidents._seen) <= 256
