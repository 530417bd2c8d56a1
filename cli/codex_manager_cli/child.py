"""Runs a command in the place of this process: its terminal, its files, its signals, its end.

Knows processes and signals, nothing of proxies. Law: the command stays in this process's group, so the terminal's keys
and job control reach it as if it had been started without us; what is sent to this process alone is passed on; when it
stops, we stop; how it ended is how we end.
"""

import contextlib
import errno
import os
import signal
import subprocess
import sys
import time

from collections.abc import Callable, Iterator, Mapping, Sequence


__all__ = ["TICK_S", "run"]

TICK_S = 0.25  # how often `tick` is called while the command runs
SI_KERNEL = 0x80  # asm-generic/siginfo.h: sent by the kernel, as the terminal's keys are, and to the whole group


def run(path: str, command: Sequence[str], environ: Mapping[str, str], tick: Callable[[], None]) -> int:
    """Run the program at `path` with these words and this environment; its exit status, 128 + n after signal n.

    Signals stay blocked afterwards, so that nothing cuts short what is to be done at the end.

    Raises:
        OSError: it cannot be started.
    """
    return _run(path, command, environ, tick)


if sys.platform == "win32":

    def _run(path: str, command: Sequence[str], environ: Mapping[str, str], tick: Callable[[], None]) -> int:
        """The console sends Ctrl-C to every process on it; the command decides what it means."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with subprocess.Popen([path, *command[1:]], env=dict(environ), close_fds=False) as process:  # noqa: S603 - the user's own command
            while True:
                try:
                    return process.wait(TICK_S)
                except subprocess.TimeoutExpired:
                    tick()

else:
    PASSED_ON = (
        signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP, signal.SIGCONT, signal.SIGWINCH,
        signal.SIGUSR1, signal.SIGUSR2,
    )  # fmt: skip
    FROM_KEYBOARD = frozenset({signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, signal.SIGWINCH})
    IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)  # in every Python program; the command shall have them back

    def _run(path: str, command: Sequence[str], environ: Mapping[str, str], tick: Callable[[], None]) -> int:
        handled = {number for number in PASSED_ON if signal.getsignal(number) is not signal.SIG_IGN}
        waited: set[signal.Signals] = handled | {signal.SIGCHLD}
        for number in waited - {signal.SIGINT}:  # an ignored or unhandled signal need not be kept for us while blocked
            signal.signal(number, _nothing)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, waited)
        child = _spawn(path, command, environ, before)
        due = time.monotonic() + TICK_S
        while (status := _state(child)) is None:
            for received, sender in _received(waited, max(0.0, due - time.monotonic())):
                if received != signal.SIGCHLD and sender != child:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(child, received)
            if time.monotonic() >= due:
                tick()
                due = time.monotonic() + TICK_S
        return status

    def _nothing(*_: object) -> None:
        """A handler, so that the signal counts as wanted."""

    def _spawn(path: str, command: Sequence[str], environ: Mapping[str, str], mask: set[signal.Signals | int]) -> int:
        """posix_spawn: descriptors that the caller handed over (`<(…)`) stay open, those of Python's own do not."""

        def spawn(program: str, words: Sequence[str]) -> int:
            return os.posix_spawn(program, list(words), dict(environ), setsigmask=mask, setsigdef=IGNORED_BY_PYTHON)

        try:
            return spawn(path, command)
        except OSError as error:
            if error.errno != errno.ENOEXEC:
                raise
            return spawn("/bin/sh", ["sh", path, *command[1:]])  # a script without `#!`, as every shell runs it

    def _state(child: int) -> int | None:
        """Its exit status; None while it runs. While it is stopped so are we: the shell that started us sees it."""
        pid, status = os.waitpid(child, os.WNOHANG | os.WUNTRACED)
        if pid == 0:
            return None
        if os.WIFSTOPPED(status):
            os.kill(os.getpid(), signal.SIGSTOP)
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGCONT)  # we go on, so shall it; `fg` has told both, `kill -CONT` only us
            return None
        return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)

    def _received(waited: set[signal.Signals], patience: float) -> Iterator[tuple[int, int]]:
        """The next signal that the command has not got by itself, and who sent it (0 if the system does not say)."""
        if sys.platform == "linux":
            info = signal.sigtimedwait(waited, patience)
            if info is not None and info.si_code != SI_KERNEL:
                yield info.si_signo, info.si_pid
            return
        deadline = time.monotonic() + patience
        while not (pending := signal.sigpending() & waited):
            if time.monotonic() >= deadline:
                return
            time.sleep(0.02)
        number = signal.sigwait(pending)
        if not (number in FROM_KEYBOARD and _in_foreground()):
            yield number, 0

    def _in_foreground() -> bool:
        """Whether the terminal's keys reach this process group."""
        for descriptor in (0, 1, 2):
            with contextlib.suppress(OSError):
                return os.tcgetpgrp(descriptor) == os.getpgrp()
        return False
