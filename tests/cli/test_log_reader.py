"""The log is read from its end, over files that were put aside, and followed when they are."""

import json

from typing import Any

import pytest

from tests.cli.console import run

from codex_manager.config import presence
from codex_manager_cli import control, log_reader
from codex_manager_cli.log_reader import Entry, entry_of, following, last


OWN = "2026-11-21T10:00:00.000Z warning codex_manager.x: all: well"
TOLD = Entry("2026-11-21T10:00:00.000Z", "warning", "codex_manager.x", "all: well")


@pytest.mark.parametrize(
    ("line", "entry"),
    [
        (OWN, TOLD),
        (json.dumps({"time": TOLD.time, "level": TOLD.level, "logger": TOLD.logger, "message": TOLD.message}), TOLD),
        ("Traceback (most recent call last):", Entry(None, None, None, "Traceback (most recent call last):")),
        ("{}", Entry(None, None, None, "{}")),
        ("{not json", Entry(None, None, None, "{not json")),
        ("[1]", Entry(None, None, None, "[1]")),
        ("", Entry(None, None, None, "")),
    ],
)
def test_lines_of_either_form_and_of_none(line, entry):
    assert entry_of(line) == entry


def test_for_people_it_is_one_harmless_line():
    assert TOLD.as_text() == OWN
    assert entry_of("a\x1b[2J\rb").as_text() == "a\\x1b[2J\\rb"


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 6, 100])
def test_the_last_lines_over_all_files(tmp_path, count, monkeypatch):
    monkeypatch.setattr(log_reader, "BLOCK", 7)
    (tmp_path / "l").write_text("e\nf unfinished")
    (tmp_path / "l.1").write_text("c\nd\n")
    (tmp_path / "l.2").write_text("a\nb\n")
    lines = ["a", "b", "c", "d", "e", "f unfinished"]
    assert [entry.message for entry in last(tmp_path / "l", count)] == (lines[-count:] if count else [])


def test_what_is_added_is_followed_over_changes_of_the_file(tmp_path):
    path = tmp_path / "l"
    path.write_text("old\n")
    found: Any = following(path, look_s=0.001)

    def add(text, mode="a"):
        with path.open(mode) as stream:
            stream.write(text)

    def begin():
        """The generator takes its place at the end of the file when it is asked first."""
        import threading

        threading.Timer(0.05, add, ("one\n",)).start()
        return next(found).message

    assert begin() == "one"
    add("two\nthr")
    assert next(found).message == "two"
    add("ee\n")
    assert next(found).message == "three"
    add("late\n")
    path.rename(tmp_path / "l.1")
    add("new\n")
    assert [next(found).message, next(found).message] == ["late", "new"]
    add("x\n", "w")
    assert next(found).message == "x"
    found.close()


# The command -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def home(isolated_home):
    isolated_home.mkdir(mode=0o700)
    return isolated_home


def test_without_a_log_it_says_how_to_have_one(home):
    outcome = run("logs")
    assert outcome.status == 1
    assert "there is no log yet" in outcome.err
    assert "--background" in outcome.err


def test_what_one_in_the_background_said_stays(home):
    (home / "proxy.log").write_text(f"first\n{OWN}\n")
    assert run("logs").out == f"first\n{OWN}\n"
    assert json.loads(run("logs", "-n", "1", "--json").out) == {
        "time": TOLD.time, "level": "warning", "logger": "codex_manager.x", "message": "all: well",
    }  # fmt: skip
    assert run("logs", "-n", "0").out == ""


def test_one_at_a_terminal_is_asked_for_what_it_remembers(home, monkeypatch):
    here = presence.announce(home, presence.RunningProxy(pid=1, host="h", port=1, version="1", started=""))
    assert here is not None
    asked = []

    def log(_, after=0, limit=500):
        asked.append((after, limit))
        return control.Log(1, 0, (control.LogLine(1, "t", "info", "l", "hello"),))

    monkeypatch.setattr(control.Line, "log", log)
    assert run("logs").out == "t info l: hello\n"
    assert run("logs", "-n", "0").out == ""
    assert asked == [(0, 50), (0, 1)]
    here.withdraw()
