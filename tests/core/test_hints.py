"""When to come back, and how much is left: every place OpenAI says it, and the largest wins."""

import math

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest

from hypothesis import given
from hypothesis import strategies as st

from codex_manager.core.hints import Headroom, Hint, clamp, cooling_hint, headroom, parse_duration


NOW = 1_790_000_000.0


def http_date(seconds_from_now):
    return format_datetime(datetime.fromtimestamp(NOW + seconds_from_now, UTC), usegmt=True)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("20", 20.0),
        ("0", 0.0),
        (" 1.5 ", 1.5),
        ("20s", 20.0),
        ("120ms", 0.12),
        ("6m0s", 360.0),
        ("1h2m3.5s", 3723.5),
        ("1d2h", 93600.0),
        ("7m12s", 432.0),
        ("8.64s", 8.64),
        ("250us", 250e-6),
        ("250µs", 250e-6),
        ("10ns", 1e-8),
        ("20 seconds", 20.0),
        ("1 minute", 60.0),
        ("2 hours 30 minutes", 9000.0),
        ("3 days", 259200.0),
        ("5 mins 10 secs", 310.0),
        ("100 milliseconds", 0.1),
        ("6M0S", 360.0),
        ("", None),
        ("   ", None),
        ("-1", None),
        ("-20s", None),
        ("nan", None),
        ("inf", None),
        ("1e5", None),
        ("s", None),
        ("20x", None),
        ("20s.", None),
        ("1.2.3s", None),
        ("٣s", None),
        ("1m 2", None),
        ("9" * 400, None),
        ("soon", None),
    ],
)
def test_a_duration_reads_as(text, seconds):
    assert parse_duration(text) == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("headers", "message", "seconds"),
    [
        ({}, "", None),
        ({"retry-after-ms": "1500"}, "", 1.5),
        ({"retry-after-ms": "0.5"}, "", 0.0005),
        ({"retry-after": "7"}, "", 7.0),
        ({"retry-after": "7.5"}, "", 7.5),
        ({"retry-after": "0"}, "", 0.0),
        ({"retry-after": http_date(90)}, "", 90.0),
        ({"retry-after": "Mon, 21 Sep 2026 14:53:20 -0000"}, "", 2400.0),
        ({"retry-after": http_date(-90)}, "", None),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s"}, "", 360.0),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "120ms"}, "", 0.12),
        ({"x-ratelimit-remaining-tokens": "-3", "x-ratelimit-reset-tokens": "2s"}, "", 2.0),
        ({"x-ratelimit-remaining-tokens": "1", "x-ratelimit-reset-tokens": "6m0s"}, "", None),
        ({"x-ratelimit-reset-tokens": "6m0s"}, "", None),
        ({"x-ratelimit-remaining-tokens": "0"}, "", None),
        ({"x-ratelimit-remaining-project-tokens": "0", "x-ratelimit-reset-project-tokens": "3s"}, "", 3.0),
        ({}, "Rate limit reached. Please try again in 20s. Visit https://platform.openai.com", 20.0),
        ({}, "Please try again in 120ms.", 0.12),
        ({}, "Please try again in 1h2m3.5s.", 3723.5),
        ({}, "Rate limit reached. Please try again in 1.898s.", 1.898),
        ({}, "please TRY AGAIN IN 6M0S", 360.0),
        ({}, "Please retry after 20 seconds.", 20.0),
        ({}, "Please try again in 1 minute and 3 seconds.", 63.0),
        ({}, "Please try again in 1 hour, 2 minutes.", 3720.0),
        ({}, "Try again in 5.", 5.0),
        ({}, "Try again in 5 more attempts", 5.0),
        ({}, "Try again later.", None),
        ({}, "Try again in -5s.", None),
        ({}, "Please try again in 1s. Or: please try again in 9s.", 9.0),
    ],
)
def test_each_place_is_read(headers, message, seconds):
    hint = cooling_hint(headers, message, NOW)
    assert hint.seconds == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize("largest", range(5))
def test_the_largest_hint_wins_wherever_it_is(largest):
    seconds = [60 if place == largest else 1 for place in range(5)]
    headers = {
        "retry-after-ms": str(seconds[0] * 1000),
        "retry-after": str(seconds[1]),
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": f"{seconds[2]}s",
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-tokens": f"{seconds[3]}s",
    }
    assert cooling_hint(headers, f"Please try again in {seconds[4]}s.", NOW).seconds == 60


