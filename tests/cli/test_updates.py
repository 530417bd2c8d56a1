"""Nobody is asked and nothing is said unless it is wanted; then once a day, and nothing of it can spoil a command."""

import json
import os
import subprocess
import sys
import zipfile

from types import SimpleNamespace

import pytest

from tests.cli import console
from tests.support import wait_for

from codex_manager import __version__
from codex_manager.config import load
from codex_manager.config.catalogue import SETTINGS
from codex_manager.config.template import template
from codex_manager_cli import updates, updates_ask


NOW = 1_800_000_000.0
NEWER = "999.0.1"


@pytest.fixture
def home(isolated_home):
    """A folder of data in which updates are wanted."""
    isolated_home.mkdir()
    (isolated_home / "config.yaml").write_text("updates: {check: true}\n")
    return isolated_home


@pytest.fixture
def remind(capsys):
    """`remind` at a moment: what it said, and how often it had the index asked."""

    def at(moment, **environ):
        asked = []
        updates.remind({**os.environ, **environ}, now=lambda: moment, start=lambda *_: asked.append(1))
        return capsys.readouterr().err, len(asked)

    return at


def known(home, **fields):
    (home / updates.FILE).write_text(json.dumps({"asked": NOW, "told": 0, "latest": NEWER} | fields))


@pytest.mark.parametrize(
    "text", [None, "", "# updates: {check: true}\n", "updates: {check: false}\n", "ui: {theme: dark}\n"]
)
def test_nobody_is_asked_and_nothing_is_said_unless_it_is_wanted(home, remind, text):
    known(home, asked=0)
    before = (home / updates.FILE).read_text()
    (home / "config.yaml").unlink() if text is None else (home / "config.yaml").write_text(text)
    assert remind(NOW) == ("", 0)
    assert (home / updates.FILE).read_text() == before


def test_the_starter_file_costs_nothing(home, remind, monkeypatch):
    (home / "config.yaml").write_text(template())
    monkeypatch.setattr(load, "load", None)
    assert remind(NOW) == ("", 0)


def test_the_variable_wants_it_and_unwants_it(home, remind):
    known(home)
    assert SETTINGS["updates.check"].variable == updates.VARIABLE
    assert remind(NOW, **{updates.VARIABLE: "false"}) == ("", 0)
    (home / "config.yaml").write_text("# nothing\n")
    assert remind(NOW, **{updates.VARIABLE: "true"})[0] != ""


def test_the_index_is_asked_once_a_day_also_when_it_does_not_answer(home, remind):
    assert [remind(NOW + hours * 3600) for hours in (0, 1, 23, 24, 25)] == [("", 1), ("", 0), ("", 0), ("", 1), ("", 0)]
    assert remind(NOW - 3600) == ("", 1)  # a clock that was set back keeps nothing from being asked


def test_a_newer_release_is_told_once_a_day(home, remind):
    known(home)
    said, asked = remind(NOW)
    assert said.startswith(f"codex-manager: {NEWER} is out, this is {__version__}; ")
    assert len(said.splitlines()) == 1
    assert asked == 0
    assert remind(NOW + 3600) == ("", 0)
    assert remind(NOW + 86_400)[0] == said


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", '{"asked": 1}', '{"asked": 1' + "0" * 400 + ', "told": 0, "latest": ""}', '{"asked": "x", "told": 0, "latest": ""}', "[" * 100_000,
                '{"asked": NaN, "told": 0, "latest": "9.9"}', '{"asked": 0, "told": 0, "latest": "9.9\\u001b[2J"}']
)  # fmt: skip
def test_a_damaged_file_knows_nothing(home, content):
    (home / updates.FILE).write_text(content)
    assert updates.read(home / updates.FILE) == updates.Known()


