"""Times in words, long and short."""

import pytest

from codex_manager.core.telling.durations import seconds as short
from codex_manager.core.telling.durations import span


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-5, "0 s"), (0, "0 s"), (59, "59 s"), (60, "1 m"), (3599, "59 m"), (3600, "1 h"), (38_280, "10 h 38 m"), (90_000, "1 d 1 h")],
)  # fmt: skip
def test_a_time_to_wait_has_two_units_at_most(seconds, said):
    assert span(seconds) == said


@pytest.mark.parametrize(
    ("duration", "said"),
    [(0, "0 ms"), (0.012, "12 ms"), (0.0996, "0.10 s"), (0.84, "0.84 s"), (9.994, "9.99 s"), (12.34, "12.3 s"), (240, "4 m")],
)  # fmt: skip
def test_a_short_duration_keeps_its_digits(duration, said):
    assert short(duration) == said
