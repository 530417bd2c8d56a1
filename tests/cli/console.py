"""Run the real command line: in this process, in one of its own, or in one of its own on a terminal of its own."""

import contextlib
import io
import os
import pty
import re
import select
import subprocess
import sys
import time

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from argon2.profiles import CHEAPEST
from click.testing import CliRunner

from codex_manager.config.paths import Paths
from codex_manager.core.account import Account
from codex_manager.core.secret import Secret
from codex_manager.vault.store import Vault
from codex_manager_cli import talk
from codex_manager_cli.main import cli


MASTER_KEY = "the master key of the tests"
PROGRAM = "from codex_manager_cli.main import main; main()"
COMMAND = [sys.executable, "-c", PROGRAM]
ON_A_TERMINAL = "import os; os.close(os.open(os.ttyname(0), os.O_RDWR)); "
"""A session leader that opens a terminal gets it as its own: what /dev/tty is then (POSIX leaves it to the system; all do)."""
PATIENCE = 20.0  # seconds; a loaded machine with two cores


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        import json

        return json.loads(self.out)


def run(*args: str, stdin: str | bytes = "") -> Outcome:
    """In this process, without a terminal."""
    with CliRunner().isolation(input=stdin) as (out, err, _):
        status = talk.run(cli, list(args))
        sys.stdout.flush()
        sys.stderr.flush()
        return Outcome(status, _text(out), _text(err))


def process(*args: str, stdin: str = "", environ: Mapping[str, str] | None = None) -> Outcome:
    """In a process of its own, without a terminal."""
    done = subprocess.run(
        [*COMMAND, *args], env={**os.environ, **(environ or {})}, input=stdin, capture_output=True, text=True,
        timeout=PATIENCE, check=False, start_new_session=True,
    )  # fmt: skip
    return Outcome(done.returncode, done.stdout, done.stderr)


def terminal(
    *args: str, answers: Mapping[str, list[str]], environ: Mapping[str, str] | None = None, program: str = PROGRAM
) -> Outcome:
    """In a process of its own, on a terminal of its own; `answers` types the next line whenever its prompt appears.

    `out` is all the terminal showed; there is no telling stdout from stderr on it.
    """
    screen, keyboard = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-c", ON_A_TERMINAL + program, *args], env={**os.environ, **(environ or {})}, stdin=keyboard,
        stdout=keyboard, stderr=keyboard, start_new_session=True,
    )  # fmt: skip
    os.close(keyboard)
    shown, unread, waiting = b"", b"", {prompt: list(lines) for prompt, lines in answers.items()}
    deadline = time.monotonic() + PATIENCE
    try:
        while time.monotonic() < deadline:
            if not select.select([screen], [], [], 0.2)[0]:
                continue
            try:
                data = os.read(screen, 65536)
            except OSError:  # Linux's way to say that nobody holds the other end any more
                break
            if not data:
                break
            shown, unread = shown + data, unread + data
            for prompt, lines in waiting.items():
                if lines and re.search(re.escape(prompt).encode() + rb": ?$", unread):
                    unread = b""
                    time.sleep(0.05)  # getpass discards what was typed before it turned the echo off
                    os.write(screen, lines.pop(0).encode() + b"\n")
                    break
        else:
            child.kill()
    finally:
        os.close(screen)
        status = child.wait(PATIENCE)
    text = shown.decode(errors="replace").replace("\r\n", "\n")
    return Outcome(status, text, text)


def stored(*accounts: Account) -> None:
    """A vault under MASTER_KEY with the cheapest key derivation (tests only), holding these accounts."""
    paths = Paths.locate()
    paths.make_dirs()
    with Vault.create(paths.vault_file, Secret(MASTER_KEY), profile=CHEAPEST) as vault:
        for account in accounts:
            vault.add(account)


@contextlib.contextmanager
def the_vault(master_key: str = MASTER_KEY):
    """The vault as another program would open it."""
    with Vault.open(Paths.locate().vault_file, Secret(master_key)) as vault:
        yield vault


def _text(stream: Any) -> str:
    assert isinstance(stream, io.BytesIO)
    return stream.getvalue().decode()
