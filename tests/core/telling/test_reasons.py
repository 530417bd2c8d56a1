"""Every word of a decision has a sentence."""

import datetime as dt

import pytest

from tests.core.telling.recorded import NOON, WORK

from codex_manager.core.routing import Obstacle
from codex_manager.core.telling import reasons
from codex_manager.core.telling.reasons import Out


def test_every_obstacle_has_words_and_one_of_a_newer_version_is_shown_as_it_is():
    for obstacle in Obstacle:
        assert obstacle.value in reasons.AGAINST, obstacle
    assert reasons.out_words(reasons.Out(WORK, "moon_phase", "full", None)) == "moon phase (full)"
    assert reasons.why("coin") == "coin"
    assert reasons.layer_of("owner") == "ownership"
    assert reasons.layer_of("sticky") == "affinity"


@pytest.mark.parametrize(
    ("out", "said"),
    [
        (Out(WORK, "rate", "", NOON + 12), "until 12:00:12, 12 s later"),
        (Out(WORK, "rate", "", NOON + 86_400), "until 2026-11-19 12:00:00, 1 d later"),
        (Out(WORK, "rate", "", NOON - 1), "-"),
        (Out(WORK, "rate", "", None), "-"),
        (Out(WORK, "limit", "daily limit of $20.00 reached", NOON + 12), "-"),
    ],
)
def test_a_time_is_said_where_time_changes_something(out, said):
    assert reasons.until_words(out, NOON, dt.UTC) == said


def test_a_failure_of_a_newer_version_is_shown_as_it_is():
    assert reasons.failure_words("auth") == "the key was refused"
    assert reasons.failure_words("eclipse") == "eclipse"
