"""openai-python, unmodified, told nothing but its environment."""

import sys

import pytest

from tests.e2e.clients.stage import SCRIPTS, TEXT


pytestmark = [pytest.mark.slow, pytest.mark.clients]


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("chat", f"{TEXT}\n{TEXT}\n"),
        ("stream", f"{TEXT}\n{TEXT}\n"),
        ("in_parallel", f"{TEXT}\n{TEXT}\n"),
        ("files", "the same bytes came back"),
        ("audio", TEXT),
        ("responses_websocket", f"{TEXT}\n{TEXT}\n"),
        ("realtime", f"realtime: {TEXT}"),
    ],
)
def test_a_script_is_served_by_the_account_that_works(stage, way, task, expected):
    stage.was_served(stage.run(way, sys.executable, str(SCRIPTS / "openai_python.py"), task), expected=expected)
