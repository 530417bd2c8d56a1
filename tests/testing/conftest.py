"""A fake with two accounts of different organizations, as most tests here want it."""

import pytest

from codex_manager.testing import FakeOpenAI


@pytest.fixture
async def fake():
    async with FakeOpenAI() as server:
        server.account("sk-a", "org-a", "proj-a")
        server.account("sk-b", "org-b", "proj-b")
        yield server
