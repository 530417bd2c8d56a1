"""Test doubles we ship: a scripted fake OpenAI on a real socket, and a clock that is set by hand.

See docs/testing.md. Standard library and h11 only, so that tests of any HTTP client can use it.
"""

from codex_manager.testing import answers, toxics
from codex_manager.testing.accounts import FakeAccount
from codex_manager.testing.clock import FakeClock
from codex_manager.testing.journal import Seen
from codex_manager.testing.ports import blackhole, full_port, refused_port
from codex_manager.testing.server import FakeOpenAI
from codex_manager.testing.step import Step, Toxic
from codex_manager.testing.thread import in_thread


__all__ = [
    "FakeAccount", "FakeClock", "FakeOpenAI", "Seen", "Step", "Toxic", "answers", "blackhole", "full_port", "in_thread",
    "refused_port", "toxics",
]  # fmt: skip