def test_a_broken_configuration_or_a_missing_home_is_no_trouble_of_the_command(home, remind, tmp_path):
    known(home)
    (home / "config.yaml").write_text("updates: {check: perhaps}\n")
    assert remind(NOW) == ("", 0)
    assert remind(NOW, CODEX_MANAGER_HOME=str(tmp_path / "nowhere"), **{updates.VARIABLE: "true"}) == ("", 0)
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    ("release", "than", "newer"),
    [("0.2.0", "0.1.0", True), ("0.1.0", "0.1.0", False), ("0.1", "0.1.0", False), ("0.10.0", "0.9.9", True),
     ("1", "0.9", True), ("0.1.0.1", "0.1.0", True), ("0.2.0", "0.2.0.dev1", False), ("0.2.0rc1", "0.1.0", False),
     ("", "0.1.0", False), ("9.9\x1b[2J", "0.1.0", False), ("9" * 500, "0.1.0", False), ("1.0", "unknown", False)],
)  # fmt: skip
def test_what_counts_as_newer(release, than, newer):
    assert updates.is_newer(release, than) is newer


@pytest.mark.parametrize(
    ("prefix", "command"),
    [("/home/me/.venv", "pip install --upgrade"), ("/home/me/.local/share/pipx/venvs/codex-manager", "pipx upgrade"),
     ("/home/me/.local/share/uv/tools/codex-manager", "uv tool upgrade"),
     (r"C:\Users\me\pipx\venvs\codex-manager", "pipx upgrade"),
     ("/opt/homebrew/Cellar/codex-manager/0.1.0/libexec", "brew upgrade")],
)  # fmt: skip
def test_the_command_is_the_one_that_installed_it(prefix, command):
    assert f"`{command} codex-manager`" in updates.upgrade_command(prefix)


def answering(monkeypatch, *programs):
    monkeypatch.setattr(updates_ask, "_ways", lambda: iter([([sys.executable, "-c", text], "") for text in programs]))


def test_who_cannot_tell_is_passed_over_and_what_is_no_release_is_nothing(monkeypatch, home):
    file = home / updates.FILE
    answering(monkeypatch, "raise SystemExit(1)", "print('codex-manager==999.0.1')")
    assert updates_ask.main([str(file)]) == 0
    assert updates.read(file) == updates.Known(latest=NEWER)
    answering(
        monkeypatch, "print('codex-manager (9.9\\x1b[2J)')", "print('codex-manager (1.0rc1)')", "print('other (9.9)')"
    )
    assert updates_ask.main([str(file)]) == 1
    assert updates.read(file).latest == NEWER


def test_the_asking_process_gets_no_key(home, monkeypatch):
    given = {}

    def started(command, *, env, **_):
        given.update(env)
        return SimpleNamespace()

    monkeypatch.setattr(subprocess, "Popen", started)
    secret = {"CAM_MASTER_KEY": "m", "OPENAI_API_KEY": "k", "CODEX_MANAGER__PROXY__API_KEY": "p", "PATH": "/bin"}
    updates._start(home / updates.FILE, secret)
    assert given == {"PATH": "/bin"}


@pytest.mark.slow
def test_on_a_terminal_a_command_tells_it_after_its_own_words(home):
    known(home, asked=9e9)
    assert NEWER not in console.process("config", "path").err
    shown = console.terminal("config", "path", answers={})
    assert "config.yaml" in shown.out
    assert shown.out.index("config.yaml") < shown.out.index(f"{NEWER} is out")


@pytest.mark.slow
def test_pip_is_asked_for_real_and_looks_where_it_is_set_up_to_look(tmp_path, home, monkeypatch):
    folder = tmp_path / "index"
    folder.mkdir()
    with zipfile.ZipFile(folder / f"codex_manager-{NEWER}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(
            f"codex_manager-{NEWER}.dist-info/METADATA",
            f"Metadata-Version: 2.1\nName: codex-manager\nVersion: {NEWER}\n",
        )
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    file = home / updates.FILE
    updates._start(file, os.environ)
    assert wait_for(lambda: updates.read(file).latest, seconds=40, step=0.1)
    assert updates.read(file).latest == NEWER
