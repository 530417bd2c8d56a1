"""Starts a proxy in the background, and comes back once it serves, or with the reason why it does not.

Knows the proxy's command line and the announcement. Laws: one at a time, and none beside one that is announced already; the master key,
where a person has typed it, reaches it through its standard input and nothing else; one that does not serve in time is not left behind.
"""

import contextlib
import json
import os
import subprocess
import sys
import time

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from codex_manager.config import presence, storage
from codex_manager.config.address import Address
from codex_manager.config.load import load
from codex_manager.config.paths import HOME_VARIABLE, Paths
from codex_manager.core.secret import Secret
from codex_manager.vault import masterkey
from codex_manager.vault.errors import NoMasterKeyError, VaultLockedError
from codex_manager.vault.store import Vault, has_vault
from codex_manager_cli import session
from codex_manager_cli.talk import UserError


__all__ = ["LOG", "START_S", "Started", "log_file", "needed_key", "start", "where"]

LOG: Final = "proxy.log"
REPORT: Final = "proxy.report"
TURN: Final = "proxy.start"
"""Held while a proxy is started: by us, and by `codex-manager run`."""
START_S: Final = 30.0  # a cold start on a slow disk; one second is usual
STEP_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class Started:
    """What serves now."""

    pid: int
    address: str
    """`host:port`."""
    page: str
    """`host:port` of its page; empty when it has none."""
    log: Path


def log_file(paths: Paths, environ: Mapping[str, str], options: Mapping[str, tuple[str, Any]] | None = None) -> Path:
    """Where a proxy in the background writes its log.

    Raises:
        ConfigError: the configuration is wrong.
    """
    chosen = load(paths, environ, options=options).logging.file
    return Path(chosen) if chosen is not None else paths.data_dir / LOG


def where(running: presence.RunningProxy) -> str:
    """A proxy in a few words."""
    return f"process {running.pid} at {Address(running.host, running.port)}"


def needed_key(paths: Paths, environ: Mapping[str, str]) -> Secret | None:
    """The master key if somebody has to type it, proven; None where the proxy finds it by itself or can do without for now.

    Raises:
        VaultError: there is a vault that cannot be opened.
    """
    if not has_vault(paths.vault_file):
        return None
    try:
        masterkey.resolve(paths.vault_file, environ=environ, prompt=None)
    except VaultLockedError:
        return None
    except NoMasterKeyError:
        key, vault = session.proven(paths.vault_file, Vault.open)
        vault.close()
        return key
    return None


def start(
    paths: Paths,
    arguments: Sequence[str],
    environ: Mapping[str, str],
    *,
    log: Path,
    master_key: Secret | None = None,
    patience_s: float = START_S,
) -> Started:
    """Start it with these arguments of `python -m codex_manager.proxy`.

    Raises:
        UserError: one runs already, or it did not start; the error says what it said, and ends with its exit status.
    """
    paths.make_dirs()
    with storage.exclusive(paths.data_dir / TURN, patience_s=2 * patience_s):
        running = presence.running(paths.data_dir)
        if running is not None and not running.for_commands:
            raise UserError(
                f"a proxy of this home runs already: {where(running)}",
                hint="stop it with `codex-manager stop`, or start it anew with `codex-manager restart`",
            )
        report = paths.data_dir / REPORT
        report.unlink(missing_ok=True)
        process = _spawned(paths, arguments, environ, log, report, by_pipe=master_key is not None)
        try:
            _hand_over(process, master_key)
            document = _awaited(process, report, patience_s)
        except BaseException:
            process.kill()  # it is not one that anybody could have found and used
            process.wait()
            raise
        finally:
            report.unlink(missing_ok=True)
    if document is None:
        raise _silent(process, log, patience_s)
    if "error" in document:
        process.wait(patience_s)
        raise UserError(document["error"], hint=document.get("hint"), exit_code=int(document.get("status") or 1))
    process.returncode = 0  # it goes its own way: without this Python complains that nobody awaits it
    return Started(process.pid, str(document["address"]), str(document.get("page") or ""), log)


def _spawned(
    paths: Paths, arguments: Sequence[str], environ: Mapping[str, str], log: Path, report: Path, *, by_pipe: bool
) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "codex_manager.proxy", *arguments, "--detached", "--log-file", str(log)]
    command += ["--report", str(report), *(["--master-key-stdin"] if by_pipe else [])]
    more: dict[str, Any] = {"start_new_session": True, "umask": 0o077}
    if os.name == "nt":
        more = {"creationflags": 0x0000_0008 | 0x0000_0200}  # DETACHED_PROCESS, CREATE_NEW_PROCESS_GROUP
    try:
        said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0), 0o600)
    except OSError as error:
        raise UserError(
            f"the log {log} cannot be written: {(error.strerror or type(error).__name__).lower()}",
            hint="make its folder and see that you may write there, or set logging.file to another place",
        ) from error
    try:
        return subprocess.Popen(  # noqa: S603 - our own interpreter and module
            command,
            env=_environment(paths, environ, without_key=by_pipe),
            cwd=paths.data_dir,  # the folder we are in may be one that somebody wants to remove, or that others can write
            stdin=subprocess.PIPE if by_pipe else subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            **more,
        )
    finally:
        os.close(said)


def _environment(paths: Paths, environ: Mapping[str, str], *, without_key: bool) -> dict[str, str]:
    """The same, for a process that runs elsewhere."""
    kept = dict(environ)
    if kept.get(HOME_VARIABLE):
        kept[HOME_VARIABLE] = str(paths.data_dir)
    if kept.get("PYTHONPATH"):
        kept["PYTHONPATH"] = os.pathsep.join(
            str(Path(each).absolute()) for each in kept["PYTHONPATH"].split(os.pathsep)
        )
    if without_key:
        kept.pop(masterkey.VARIABLE, None)
    return kept


def _hand_over(process: "subprocess.Popen[bytes]", master_key: Secret | None) -> None:
    if process.stdin is not None and master_key is not None:
        with contextlib.suppress(OSError), process.stdin as stream:  # it ended already: noticed by who waits for it
            stream.write(f"{master_key.reveal()}\n".encode())


def _awaited(
    process: "subprocess.Popen[bytes]", report: Path, patience_s: float, sleep: Callable[[float], None] = time.sleep
) -> dict[str, Any] | None:
    """What it reports; None when it ended without a word."""
    deadline = time.monotonic() + patience_s
    while True:
        has_ended = process.poll() is not None  # before the look, so that its last words are not missed
        with contextlib.suppress(OSError, ValueError):
            document = json.loads(report.read_bytes())
            if isinstance(document, dict):
                return document
        if has_ended:
            return None
        if time.monotonic() >= deadline:
            raise UserError(
                f"the proxy did not start within {patience_s:.0f} s, so it was stopped",
                hint="try it in the foreground: `codex-manager proxy`",
            )
        sleep(STEP_S)


def _silent(process: "subprocess.Popen[bytes]", log: Path, patience_s: float) -> UserError:
    status = process.wait(patience_s)
    how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
    return UserError(f"the proxy did not start: it {how}", hint=f"its last words are in {log}")
