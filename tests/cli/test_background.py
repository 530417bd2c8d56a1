"""Starting in the background: comes back when it serves, or with the reason; one at a time; no key where it does not belong."""

import json
import os
import stat
import sys

import pytest

from codex_manager.config import presence
from codex_manager.config.paths import Paths
from codex_manager.core.secret import Secret
from codex_manager_cli import background
from codex_manager_cli.talk import UserError


KEY = Secret("the master key")


@pytest.fixture
def python(tmp_path, monkeypatch):
    """Stands in for the interpreter: does what the function is given, as a shell script with $REPORT and $LOG."""

    def stand_in(script):
        path = tmp_path / "python"
        path.write_text(
            '#!/bin/sh\nfor word; do case "$before" in --report) REPORT=$word;; --log-file) LOG=$word;; esac;'
            f" before=$word; done\nHERE={tmp_path}\n{script}\n"
        )
        path.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(path))

    return stand_in


@pytest.fixture
def paths(isolated_home):
    return Paths.locate()


def start(paths, *arguments, environ=None, **more):
    environ = {"PATH": os.environ["PATH"], **(environ or {})}
    return background.start(paths, arguments, environ, log=paths.data_dir / "proxy.log", **more)


def test_it_is_back_when_it_serves(python, paths):
    python("""echo '{"address": "127.0.0.1:7", "page": "127.0.0.1:8"}' > "$REPORT.x"; mv "$REPORT.x" "$REPORT"
echo said >&2; echo "$@" > $HERE/arguments; pwd > $HERE/where; echo x > $HERE/mode; exec sleep 60""")
    started = start(paths, "--web", "--bind", "127.0.0.1:7")
    os.kill(started.pid, 9)
    os.waitpid(started.pid, 0)
    assert (started.address, started.page) == ("127.0.0.1:7", "127.0.0.1:8")
    assert os.getpgid(0) != started.pid
    assert not (paths.data_dir / "proxy.report").exists()


def test_it_is_detached_with_its_words_in_a_file_of_the_owners(python, paths, tmp_path):
    python("""echo said >&2; echo "$@" > $HERE/arguments; pwd > $HERE/where; umask > $HERE/umask; ps -o sid= -o pid= $$ > $HERE/ids
echo '{"address": "127.0.0.1:7"}' > "$REPORT.x"; mv "$REPORT.x" "$REPORT"; exec sleep 60""")
    started = start(paths, "--bind", "127.0.0.1:7")
    os.kill(started.pid, 9)
    os.waitpid(started.pid, 0)
    log = paths.data_dir / "proxy.log"
    assert log.read_text() == "said\n"
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert (tmp_path / "arguments").read_text().split() == [
        "-m", "codex_manager.proxy", "--bind", "127.0.0.1:7", "--detached", "--log-file", str(log),
        "--report", str(paths.data_dir / "proxy.report"),
    ]  # fmt: skip
    assert (tmp_path / "where").read_text().strip() == str(paths.data_dir)
    assert (tmp_path / "umask").read_text().strip() == "0077"
    assert len(set((tmp_path / "ids").read_text().split())) == 1  # the leader of a session of its own


def test_a_typed_key_goes_by_pipe_only(python, paths, tmp_path):
    python("""read key; echo "$key" > $HERE/key; echo "$@" > $HERE/arguments; env > $HERE/environment
echo '{"address": "127.0.0.1:7"}' > "$REPORT.x"; mv "$REPORT.x" "$REPORT"; exec sleep 60""")
    started = start(paths, environ={"CAM_MASTER_KEY": KEY.reveal()}, master_key=KEY)
    os.kill(started.pid, 9)
    os.waitpid(started.pid, 0)
    assert (tmp_path / "key").read_text().strip() == KEY.reveal()
    assert "--master-key-stdin" in (tmp_path / "arguments").read_text()
    for name in ("arguments", "environment"):
        assert KEY.reveal() not in (tmp_path / name).read_text()


def test_why_it_does_not_start_is_its_own_sentence_and_status(python, paths):
    refusal = json.dumps({"error": "the vault is locked", "hint": "unlock it", "status": 3})
    python(f'echo \'{refusal}\' > "$REPORT.x"; mv "$REPORT.x" "$REPORT"; exit 3')
    with pytest.raises(UserError, match="the vault is locked") as failed:
        start(paths)
    assert (failed.value.hint, failed.value.exit_code) == ("unlock it", 3)


@pytest.mark.parametrize(
    ("script", "how"), [("exit 7", "ended with status 7"), ("kill -9 $$", "was killed by signal 9")]
)
def test_one_that_ends_without_a_word_is_told_with_its_log(script, how, python, paths):
    python(script)
    with pytest.raises(UserError, match=how) as failed:
        start(paths)
    assert "proxy.log" in str(failed.value.hint)


def test_one_that_does_not_serve_in_time_is_not_left_behind(python, paths, tmp_path):
    python("echo $$ > $HERE/pid; exec sleep 60")
    with pytest.raises(UserError, match="did not start within"):
        start(paths, patience_s=0.3)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_there_is_one_of_a_home(python, paths):
    python("exit 1")
    paths.make_dirs()
    about = presence.RunningProxy(pid=4711, host="127.0.0.1", port=8080, version="1", started="")
    here = presence.announce(paths.data_dir, about)
    assert here is not None
    with pytest.raises(UserError, match=r"runs already: process 4711 at 127\.0\.0\.1:8080") as failed:
        start(paths)
    assert "codex-manager stop" in str(failed.value.hint)
    here.withdraw()


def test_a_log_that_cannot_be_written_is_said_before_anything_starts(python, paths):
    python("exit 1")
    with pytest.raises(UserError, match="cannot be written"):
        background.start(paths, [], {}, log=paths.data_dir / "no" / "proxy.log")


def test_a_home_given_as_a_relative_path_stays_the_same(paths, monkeypatch):
    environment = background._environment(
        paths, {"CODEX_MANAGER_HOME": "x", "PYTHONPATH": "a:/b", "A": "1"}, without_key=True
    )
    assert environment == {
        "CODEX_MANAGER_HOME": str(paths.data_dir), "PYTHONPATH": f"{os.getcwd()}/a:/b", "A": "1",
    }  # fmt: skip
