"""A command under `run` behaves as if it had been started by itself: files, signals, terminal, end."""

import errno
import os
import pty
import select
import signal
import subprocess
import sys
import time

from typing import Any

import pytest

from tests.support import wait_for


Popen: Any = subprocess.Popen  # its pipes are there

DRIVER = (
    "import os, shutil, sys; from codex_manager_cli import child;"
    " sys.exit(child.run(shutil.which(sys.argv[1]), sys.argv[1:], os.environ, lambda: None))"
)
RUN = [sys.executable, "-c", DRIVER]
TELL = """
import os, signal, sys, time
told = []
def tell(number, frame):
    told.append(number)
    print(signal.Signals(number).name, flush=True)
    if number == signal.SIGTERM:
        signal.signal(number, signal.SIG_IGN)  # `kill %1` is for the whole group, and what reaches `run` is passed on: it comes twice
        sys.exit(3)
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH):
    signal.signal(number, tell)
print("ready", flush=True)
while True:
    time.sleep(0.05)
"""


def run(*command, **options):
    return subprocess.run([*RUN, *command], capture_output=True, timeout=20, check=False, **options)


@pytest.mark.parametrize("status", [0, 1, 7, 127, 255])
def test_its_status_is_ours(status):
    assert run("sh", "-c", f"exit {status}").returncode == status


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT, signal.SIGSEGV, signal.SIGPIPE])
def test_killed_by_a_signal_it_is_128_and_the_number(number):
    assert run("sh", "-c", f"kill -{int(number)} $$").returncode == 128 + number


def test_its_input_and_output_are_untouched():
    data = bytes(range(256)) * 4096
    ended = run("cat", input=data)
    assert ended.stdout == data
    assert ended.stderr == b""


def test_descriptors_handed_over_reach_it_and_none_of_ours_does():
    reading, writing = os.pipe()
    os.write(writing, b"given")
    os.close(writing)
    code = f"import os; print(os.read({reading}, 9), [n for n in range(3, 64) if n != {reading} and is_open(n)])"
    is_open = "def is_open(n):\n try: os.fstat(n)\n except OSError: return False\n return True\n"
    try:
        ended = run(sys.executable, "-c", f"import os\n{is_open}{code}", pass_fds=[reading])
    finally:
        os.close(reading)
    assert ended.stdout == b"b'given' []\n"


def test_a_reader_that_goes_away_ends_it_as_it_ends_others():
    """Python ignores SIGPIPE; the command must not."""
    ended = subprocess.run(
        ["sh", "-c", '"$@" | head -c 1', "sh", *RUN, "yes"], capture_output=True, timeout=20, check=False
    )
    assert (ended.stdout, ended.stderr) == (b"y", b"")


def test_a_script_without_an_interpreter_line_runs_as_in_a_shell(tmp_path):
    script = tmp_path / "script"
    script.write_text("echo it is $1\n")
    script.chmod(0o755)
    assert run(str(script), "me").stdout == b"it is me\n"


def test_what_cannot_be_started_is_the_systems_error():
    code = DRIVER.replace("shutil.which(sys.argv[1])", "'/'")
    ended = subprocess.run([sys.executable, "-c", code, "x"], capture_output=True, timeout=20, check=False)
    assert f"Errno {errno.EACCES}".encode() in ended.stderr