@pytest.mark.parametrize(
    "garbage",
    ["", " ", "-1", "nan", "inf", "Infinity", "1e9", "soon", "0x10", "9" * 500, "Mon, 99 Foo 2026", "\x00", "1,2"],
)
@pytest.mark.parametrize("name", ["retry-after", "retry-after-ms", "x-ratelimit-reset-requests"])
def test_garbage_is_as_if_it_were_not_there(name, garbage):
    headers = {name: garbage, "x-ratelimit-remaining-requests": "0"}
    assert cooling_hint(headers, "", NOW) == Hint(None)
    assert cooling_hint(headers, "try again in 3s", NOW) == Hint(3.0)


@pytest.mark.parametrize(
    ("message", "per_day"),
    [
        ("Rate limit reached for gpt-4o in organization org-x on requests per day (RPD): Limit 200", True),
        ("on tokens per day (TPD): Limit 90000", True),
        ("on RPD", True),
        ("tokens_per_day", True),
        ("on requests per min (RPM): Limit 3, Used 3", False),
        ("on tokens per min (TPM)", False),
        ("", False),
    ],
)
def test_a_daily_limit_is_recognised_by_its_words(message, per_day):
    assert cooling_hint({}, message, NOW).per_day is per_day


@pytest.mark.parametrize(
    ("seconds", "per_day", "clamped"),
    [
        (0.0, False, 0.5),
        (0.4, False, 0.5),
        (0.5, False, 0.5),
        (20.0, False, 20.0),
        (899.0, False, 899.0),
        (901.0, False, 900.0),
        (86400.0, False, 900.0),
        (86400.0, True, 86400.0),
        (1e9, True, 93600.0),
        (0.0, True, 0.5),
        (-5.0, False, 0.5),
        (math.nan, False, 0.5),
        (math.inf, False, 900.0),
    ],
)
def test_a_cooling_time_stays_between_half_a_second_and_what_is_believable(seconds, per_day, clamped):
    assert clamp(seconds, per_day=per_day) == clamped


def test_headroom_is_what_the_headers_say():
    headers = {
        "x-ratelimit-limit-requests": "500",
        "x-ratelimit-remaining-requests": "499",
        "x-ratelimit-reset-requests": "120ms",
        "x-ratelimit-limit-tokens": "30000",
        "x-ratelimit-remaining-tokens": "29980",
        "x-ratelimit-reset-tokens": "6m0s",
    }
    assert headroom(headers) == Headroom(
        limit_requests=500,
        remaining_requests=499,
        reset_requests_s=0.12,
        limit_tokens=30000,
        remaining_tokens=29980,
        reset_tokens_s=360.0,
    )


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"content-type": "application/json"}, None),
        ({"x-ratelimit-limit-requests": "many"}, None),
        ({"x-ratelimit-limit-requests": "1.5"}, None),
        ({"x-ratelimit-remaining-tokens": " 7 "}, Headroom(remaining_tokens=7)),
        ({"x-ratelimit-remaining-tokens": "7", "x-ratelimit-limit-tokens": "x"}, Headroom(remaining_tokens=7)),
        ({"x-ratelimit-reset-tokens": "1s"}, Headroom(reset_tokens_s=1.0)),
    ],
)
def test_headroom_keeps_what_it_understands(headers, expected):
    assert headroom(headers) == expected


NAMES = st.sampled_from(
    [
        "retry-after",
        "retry-after-ms",
        "x-ratelimit-remaining-requests",
        "x-ratelimit-reset-requests",
        "x-ratelimit-limit-tokens",
    ]
)


@given(st.dictionaries(NAMES, st.text(max_size=60)), st.text(max_size=200), st.floats(allow_nan=True))
def test_nothing_ever_raises_and_every_hint_is_a_sensible_number(headers, message, now):
    hint = cooling_hint(headers, message, now)
    assert hint.seconds is None or (math.isfinite(hint.seconds) and hint.seconds >= 0)
    headroom(headers)


@given(st.text("0123456789.hmsd µ-", max_size=90))
def test_a_duration_is_none_or_finite_and_not_negative(text):
    seconds = parse_duration(text)
    assert seconds is None or (math.isfinite(seconds) and seconds >= 0)


@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999))
def test_what_openai_writes_is_read_back(hours, minutes, seconds, milliseconds):
    text = f"{hours}h{minutes}m{seconds}.{milliseconds:03}s"
    expected = hours * 3600 + minutes * 60 + seconds + milliseconds / 1000
    assert parse_duration(text) == pytest.approx(expected)
    assert cooling_hint({}, f"Please try again in {text}.", NOW).seconds == pytest.approx(expected)


@given(st.floats())
def test_clamping_is_total(seconds):
    assert 0.5 <= clamp(seconds) <= 900
