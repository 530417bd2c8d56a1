"""OpenCode, unmodified: `opencode run` as npm installs it."""

import pytest


pytestmark = [pytest.mark.slow, pytest.mark.clients]


@pytest.fixture
def opencode(npm):
    return str(npm / ".bin" / "opencode")


def test_a_run_is_served_by_the_account_that_works(stage, way, opencode):
    environ = {"OPENCODE_DISABLE_AUTOUPDATE": "1", "OPENCODE_DISABLE_MODELS_FETCH": "1"}
    ended = stage.run(way, opencode, "run", "--model", "openai/gpt-5", "say good morning", environ=environ)
    stage.was_served(ended)
