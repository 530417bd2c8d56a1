"""Ends the proxy that runs on this home, and says what it waits for.

Laws: a process is signalled only while it holds the lock of this home's announcement, by a handle taken before that was looked at, so never
another one that got its id. It may finish what is under way; it is killed only when that was asked for.
"""

import time

from collections.abc import Callable
from pathlib import Path
from typing import Final

from codex_manager.config import presence
from codex_manager_cli import control
from codex_manager_cli.background import where
from codex_manager_cli.other_process import OtherProcess, grasped
from codex_manager_cli.talk import UserError


__all__ = ["PATIENCE_S", "end"]

DRAIN_S: Final = 10.0
"""What requests under way get to finish, in the proxy."""
PATIENCE_S: Final = DRAIN_S + 5.0
"""And a bit for closing the ledger and the vault on a machine under load."""
KILL_S: Final = 5.0
MOST_NAMED: Final = 3


def end(
    data_folder: Path,
    running: presence.RunningProxy,
    say: Callable[[str], None],
    *,
    force: bool,
    patience_s: float = PATIENCE_S,
) -> float:
    """Have it end; how many seconds it took. It may be gone already.

    Raises:
        UserError: it did not end in time, or is not ours to end.
    """
    started = time.monotonic()
    try:
        with grasped(running.pid) as process:
            if process is None or presence.running(data_folder) != running:
                return time.monotonic() - started  # gone, and its id may be somebody else's
            under_way = _under_way(data_folder)
            if not process.terminate():
                presence.ask_to_stop(data_folder)
            if under_way and not process.ended(0.5):
                say(f"waiting for {under_way}, {DRAIN_S:.0f} s at most")
            if not process.ended(patience_s - (time.monotonic() - started)):
                _insist(process, running, say, force=force, patience_s=patience_s)
    except PermissionError:
        raise UserError(
            f"{where(running)} runs for another user, so it cannot be stopped", hint="stop it as that user"
        ) from None
    return time.monotonic() - started


def _insist(
    process: OtherProcess, running: presence.RunningProxy, say: Callable[[str], None], *, force: bool, patience_s: float
) -> None:
    if not force:
        raise UserError(
            f"{where(running)} has not ended after {patience_s:.0f} s",
            hint="wait and try again, or kill it with `codex-manager stop --force`; requests under way are cut off then",
        )
    say("it has not ended, so it is killed")
    process.kill()
    if not process.ended(KILL_S):
        raise UserError(f"{where(running)} cannot be killed", hint="the system holds it; see what it waits for")


def _under_way(data_folder: Path) -> str:
    """What it will finish, in words; empty when it is nothing or it does not say."""
    try:
        with control.Line(data_folder, patience_s=1.0) as line:
            told = line.running(limit=MOST_NAMED)
    except UserError:  # it hangs, or is of another version
        return ""
    if told is None or not told.count:
        return ""
    named = ", ".join(
        f"{each.model or each.endpoint} for {each.client}, {each.seconds:.0f} s so far" for each in told.requests
    )
    more = " …" if told.count > len(told.requests) else ""
    return f"{told.count} request{'' if told.count == 1 else 's'} under way ({named}{more})"
