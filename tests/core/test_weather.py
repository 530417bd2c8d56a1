"""A cloud is a reason to look elsewhere for a while: longer for what keeps failing, one look a second afterwards."""

from codex_manager.core.weather import Weather


def test_what_failed_once_is_asked_again_after_a_second():
    weather = Weather()
    weather.worsen(0.0)
    assert not weather.is_clear(0.99)
    assert weather.is_clear(1.0)


def test_parallel_failures_are_one():
    weather = Weather()
    for _ in range(20):
        weather.worsen(0.5)
    assert weather.until == 1.5


def test_a_crowd_does_not_find_out_together():
    weather = Weather()
    weather.worsen(0.0)
    weather.enter(1.0)
    assert not weather.is_clear(1.5)
    assert weather.is_clear(2.0)


def test_successes_clear_it():
    weather = Weather()
    weather.worsen(0.0)
    for now in (1.0, 1.1):
        weather.enter(now)
        weather.improve(now)
    weather.enter(1.2)
    assert weather.is_clear(1.2)


def test_what_fails_half_of_the_time_is_asked_less_and_less():
    weather, now, asked = Weather(), 0.0, []
    while now < 120.0:
        if weather.is_clear(now):
            asked.append(now)
            weather.enter(now)
            weather.improve(now) if len(asked) % 2 else weather.worsen(now)
        now += 0.1
    early, late = sum(at < 30.0 for at in asked), sum(at >= 90.0 for at in asked)
    assert late < early / 2


def test_a_hint_makes_it_longer():
    weather = Weather()
    weather.worsen(0.0, 7.0)
    assert weather.until == 7.0
    assert repr(weather) == "<Weather until 7, level 2>"


def test_a_success_under_the_cloud_says_nothing():
    weather = Weather()
    weather.worsen(0.0)
    weather.improve(0.5)
    assert not weather.is_clear(0.5)
