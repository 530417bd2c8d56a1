import os
import signal
import subprocess
import sys
import time

import click
import pytest

from codex_manager.core.errors import CodexManagerError
from codex_manager_cli import talk


def command_raising(error):
    @click.command()
    def command():
        if error is not None:
            raise error

    return command


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (None, 0, ""),
        (talk.UserError("it is so", hint="do this", exit_code=3), 3, "codex-manager: error: it is so\ncodex-manager: hint: do this\n"),
        (CodexManagerError("it is so"), 1, "codex-manager: error: it is so\n"),
        (KeyboardInterrupt(), 130, "\ncodex-manager: stopped\n"),
        (click.Abort(), 130, "codex-manager: stopped\n"),
        (click.exceptions.Exit(4), 4, ""),
        (PermissionError(13, "Permission denied", "/some/file"), 1, "codex-manager: error: /some/file: permission denied\n"),
        (OSError(28, "No space left on device"), 1, "codex-manager: error: the system refused something: no space left on device\n"),
    ],
)  # fmt: skip
def test_every_outcome_has_a_status_and_a_sentence(capsys, error, status, said):
    assert talk.run(command_raising(error), []) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    assert (
        captured.err.replace(f"codex-manager: hint: run it again with {talk.DEBUG_VARIABLE}=1 for a traceback\n", "")
        == said
    )


def test_a_usage_error_shows_the_usage(capsys):
    assert talk.run(command_raising(None), ["--nothing"]) == 2
    assert "Usage: " in capsys.readouterr().err


def test_what_nobody_expected_is_one_sentence_without_its_text(capsys):
    """Nobody vouches that the text of a foreign exception holds no secret."""
    assert talk.run(command_raising(KeyError("sk-topsecret")), []) == 1
    err = capsys.readouterr().err
    assert err.startswith("codex-manager: error: internal error (KeyError in test_talk line ")
    assert "CODEX_MANAGER_DEBUG=1" in err
    assert "topsecret" not in err
    assert "Traceback" not in err
    assert len(err.splitlines()) == 2


def test_the_traceback_is_for_those_who_ask(capsys, monkeypatch):
    monkeypatch.setenv("CODEX_MANAGER_DEBUG", "1")
    assert talk.run(command_raising(KeyError("what")), []) == 1
    assert "Traceback" in capsys.readouterr().err


def test_data_is_json_in_order(capsys):
    talk.emit_json({"b": "é", "a": [1, None]})
    assert capsys.readouterr() == ('{\n  "b": "é",\n  "a": [\n    1,\n    null\n  ]\n}\n', "")


def test_talk_goes_to_stderr(capsys):
    talk.say("hello")
    talk.warn("careful")
    assert capsys.readouterr() == ("", "codex-manager: hello\ncodex-manager: warning: careful\n")


@pytest.mark.parametrize("argument", ["x" * 20, " x "])
def test_a_secret_given_is_taken_without_its_blanks(argument):
    assert talk.read_secret("key", argument).reveal() == argument.strip()


@pytest.mark.parametrize(("argument", "stdin"), [(None, ""), ("-", ""), ("-", " \n"), ("", "")])
def test_no_secret_is_a_usage_error(monkeypatch, tmp_path, argument, stdin):
    (tmp_path / "stdin").write_text(stdin)
    with (tmp_path / "stdin").open() as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        with pytest.raises(talk.UserError) as caught:
            talk.read_secret("key", argument)
    assert caught.value.exit_code == 2


def program(*arguments, **kwargs):
    return subprocess.Popen(
        [sys.executable, "-m", "codex_manager_cli", *arguments],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **kwargs,
    )


@pytest.mark.skipif(os.name == "nt", reason="pipes")
def test_a_reader_that_leaves_is_no_error():
    reading, writing = os.pipe()
    os.close(reading)
    with subprocess.Popen(
        [sys.executable, "-m", "codex_manager_cli", "config", "show"], stdout=writing, stderr=subprocess.PIPE, text=True
    ) as process:
        os.close(writing)
        _, err = process.communicate(timeout=30)
    assert err == ""
    assert process.returncode == 1


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_ctrl_c_ends_with_130_and_no_traceback(tmp_path):
    started = tmp_path / "started"
    waiting = f"{sys.executable} -c \"import pathlib, time; pathlib.Path('{started}').touch(); time.sleep(30)\""
    with program("config", "edit", env={**os.environ, "VISUAL": waiting}, start_new_session=True) as process:
        deadline = time.monotonic() + 20
        while not started.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "codex-manager: stopped" in err
    assert "most recent call last" not in err.partition("codex-manager: stopped")[2]


def test_a_key_among_the_arguments_is_not_repeated(capsys):
    """Click quotes what it does not expect."""
    assert talk.run(command_raising(None), ["sk-proj-0123456789abcdef"]) == 2
    said = capsys.readouterr().err
    assert "unexpected extra argument (sk-…)" in said
    assert "0123456789" not in said
