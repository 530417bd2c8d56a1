"""OpenCode, unmodified: `opencode run` as npm installs it."""

import json

import pytest

from tests.support import LOCAL_KEY


pytestmark = [pytest.mark.slow, pytest.mark.clients]
QUIET = {"OPENCODE_DISABLE_AUTOUPDATE": "1", "OPENCODE_DISABLE_MODELS_FETCH": "1"}
RUN = ("run", "--model", "openai/gpt-5", "say good morning")


@pytest.fixture
def opencode(npm):
    return str(npm / ".bin" / "opencode")


def test_a_run_is_served_by_the_account_that_works(stage, way, opencode):
    stage.was_served(stage.run(way, opencode, *RUN, environ=QUIET))


def test_its_settings_lead_it_too(stage, opencode):
    """As docs/clients.md prints it."""
    options = {"baseURL": stage.proxy.base_url, "apiKey": LOCAL_KEY}
    settings = {"$schema": "https://opencode.ai/config.json", "provider": {"openai": {"options": options}}}
    (stage.folder / "opencode.json").write_text(json.dumps(settings), encoding="utf-8")
    stage.was_served(stage.start(opencode, *RUN, environ=QUIET))
