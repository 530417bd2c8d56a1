"""Start the real things for end-to-end tests: a proxy process with a vault of its own, bounded in time everywhere."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from argon2.profiles import CHEAPEST

from codex_manager.core.account import Account
from codex_manager.core.secret import Secret
from codex_manager.vault.store import Vault, new_account


MASTER_KEY = "a master key for tests only"
LOCAL_KEY = "sk-codex-manager"
POLLING = "CODEX_MANAGER__POLLING__ENABLED"
"""Off unless a test is about it: the questions would stand among the requests that tests count."""
START_TIMEOUT = 20.0  # seconds; a loaded machine with two cores


@dataclass
class Home:
    """A CODEX_MANAGER_HOME with a vault in it."""

    path: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def vault_file(self) -> Path:
        return self.path / "vault.db"

    @property
    def config_file(self) -> Path:
        return self.path / "config.yaml"

    def environ(self) -> dict[str, str]:
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        own = {"CODEX_MANAGER_HOME": str(self.path), "CAM_MASTER_KEY": MASTER_KEY, POLLING: "false"}
        return inherited | own | self.environment

    def vault(self) -> Vault:
        return Vault.open(self.vault_file, Secret(MASTER_KEY))


def make_home(path: Path, accounts: Sequence[Account] = (), config: str = "") -> Home:
    """A home with these accounts, its vault under the cheapest key derivation (tests only)."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    home = Home(path)
    with Vault.create(home.vault_file, Secret(MASTER_KEY), profile=CHEAPEST) as vault:
        for account in accounts:
            vault.add(account)
    if config:
        home.config_file.write_text(config, encoding="utf-8")
    return home


def account(label: str, key: str, **fields: object) -> Account:
    return new_account(label, Secret(key), **fields)


@dataclass
class ProxyProcess:
    """A running proxy and what it said."""

    process: subprocess.Popen[str]
    port: int
    stderr: list[str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    def said(self) -> str:
        return "".join(self.stderr)


LISTENING = re.compile(r"listening on http://[^:]+:(\d+)")


@contextlib.contextmanager
def running_proxy(
    home: Home | None, *arguments: str, command: Sequence[str] | None = None, environ: Mapping[str, str] | None = None
) -> Iterator[ProxyProcess]:
    """The real proxy as a process of its own; stopped with SIGTERM, killed when that takes longer than 15 s."""
    command = command or [sys.executable, "-m", "codex_manager.proxy", "--bind", "127.0.0.1:0", *arguments]
    process = subprocess.Popen(
        list(command),
        env=_environment(home, environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    lines: list[str] = []
    ready = threading.Event()
    assert process.stderr is not None
    stream = process.stderr

    def read() -> None:
        for line in stream:
            lines.append(line)
            if LISTENING.search(line):
                ready.set()
        ready.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        ready.wait(START_TIMEOUT)
        found = LISTENING.search("".join(lines))
        assert found, f"the proxy did not start within {START_TIMEOUT} s: {''.join(lines)}"
        yield ProxyProcess(process, int(found[1]), lines)
    finally:
        stop(process)
        reader.join(5)
        stream.close()


def stop(process: subprocess.Popen[Any], patience: float = 15.0) -> int:
    """SIGTERM, then SIGKILL; the exit status."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait(5)


def wait_for(condition: object, seconds: float = 5.0, step: float = 0.02) -> bool:
    """True as soon as `condition()` is; False when it never was within `seconds`."""
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(step)
    return bool(condition())


def _environment(home: Home | None, environ: Mapping[str, str] | None) -> dict[str, str]:
    if environ is not None:
        return dict(environ)
    assert home is not None
    return home.environ()
