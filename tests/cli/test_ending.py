"""Stopping hits the proxy of this home and nobody else, and is patient until told not to be."""

import subprocess

from types import SimpleNamespace
from typing import Any

import pytest

from tests.cli.console import run

from codex_manager.config import presence
from codex_manager_cli import control, ending
from codex_manager_cli.talk import UserError


STUBBORN = ["sh", "-c", 'trap "" TERM; echo; while :; do sleep 0.05; done']


@pytest.fixture
def home(isolated_home):
    isolated_home.mkdir(mode=0o700)
    return isolated_home


@pytest.fixture
def announced(home):
    """A function that announces a process in this home, as if it held the lock itself."""
    started, held = [], []

    def announce(command=("sleep", "60"), **more):
        process: Any = subprocess.Popen(command, stdout=subprocess.PIPE)
        started.append(process)
        if command is STUBBORN:
            process.stdout.readline()
        about = presence.RunningProxy(pid=process.pid, host="127.0.0.1", port=9, version="1", started="", **more)
        held.append(presence.announce(home, about))
        return process, about

    yield announce
    for here in held:
        if here is not None:
            here.withdraw()
    for process in started:
        process.kill()
        process.wait(5)
        process.stdout.close()


def test_it_is_asked_and_awaited(announced, home):
    process, about = announced()
    said: list[str] = []
    assert ending.end(home, about, said.append, force=False) < 5
    assert process.wait(5) == -15
    assert said == []


def test_an_id_that_was_used_again_is_left_alone(home):
    """Its file is there, its process lives, but nobody holds the lock: the file was left by one that was killed."""
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        about = presence.RunningProxy(pid=stranger.pid, host="127.0.0.1", port=9, version="1", started="")
        here = presence.announce(home, about)
        assert here is not None
        text = (home / presence.FILE).read_text()
        here.withdraw()
        (home / presence.FILE).write_text(text)
        ending.end(home, about, print, force=True)
        assert run("stop").err == "codex-manager: no proxy runs on this home\n"
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait(5)


def test_one_that_does_not_end_is_killed_only_when_that_was_asked_for(announced, home):
    process, about = announced(STUBBORN)
    said: list[str] = []
    with pytest.raises(UserError, match="has not ended") as refusal:
        ending.end(home, about, said.append, force=False, patience_s=0.1)
    assert "--force" in str(refusal.value.hint)
    assert process.poll() is None
    ending.end(home, about, said.append, force=True, patience_s=0.1)
    assert process.wait(5) == -9
    assert said == ["it has not ended, so it is killed"]


def test_what_it_waits_for_is_said(announced, home, monkeypatch):
    one = SimpleNamespace(model="gpt-5", endpoint="responses", client="ci", seconds=12.3)
    other = SimpleNamespace(model=None, endpoint="files", client="me", seconds=1.0)
    monkeypatch.setattr(control.Line, "running", lambda *_, **__: SimpleNamespace(count=5, requests=(one, other)))
    _, about = announced(STUBBORN)
    said: list[str] = []
    ending.end(home, about, said.append, force=True, patience_s=0.6)
    assert said[0] == (
        "waiting for 5 requests under way (gpt-5 for ci, 12 s so far, files for me, 1 s so far …), 10 s at most"
    )


def test_a_proxy_of_commands_is_theirs(announced):
    process, about = announced(for_commands=True)
    outcome = run("stop")
    assert outcome.status == 1
    assert "serves commands of `codex-manager run`" in outcome.err
    assert process.poll() is None
    assert f"stopped process {about.pid} at 127.0.0.1:9" in run("stop", "--force").err


def test_stopping_what_does_not_run_is_done_already(home):
    outcome = run("stop")
    assert (outcome.status, outcome.err) == (0, "codex-manager: no proxy runs on this home\n")


def test_what_a_service_keeps_running_is_said(announced):
    announced(service=True)
    assert "service uninstall" in run("stop").err


def test_one_at_a_terminal_is_not_started_again_elsewhere(announced):
    process, _ = announced()
    outcome = run("restart")
    assert outcome.status == 1
    assert "does not run in the background" in outcome.err
    assert process.poll() is None


def test_a_configuration_that_is_wrong_stops_nothing(announced, home):
    process, _ = announced(detached=True)
    (home / "config.yaml").write_text("proxy: {bind: x}\n")
    outcome = run("restart")
    assert outcome.status == 1
    assert "config.yaml" in outcome.err
    assert process.poll() is None
