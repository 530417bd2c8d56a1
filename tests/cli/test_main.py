import importlib
import platform
import subprocess
import sys

from importlib import metadata

import click
import pytest

from codex_manager import __version__
from codex_manager_cli import talk
from codex_manager_cli.main import COMMANDS, SECTIONS, cli


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_the_table_is_there(name):
    module, attribute = COMMANDS[name][0].split(":")
    command = getattr(importlib.import_module(module), attribute)
    assert isinstance(command, click.Command)
    assert command.name == name
    assert command.get_short_help_str(200)


def test_each_command_is_on_one_line_of_the_help():
    named = [name for lines in SECTIONS.values() for line in lines for name in line.split(", ")]
    assert len(named) == len(set(named))
    assert set(COMMANDS) <= set(named)


@pytest.mark.parametrize("columns", [80, 100])
def test_help_fits_a_screen(columns, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(columns))
    assert talk.run(cli, ["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= columns


def test_no_command_shows_the_help(capsys):
    assert talk.run(cli, []) == 2
    captured = capsys.readouterr()
    assert "Accounts:" in captured.out + captured.err


def test_the_version_is_data():
    result = subprocess.run(
        [sys.executable, "-m", "codex_manager_cli", "--version"], capture_output=True, text=True, timeout=30, check=True
    )
    mitmproxy, python = metadata.version("mitmproxy"), platform.python_version()
    assert result.stdout == f"codex-manager {__version__}, mitmproxy {mitmproxy}, Python {python}\n"


def test_debug_shows_the_traceback_of_an_internal_error(monkeypatch, capsys):
    def broken(*_):
        raise KeyError("broken")

    monkeypatch.setenv("CODEX_MANAGER_DEBUG", "")
    monkeypatch.setattr("codex_manager.config.paths.Paths.locate", broken)
    assert talk.run(cli, ["config", "path"]) == 1
    assert "Traceback" not in capsys.readouterr().err
    assert talk.run(cli, ["--debug", "config", "path"]) == 1
    assert "Traceback" in capsys.readouterr().err
