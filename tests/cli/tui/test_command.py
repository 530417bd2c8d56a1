"""`codex-manager` alone is the page on a terminal, and the help anywhere else."""

import re

from pathlib import Path

from tests.cli.console import run

from codex_manager_cli.tui import command


def test_without_a_terminal_it_is_the_help():
    outcome = run()
    assert outcome.status == 2
    assert "Usage:" in outcome.out + outcome.err


def test_without_a_terminal_there_is_no_page():
    outcome = run("tui")
    assert (outcome.status, outcome.out) == (2, "")
    assert "there is no terminal to show it on" in outcome.err
    assert "codex-manager status" in outcome.err


def test_only_the_page_knows_its_library():
    """`tests/project/test_layering.py` keeps it to the command line; here it is kept to this part of it."""
    cli = Path(command.__file__).parents[1]
    wrong = [
        str(path.relative_to(cli))
        for path in cli.rglob("*.py")
        if "tui" not in path.relative_to(cli).parts
        and re.search(r"^\s*(from|import) (textual|rich)\b", path.read_text(), re.MULTILINE)
    ]
    assert wrong == []
