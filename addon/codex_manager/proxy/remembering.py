"""What the engine has learned outlives the process: rests, blocks and bad keys, who has what, where conversations are at home.

Read from the ledger before the first request is decided, and written to it while it changes, so that a proxy that was
killed in the middle of a storm does not start the storm again. Knows what is kept and when; what of the state is worth it
is core.persist's, how it is written the ledger's. Law: what changes is handed to the ledger within `TICK_S`; while the
ledger cannot be written nothing is taken out of the state, whose own bounds then hold; nothing here raises into a request.
"""

import asyncio
import contextlib
import logging
import time

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from codex_manager.core import owners, persist
from codex_manager.core.bindings import Binding
from codex_manager.core.errors import type_and_place
from codex_manager.core.owners import Owner
from codex_manager.core.persist import Mark
from codex_manager.engine.engine import Engine
from codex_manager.ledger import (
    BindingsKept,
    Ledger,
    LedgerError,
    LedgerMissingError,
    MarkKey,
    MarksKept,
    OwnersKept,
    Reader,
    key_of,
)
from codex_manager.proxy.domains import Domains


__all__ = ["TICK_S", "Kept", "Remembering", "read"]

log = logging.getLogger(__name__)

TICK_S: Final = 0.5
"""With the ledger's own 0.2 s this leaves a second at the most that a kill may cost."""
SHARE: Final = 0.02
"""Of the loop's time, at the most. Some 15 µs are usual; thousands of models that all rest take tens of milliseconds."""
REWRITE_S: Final = 60.0
"""How old the time left may be that is written beside a deadline, against clocks that are set back; after as long, a ledger
that was replaced has them, too."""
OF_ACCOUNTS: Final = frozenset({"exclusion", "breaker", "auth"})
"""Kinds of marks about one account; they wait until the vault tells of it."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What was found."""

    marks: Sequence[Mark] = ()
    owners: Sequence[tuple[str, Owner]] = ()
    """The last seen at the end."""
    bindings: Sequence[tuple[str, Binding]] = ()
    """The last used at the end; times are Unix seconds."""


def read(path: Path) -> Kept:
    """All that a ledger has; nothing where it cannot be read. Blocks: half a second for 100,000 owners."""
    try:
        with Reader.open(path) as reader:
            return Kept(reader.marks(), reader.owners(limit=owners.MOST)[::-1], reader.bindings()[::-1])
    except LedgerMissingError:
        return Kept()
    except LedgerError as error:
        log.warning("what was learned before the start is not known: %s", error)
        return Kept()


class Remembering:
    """Mutable state: the marks that wait for their accounts, and those that are on disk by now."""

    def __init__(self, kept: Kept, ledger: Ledger, engine: Engine, domains: Domains) -> None:
        self._ledger = ledger
        self._domains = domains
        self._engine = engine
        self._waiting = list(kept.marks)
        self._written: dict[MarkKey, Mark] = {}
        self._rewrite_at = 0.0
        self._task: asyncio.Task[None] | None = None
        self._said = False
        clock = engine.clock
        self._guarded(lambda: engine.state.owners.load(kept.owners))
        ahead = clock.monotonic() - clock.time()
        rows = [(session, _moved(binding, ahead)) for session, binding in kept.bindings]
        self._guarded(lambda: engine.state.bindings.load(rows, clock.monotonic()))

    def recall(self) -> None:
        """Put back what is known of the accounts that are there by now."""
        self._guarded(self._recall)

    def _recall(self) -> None:
        engine, state = self._engine, self._engine.state
        there = [mark for mark in self._waiting if mark.kind not in OF_ACCOUNTS or mark.key in state.accounts]
        if not there:
            return
        self._waiting = [mark for mark in self._waiting if mark.kind in OF_ACCOUNTS and mark.key not in state.accounts]
        self._written.update((key_of(mark), mark) for mark in there)
        taken = persist.restore(state, there, self._editions(), engine.clock.monotonic(), engine.clock.time())
        if taken:
            log.info("%d rest%s or block%s from before the start still hold", taken, *("" if taken == 1 else "s",) * 2)
        if any(standing.auth_failed is not None for standing in state.accounts.values()):
            engine.recheck.notice()

    def start(self) -> None:
        """Write what changes from now on."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="remember what was learned")

    async def aclose(self) -> None:
        """Hand over what is left; the ledger is to be closed after this."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._guarded(self._drain)

    async def _run(self) -> None:
        took = 0.0
        while True:
            await asyncio.sleep(max(TICK_S, took / SHARE))
            if self._ledger.health().ok:
                began = time.perf_counter()
                self._guarded(self._drain)
                took = time.perf_counter() - began

    def _drain(self) -> None:
        """Hand over what has changed."""
        state, clock, write = self._engine.state, self._engine.clock, self._ledger.write
        for account_id, standing in state.accounts.items():
            self._domains.noticed(
                account_id, standing.domain
            )  # marks and owners are about domains; refusals teach them, too
        if changes := state.owners.drain():
            write(OwnersKept.of(changes))
        behind = clock.time() - clock.monotonic()
        if bindings := [(session, _moved(binding, behind)) for session, binding in state.bindings.drain()]:
            write(BindingsKept.of(bindings))
        marks = self._marks()
        if marks.marks or marks.over:
            write(marks)

    def _marks(self) -> MarksKept:
        now, wall = self._engine.clock.monotonic(), self._engine.clock.time()
        found = {key_of(mark): mark for mark in persist.export(self._engine.state, self._editions(), now, wall)}
        fresh = now >= self._rewrite_at
        if fresh:
            self._rewrite_at = now + REWRITE_S
        changed = [mark for key, mark in found.items() if fresh or _differs(self._written.get(key), mark)]
        over = [mark for key, mark in self._written.items() if key not in found]
        self._written = {key: self._written.get(key, mark) for key, mark in found.items()}
        self._written.update((key_of(mark), mark) for mark in changed)
        return MarksKept(changed, over)

    def _editions(self) -> dict[str, str]:
        return {candidate.account.id: candidate.account.updated_at for candidate in self._engine.candidates}

    def _guarded(self, work: Callable[[], None]) -> None:
        """Do it; what was learned is a help, and never a reason to fail."""
        try:
            work()
        except Exception as error:  # noqa: BLE001 - as above
            if not self._said:
                self._said = True
                log.warning("what was learned may not be known after a restart: %s", type_and_place(error))


def _moved(binding: Binding, seconds: float) -> Binding:
    """The same by another clock; never the one that the state goes on changing."""
    away = binding.away + seconds if binding.away else 0.0
    return replace(binding, bound=binding.bound + seconds, seen=binding.seen + seconds, away=away)


def _differs(written: Mark | None, mark: Mark) -> bool:
    """Whether what is on disk has to be replaced; that an hour's end moves by a second is not worth it."""
    if written is None or (written.level, written.edition) != (mark.level, mark.edition):
        return True
    return abs(written.until - mark.until) > max(1.0, mark.left_s / 100)
