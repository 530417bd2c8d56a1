"""docs/testing.md names everything a script can say, and its example files are good."""

import re

from pathlib import Path

import pytest
import yaml

from codex_manager.testing import FakeOpenAI, answers, toxics
from codex_manager.testing.scriptfile import apply


TEXT = (Path(__file__).parents[2] / "docs" / "testing.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [*answers.__all__, *toxics.__all__])
def test_every_step_is_documented(name):
    assert f"`{name}(" in TEXT or f"{name}(" in TEXT


@pytest.mark.parametrize("name", [name for name in vars(FakeOpenAI) if not name.startswith("_")])
def test_what_a_test_calls_is_documented(name):
    asked_by_connections = {"opened", "closed", "malformed", "begin", "answer", "answer_early", "cue", "opening"}
    plain = {"connections_open", "revoke"}
    assert name in asked_by_connections | plain or f"fake.{name}" in TEXT


def test_the_script_file_shown_sets_a_stage():
    (block,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    fake = FakeOpenAI()
    apply(yaml.safe_load(block), fake)
    assert fake.left("sk-a") == 3


def test_the_python_shown_compiles():
    for block in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL):
        indented = block.replace("\n", "\n    ")
        compile(f"async def shown():\n    {indented}", "docs/testing.md", "exec")
