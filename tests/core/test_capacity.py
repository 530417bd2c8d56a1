"""Room is what the headers last said, less what is on its way, and full again after the reset."""

from codex_manager.core.capacity import Capacity
from codex_manager.core.hints import Headroom


def told(**said):
    capacity = Capacity()
    capacity.learn(Headroom(**said), 0.0)
    return capacity


def test_nothing_known_is_nothing_said():
    capacity = Capacity()
    assert capacity.used(0.0) is None
    assert capacity.lacks_room_until(10**9, 0.0) is None
    assert repr(capacity) == "<Capacity unknown, 0 in flight>"


def test_the_tightest_known_dimension_counts():
    capacity = told(
        limit_requests=100, remaining_requests=90, limit_tokens=1000, remaining_tokens=250, reset_tokens_s=6.0
    )
    assert capacity.used(0.0) == 0.75
    assert capacity.used(6.0) == 0.1  # tokens are full again, requests not yet


def test_what_is_in_flight_counts():
    capacity = told(limit_requests=10, remaining_requests=10, reset_requests_s=60.0)
    capacity.reserve(100)
    capacity.reserve(100)
    assert capacity.used(1.0) == 0.2
    capacity.release(100)
    capacity.release(100)
    assert capacity.used(1.0) == 0.0


def test_a_request_larger_than_what_is_left_is_told_when_there_is_room():
    capacity = told(limit_tokens=1000, remaining_tokens=400, reset_tokens_s=36.0)
    assert capacity.lacks_room_until(400, 0.0) is None
    assert capacity.lacks_room_until(401, 0.0) == 36.0
    capacity.reserve(100)
    assert capacity.lacks_room_until(301, 0.0) == 36.0
    assert capacity.lacks_room_until(301, 36.0) is None


def test_a_full_bucket_takes_any_request():
    """The estimate may be too high, and no waiting would make the bucket fuller."""
    assert told(limit_tokens=1000, remaining_tokens=1000, reset_tokens_s=60.0).lacks_room_until(5000, 0.0) is None


def test_nonsense_is_left_out():
    assert told(limit_requests=0, remaining_requests=5).used(0.0) is None
    assert told(limit_requests=10).used(0.0) is None
    assert told(limit_requests=10, remaining_requests=99).used(0.0) == 0.0
