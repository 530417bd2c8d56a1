"""Looks at each account's spending now and then, in the background of a running proxy.

Knows when to ask, not what (poll) and not where figures go (`deliver`). Law: an account is asked every `interval_s`;
after a failure later and later, 60 s to 1 h, scattered; after "not offered" in a day; at once when its keys, project or
address change. Disabled accounts are not asked. The loop is never blocked, and `aclose` waits for nobody's answer.
"""

import asyncio
import itertools
import logging
import random
import threading
import time

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol

from codex_manager.core.account import Account
from codex_manager.core.errors import type_and_place
from codex_manager.core.snapshot import Snapshot
from codex_manager.provider.line import Way
from codex_manager.provider.poll import DAY_S, Refusals, poll


__all__ = ["BACKOFF_FIRST_S", "BACKOFF_LONGEST_S", "Poller", "PollerSettings", "backoff"]

log = logging.getLogger(__name__)

BACKOFF_FIRST_S: Final = 60.0
BACKOFF_LONGEST_S: Final = 3600.0  # semantics §5
JITTER: Final = 0.2
TICK_S: Final = 2.0
"""Seconds within which a change of settings or accounts is noticed, as for everything else a running proxy takes over."""
FIRST_S: Final = (0.5, 3.0)
"""The first look at an account comes this long after it is known: start-up has other things to do."""
AT_ONCE: Final = 2
"""Accounts asked at the same time; each is a thread that mostly waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PollerSettings:
    """`polling` and `upstream` of the configuration, as they are now."""

    enabled: bool
    interval_s: float
    base_url: str
    ca_file: str | None = None
    proxy: str | None = None


class Look(Protocol):
    """`poll`, or what a test puts in its place. Runs in a thread."""

    def __call__(
        self, account: Account, way: Way, *, now: float, project: str | None, refusals: Refusals
    ) -> Snapshot: ...


def backoff(failures: int, rng: random.Random) -> float:
    """Seconds to wait after so many failures in a row: 60 s, twice as long each time, at most an hour, ±20 %."""
    waited = min(BACKOFF_FIRST_S * 2.0 ** min(failures - 1, 10), BACKOFF_LONGEST_S)
    return min(max(waited * rng.uniform(1 - JITTER, 1 + JITTER), BACKOFF_FIRST_S), BACKOFF_LONGEST_S)


@dataclass(slots=True)
class _Standing:
    """What is remembered of one account."""

    asked_as: tuple[object, ...]
    """Its keys, project and address: when these change, all that was learned is void."""
    due: float
    last: float | None = None
    """When its last look ended; None before the first and while a failure or a refusal sets the time."""
    failures: int = 0
    said: str = ""
    """The last trouble that was logged."""
    task: "asyncio.Task[None] | None" = field(default=None, repr=False)


class Poller:
    """One background task. Its mutable state is the table of standings, and the ways that were made."""

    def __init__(
        self,
        *,
        accounts: Callable[[], Iterable[Account]],
        settings: Callable[[], PollerSettings],
        deliver: Callable[[Snapshot], None],
        projects: Callable[[], Mapping[str, str]] = dict,
        look: Look = poll,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        rng: random.Random | None = None,
        first_s: tuple[float, float] = FIRST_S,
        tick_s: float = TICK_S,
    ) -> None:
        """Make it; `start` lets it begin.

        Args:
            accounts: those of the vault, asked again at every tick.
            settings: as configured now.
            deliver: called on the loop with every snapshot, failed ones too; must not block.
            projects: account id to project, as learned from answers.
            look: asks about one account.
            monotonic: seconds, for intervals.
            wall: Unix seconds, for days and months.
            rng: scatters what would otherwise come at once.
            first_s: shortest and longest wait before the first look.
            tick_s: how often settings and accounts are looked at.
        """
        self._accounts = accounts
        self._settings = settings
        self._deliver = deliver
        self._projects = projects
        self._look = look
        self._monotonic = monotonic
        self._wall = wall
        self._rng = rng or random.Random()
        self._first_s = first_s
        self._tick_s = tick_s
        self._refusals = Refusals()
        self._standings: dict[str, _Standing] = {}
        self._ways: dict[tuple[str, str | None, str | None], Way] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; needs a running loop. A second call does nothing."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="usage polling")

    async def aclose(self) -> None:
        """Stop; answers that are on their way are not waited for."""
        tasks = [standing.task for standing in self._standings.values() if standing.task is not None]
        tasks += [self._task] if self._task is not None else []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._task = None
        self._standings.clear()

    def due_in(self, account_id: str) -> float | None:
        """Seconds until an account's next look; None while it has none."""
        standing = self._standings.get(account_id)
        return None if standing is None else max(standing.due - self._monotonic(), 0.0)

    async def ask(self, account: Account) -> Snapshot:
        """Look now, because a person wants to know, whether or not it is time and polling is on; delivered as any other."""
        settings = self._settings()
        way = self._way(account.base_url or settings.base_url, settings.ca_file, settings.proxy)
        project = self._projects().get(account.id)
        work = partial(self._look, account, way, now=self._wall(), project=project, refusals=Refusals())
        snapshot = await _in_a_thread(work)
        standing = self._standings.get(account.id)
        if standing is not None:
            self._note(standing, snapshot)
        self._deliver(snapshot)
        return snapshot

    async def _run(self) -> None:
        while True:
            try:
                self._tick()
            except Exception as error:  # noqa: BLE001 - polling outlives what it asks for its accounts and settings
                log.error("usage polling goes on after an unexpected error: %s", type_and_place(error))  # noqa: TRY400 - a traceback may quote a header
            await asyncio.sleep(self._tick_s)

    def _tick(self) -> None:
        """Let go of who left, take in who came, ask whose time has come."""
        settings, now = self._settings(), self._monotonic()
        wanted = {a.id: a for a in self._accounts() if a.enabled} if settings.enabled else {}
        for account_id in self._standings.keys() - wanted.keys():
            self._leave(account_id)
        for account in wanted.values():
            base_url = account.base_url or settings.base_url
            asked_as = (account.api_key, account.admin_key, account.organization, account.project, base_url, settings.ca_file, settings.proxy)  # fmt: skip
            standing = self._standings.get(account.id)
            if standing is None or standing.asked_as != asked_as:
                self._leave(account.id)
                standing = _Standing(asked_as, now + self._rng.uniform(*self._first_s))
                self._standings[account.id] = standing
            if standing.last is not None:
                standing.due = standing.last + settings.interval_s  # as configured now
            if standing.due <= now and standing.task is None and self._busy() < AT_ONCE:
                way = self._way(base_url, settings.ca_file, settings.proxy)
                standing.task = asyncio.create_task(
                    self._ask(standing, account, way), name=f"usage of {account.label!r}"
                )

    def _busy(self) -> int:
        return sum(standing.task is not None for standing in self._standings.values())

    def _leave(self, account_id: str) -> None:
        standing = self._standings.pop(account_id, None)
        self._refusals.forget(account_id)
        if standing is not None and standing.task is not None:
            standing.task.cancel()

    def _way(self, base_url: str, ca_file: str | None, proxy: str | None) -> Way:
        at = (base_url, ca_file, proxy)
        if at not in self._ways:
            while len(self._ways) >= 64:
                del self._ways[next(iter(self._ways))]
            self._ways[at] = Way(*at)
        return self._ways[at]

    async def _ask(self, standing: _Standing, account: Account, way: Way) -> None:
        try:
            project = self._projects().get(account.id)
            work = partial(self._look, account, way, now=self._wall(), project=project, refusals=self._refusals)
            snapshot = await _in_a_thread(work)
            self._note(standing, snapshot)
            self._deliver(snapshot)
        except Exception as error:  # noqa: BLE001 - one account's trouble is not the others'
            self._put_off(standing)
            log.error("usage of account %r was not read: %s", account.label, type_and_place(error))  # noqa: TRY400 - a traceback may quote a header
        finally:
            standing.task = None

    def _note(self, standing: _Standing, snapshot: Snapshot) -> None:
        """When to ask next, and a word in the log about what is new."""
        if not snapshot.offered:
            standing.last, standing.failures = None, 0
            standing.due = self._monotonic() + DAY_S
        elif snapshot.error and snapshot.today is None:
            self._put_off(standing)
        else:
            standing.last, standing.failures = self._monotonic(), 0
        trouble = snapshot.error if snapshot.offered else ""
        if trouble != standing.said:
            if trouble:
                log.warning("usage of account %r: %s", snapshot.account, trouble)
            else:
                log.info("usage of account %r can be read again", snapshot.account)
            standing.said = trouble

    def _put_off(self, standing: _Standing) -> None:
        standing.failures += 1
        standing.last = None
        standing.due = self._monotonic() + backoff(standing.failures, self._rng)


_thread_numbers = itertools.count(1)


async def _in_a_thread[T](work: Callable[[], T]) -> T:
    """Like `asyncio.to_thread`, but nobody waits for the thread when the loop ends: it may be at a silent server's mercy."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def tell(result: T | None, failure: Exception | None) -> None:
        if done.done():
            return
        if failure is not None:
            done.set_exception(failure)
        else:
            done.set_result(result)  # type: ignore[arg-type]  # None only where work() returned it

    def run() -> None:
        result: T | None = None
        failure: Exception | None = None
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - a thread's end; told to who awaits it
            failure = error
        try:
            loop.call_soon_threadsafe(tell, result, failure)
        except RuntimeError:
            return  # the loop is closed: nobody listens any more

    threading.Thread(target=run, name=f"usage-{next(_thread_numbers)}", daemon=True).start()
    return await done
