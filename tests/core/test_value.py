"""What is made with every request is as good a value as a frozen dataclass, but for who writes to it by force."""

import dataclasses

from codex_manager.core.record import Attempt
from codex_manager.core.usage import Usage


def test_values_are_equal_hashable_and_replaced_like_frozen_ones():
    one = Usage(input=3, calls=(("web_search", 1),))
    assert one == Usage(input=3, calls=(("web_search", 1),))
    assert len({one, dataclasses.replace(one), dataclasses.replace(one, input=4)}) == 2
    assert not hasattr(one, "__dict__")
    assert "input=3" in repr(one)
    attempt = Attempt(account_id="a", label="a", began_s=0.0, took_s=1.0, status=200)
    assert dataclasses.asdict(attempt)["status"] == 200
