import sys

import click
import pytest

from click.testing import CliRunner

from codex_manager_cli.lazy import LazyGroup


TABLE = {
    "first": ("codex_manager_cli.completion:completion", "One."),
    "absent": ("codex_manager_cli.no_such_module:x", "Two."),
}


@pytest.fixture
def group():
    return LazyGroup("g", commands_table=TABLE)


def invoke(group, *arguments):
    return CliRunner().invoke(group, list(arguments))


def test_help_lists_commands_without_loading_them(group):
    result = invoke(group, "--help")
    assert result.exit_code == 0
    assert result.output.endswith("Commands:\n  first   One.\n  absent  Two.\n")
    assert "codex_manager_cli.no_such_module" not in sys.modules


def test_sections_show_the_commands_that_there_are():
    sections = {"A": {"first, later": "One, or two."}, "B": {"never": "Three."}}
    group = LazyGroup("g", commands_table=TABLE, sections=sections)
    assert invoke(group, "--help").output.endswith("\n\nA:\n  first   One, or two.\nMore:\n  absent  Two.\n")


def test_a_command_is_loaded_when_it_is_used(group):
    assert "bash" in invoke(group, "first", "--help").output


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("frist", "There is no command 'frist'. Did you mean 'first'?"),
        ("zzz", "There is no command 'zzz'."),
        ("z" * 99, "There is no command."),
        ("a\x1bb", "There is no command."),
    ],
)
def test_an_unknown_command_is_a_usage_error(group, typed, said):
    result = invoke(group, typed)
    assert result.exit_code == 2
    assert result.output.splitlines()[-1] == f"Error: {said}"


def test_an_unknown_option_is_not_taken_for_a_command(group):
    assert "No such option" in invoke(group, "--nothing").output


def test_completion_loads_nothing(group):
    context = click.Context(group)
    assert [(item.value, item.help) for item in group.shell_complete(context, "a")] == [("absent", "Two.")]
    assert "--help" in [item.value for item in group.shell_complete(context, "--")]