def test_signals_sent_to_us_reach_it_once():
    names = ["SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGWINCH", "SIGTERM"]
    with Popen([*RUN, sys.executable, "-c", TELL], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        told = []
        for name in names:
            process.send_signal(signal.Signals[name])
            told.append(process.stdout.readline().strip())
        assert process.wait(10) == 3
        assert told == names
        assert process.stdout.read() == ""


def test_a_signal_we_were_told_to_ignore_stays_ignored():
    """As `nohup` does."""
    ended = run("sh", "-c", "trap '' HUP; exec \"$@\"", "sh", sys.executable, "-c",
                "import signal; print(signal.getsignal(signal.SIGHUP) == signal.SIG_IGN)")  # fmt: skip
    assert ended.stdout == b"True\n"
    nohup = ["sh", "-c", "trap '' HUP; exec \"$@\"", "sh", *RUN, "sh", "-c", "echo on; sleep 0.5; echo end"]
    with Popen(nohup, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "on\n"
        process.send_signal(signal.SIGHUP)
        assert process.stdout.read() == "end\n"
        assert process.wait(10) == 0


def test_the_command_starts_with_no_signal_blocked():
    ended = run(sys.executable, "-c", "import signal; print(signal.pthread_sigmask(signal.SIG_BLOCK, []))")
    assert ended.stdout == b"set()\n"


def test_a_command_that_stops_stops_us_and_goes_on_with_us():
    with Popen([*RUN, "sh", "-c", "kill -STOP $$; echo on"], stdout=subprocess.PIPE, text=True) as process:
        pid, status = os.waitpid(process.pid, os.WUNTRACED)
        assert pid == process.pid
        assert os.WIFSTOPPED(status)
        process.send_signal(signal.SIGCONT)
        assert process.stdout.read() == "on\n"
        assert process.wait(10) == 0


class Screen:
    """An interactive shell on a terminal of its own."""

    def __init__(self):
        screen, keyboard = pty.openpty()
        lead = "import os, sys; os.close(os.open(os.ttyname(0), os.O_RDWR)); os.execvp('bash', ['bash', '--norc', '--noprofile', '-i'])"
        self.fd = screen
        self.process = Popen(
            [sys.executable, "-c", lead], stdin=keyboard, stdout=keyboard, stderr=keyboard, start_new_session=True,
            env={**os.environ, "PS1": "PROMPT> ", "TERM": "dumb", "HISTFILE": ""},
        )  # fmt: skip
        os.close(keyboard)
        self.shown = ""

    def type(self, text):
        os.write(self.fd, text.encode())

    def until(self, text, seconds=15):
        """Everything shown up to and with the text."""
        deadline = time.monotonic() + seconds
        while text not in self.shown:
            assert time.monotonic() < deadline, f"{text!r} is not in {self.shown!r}"
            if select.select([self.fd], [], [], 0.1)[0]:
                try:
                    self.shown += os.read(self.fd, 65536).decode(errors="replace")
                except OSError:
                    break
        before, found, self.shown = self.shown.partition(text)
        return before + found

    def close(self):
        self.process.kill()
        self.process.wait(5)
        os.close(self.fd)


@pytest.fixture
def screen():
    if not wait_for(lambda: any(os.access(f"{folder}/bash", os.X_OK) for folder in os.get_exec_path()), 0):
        pytest.skip("needs bash")
    shell = Screen()
    shell.until("PROMPT> ")
    shell.type(f"run() {{ {sys.executable} -c '{DRIVER}' \"$@\"; }}\n")
    shell.until("PROMPT> ")
    yield shell
    shell.close()


def test_the_terminals_keys_reach_it_once(screen, tmp_path):
    script = tmp_path / "tell.py"
    script.write_text(TELL)
    screen.type(f"run {sys.executable} {script}\n")
    screen.until("ready\r\n")
    screen.type("\x03")
    screen.until("SIGINT\r\n")
    screen.type("\x1c")
    assert "SIGINT" not in screen.until("SIGQUIT\r\n"), "once"
    screen.type("\x1a")
    screen.until("Stopped")
    screen.until("PROMPT> ")
    screen.type("fg\n")
    time.sleep(0.3)
    screen.type("\x03")
    screen.until("SIGINT\r\n")
    screen.type("\x1a")
    screen.until("Stopped")
    screen.type("kill %1; fg; echo status $?\n")
    screen.until("SIGTERM")
    screen.until("status 3\r\n")


def test_it_has_the_terminal(screen):
    screen.type('run sh -c "test -t 0 && test -t 1 && test -t 2 && stty size < /dev/tty && echo is a terminal"\n')
    screen.until("\r\nis a terminal\r\n")
    screen.type("run cat; echo ended\n")
    time.sleep(0.5)  # until it reads
    screen.type("typed\n")
    screen.until("typed\r\ntyped\r\n")
    screen.type("\x04")
    screen.until("ended\r\n")
    screen.type("run sleep 30\n")
    time.sleep(0.5)
    screen.type("\x03")
    screen.type("echo status $?\n")
    screen.until("status 130\r\n")


def test_a_pipeline_keeps_the_terminal(screen):
    """The command stays in the shell's process group, so a pager next to it can read the keys."""
    screen.type("run echo through | { cat; read -r line < /dev/tty; echo got $line; }\n")
    screen.until("\r\nthrough\r\n")
    screen.type("this\n")
    screen.until("got this\r\n")
