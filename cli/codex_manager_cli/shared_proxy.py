"""The proxy a command uses: the one that runs on this home, or one started for commands and shared by them.

Knows the announcement (`proxy.json`), the health endpoint and the proxy's command line. Law: a proxy is used only when
it is alive, of this version, and has let in a key of this vault; the master key reaches a started one through its
standard input, never by its environment or its arguments; one that was not needed ends before it has done anything.
"""

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import time

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codex_manager import __version__
from codex_manager.config import presence
from codex_manager.config.address import Address, is_wildcard
from codex_manager.core.secret import Secret
from codex_manager_cli.guest_environment import MASTER_KEY_VARIABLE
from codex_manager_cli.talk import UserError


__all__ = ["LOG", "START_S", "ProxyAt", "Waiting", "found", "lets_in"]

LOG = "run-proxy.log"
START_S = 30.0  # a cold start on a slow disk; one second is usual
LET_IN_S = 3.0  # a running proxy takes a new key over within 2 s (docs/security.md); half a second is usual
HANDS_OVER = os.name != "nt"  # whether a socket can be handed to a process that is started
ANSWER_S = 2.0  # for /health of a machine under load


@dataclass(frozen=True, slots=True)
class ProxyAt:
    """Where the proxy is."""

    address: Address
    for_commands: bool
    pid: int

    @property
    def url(self) -> str:
        """Without a path."""
        return f"http://{self.address}"


def found(data_folder: Path) -> ProxyAt | None:
    """The proxy that runs on this home, if it answers and is of this version."""
    running = presence.running(data_folder)
    if running is None or running.version != __version__:
        return None
    host = running.host
    if is_wildcard(host):
        host = "::1" if ":" in host else "127.0.0.1"
    at = ProxyAt(Address(host, running.port), running.for_commands, running.pid)
    return at if (_health(at) or {}).get("version") == __version__ else None


def lets_in(at: ProxyAt, key: Secret, name: str) -> bool:
    """Whether the proxy knows the key; it is given the time it needs to notice a new one."""
    deadline = time.monotonic() + LET_IN_S
    while True:
        health = _health(at, key)
        if health is None:
            return False
        if health.get("client") == name:
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.03)


class Waiting:
    """A proxy that has been started and waits for the master key: its imports take longer than ours.

    Its socket listens before it is there, so a command may start at once: what it sends is answered as soon as
    the proxy is up. Mutable state: the process, until it is used or turned out.
    """

    def __init__(self, data_folder: Path, environ: Mapping[str, str], *, port: int = 0) -> None:
        self._log = data_folder / LOG
        self._served = False
        self._ready, ready = os.pipe()
        os.set_blocking(self._ready, False)
        listening = socket.create_server(("127.0.0.1", port), backlog=128)
        self._address = Address(*listening.getsockname())
        passed = {"--listen-fd": listening.fileno(), "--ready-fd": ready} if HANDS_OVER else {}
        if not HANDS_OVER:
            listening.close()
        log = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [
                    *(sys.executable, "-m", "codex_manager.proxy", "--bind", str(self._address)),
                    *("--while-used", "--master-key-stdin"),
                    *(f"{option}={descriptor}" for option, descriptor in passed.items()),
                ],
                env={name: value for name, value in environ.items() if name != MASTER_KEY_VARIABLE},
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=log,
                pass_fds=tuple(passed.values()),
                start_new_session=True,  # the terminal's Ctrl-C is for the command
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            )
        finally:
            os.close(log)
            os.close(ready)
            listening.close()  # it is the proxy's alone: when that dies, clients are told at once

    def serve(self, master_key: Secret) -> ProxyAt:
        """Let it serve; where that is, possibly before it does (`serves` tells).

        Raises:
            UserError: it did not start; the error says what it said.
        """
        self._answer(f"{master_key.reveal()}\n".encode())
        deadline = time.monotonic() + START_S
        while not (HANDS_OVER or self.serves()):
            if time.monotonic() >= deadline:
                self.turn_out()
                raise self._failed()
            time.sleep(0.01)
        return ProxyAt(self._address, for_commands=True, pid=self._process.pid)

    def serves(self) -> bool:
        """Whether it serves by now.

        Raises:
            UserError: it never will; the error says what it said.
        """
        self._served = self._served or self._is_ready()
        if not self._served and self._process.poll() is not None:
            raise self._failed()
        return self._served

    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def was_killed(self) -> bool:
        """Whether a signal ended it; what cannot start ends by itself."""
        return (self._process.poll() or 0) < 0

    def _is_ready(self) -> bool:
        if not HANDS_OVER:
            return _health(ProxyAt(self._address, for_commands=True, pid=self._process.pid)) is not None
        try:
            return bool(os.read(self._ready, 64))
        except BlockingIOError:
            return False

    def _failed(self) -> UserError:
        return UserError(f"the proxy did not start: {self._said()}", hint=f"the rest is in {self._log}")

    def turn_out(self) -> None:
        """It is not needed. Safe to call at any time; one that serves is left alone."""
        self._answer(b"")  # without a key it ends
        if not (self._served or self._is_ready()):
            self._process.kill()  # nobody could have found it, and it has nothing to finish
            self._process.wait()

    def _answer(self, data: bytes) -> None:
        stream = self._process.stdin
        assert stream is not None
        with contextlib.suppress(OSError):  # it ended already: noticed by who waits for it
            if not stream.closed:
                stream.write(data)
                stream.close()

    def _said(self) -> str:
        try:
            lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            lines = []
        errors = [line.partition("error: ")[2] for line in lines if "error: " in line]
        return (errors or lines or [f"it ended with status {self._process.poll()}"])[-1]


def _health(at: ProxyAt, key: Secret | None = None) -> dict[str, Any] | None:
    """What it says of itself, and to the holder of a key whose that is; None when it does not answer."""
    headers = {} if key is None else {"Authorization": f"Bearer {key.reveal()}"}
    connection = http.client.HTTPConnection(at.address.host, at.address.port, timeout=ANSWER_S)
    try:
        connection.request("GET", "/health", headers=headers)
        document = json.loads(connection.getresponse().read(65536))
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
    return document if isinstance(document, dict) else None
