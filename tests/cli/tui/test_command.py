"""`codex-manager` alone is the page on a terminal, and the help anywhere else."""

from tests.cli.console import run


def test_without_a_terminal_it_is_the_help():
    outcome = run()
    assert outcome.status == 2
    assert "Usage:" in outcome.out + outcome.err


def test_without_a_terminal_there_is_no_page():
    outcome = run("tui")
    assert (outcome.status, outcome.out) == (2, "")
    assert "there is no terminal to show it on" in outcome.err
    assert "codex-manager status" in outcome.err
