"""What the dashboard says of this moment: warnings, what each account has spent, who would serve next.

Read on the event loop, where the state is at rest. Plain facts for templates, which have the words. Law: reads only; of a key
nothing is in it; with hundreds of accounts it is as short as with three.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, Literal

from codex_manager.core.account import Account
from codex_manager.core.decision import choose
from codex_manager.core.pricing import ZERO
from codex_manager.core.routing import Candidate, Choice, Facts, Reason
from codex_manager.core.telling.reasons import CHOSEN, Out, out_words
from codex_manager.core.window import Window
from codex_manager.engine.asking import Asked
from codex_manager.engine.engine import Engine
from codex_manager.engine.report import AccountReport, EngineReport


__all__ = ["Alert", "Limit", "Spender", "Stand", "Verdict", "alerts", "spenders", "verdict"]

TOKENS: Final = 1000
"""An ordinary chat request, for the question who would serve it."""
MOST_ALERTS: Final = 6
SOON_S: Final = 5.0
"""Rests shorter than this come and go; they are told where accounts are, not as a warning."""
MOST_SHOWN: Final = 12
"""Accounts; the others are on a page of their own."""

type Level = Literal["bad", "warn", "info", "good"]


@dataclass(frozen=True, slots=True)
class Alert:
    """Something people should know now. `kind` chooses the words."""

    level: Level
    kind: str
    name: str = ""
    detail: str = ""
    until: float | None = None
    """Unix time."""
    limit: "Limit | None" = None


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit and what counts against it. US dollars."""

    window: Window
    spent: float
    limit: float
    turns_at: float
    level: Level
    """`good`, `warn` or `bad`."""

    @property
    def share(self) -> float:
        """1 is reached."""
        return self.spent / self.limit if self.limit > 0 else 1.0


@dataclass(frozen=True, slots=True)
class Spender:
    """An account, or a client key with a limit."""

    name: str
    day: float | None
    """US dollars; None where nothing is known."""
    month: float | None
    limits: dict[Window, Limit]
    """By window."""
    state: str = ""
    """The account's; empty for a client key."""
    in_flight: int = 0


@dataclass(frozen=True, slots=True)
class Stand:
    """How one account stands to the next request."""

    label: str
    against: str
    """What stands against it; empty when nothing does."""
    until: float | None = None
    """Unix time at which that ends, where it is known."""
    used: float | None = None
    """Share used of its tightest known limit."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Who would serve the next ordinary chat request."""

    model: str
    chosen: Stand | None
    """None: nobody can."""
    by: str
    """What decides: a strategy's name, `switch`, `only`."""
    why: str
    clouded: bool
    """It is chosen only because nobody stands better."""
    others: tuple[Stand, ...]
    more: int
    """Accounts that are not named."""


# Warnings -----------------------------------------------------------------------------------------------------------------


def alerts(engine: Engine, report: EngineReport, *, metering: bool, problem: str, warn_at: float) -> list[Alert]:
    """The worst first. `problem`: why usage cannot be written down, empty when it can."""
    found: list[Alert] = []
    soon = engine.clock.time() + SOON_S
    if report.locked:
        return [Alert("bad", "locked")]
    if report.accounts and not report.available:
        found.append(Alert("bad", "nobody"))
    if report.blame.who in {"OpenAI", "network"}:
        found.append(Alert("bad", report.blame.who, detail=report.blame.why))
    found += [
        Alert("bad" if account.state in {"auth_failed", "unusable"} else "warn", "account", account.label, account.reason, account.retry_at)
        for account in report.accounts
        if account.state in {"auth_failed", "unusable", "billing", "failing", "limited"}
        and (account.retry_at is None or account.retry_at > soon)
    ]  # fmt: skip
    for account_or_client in spenders(engine, report.accounts, warn_at=warn_at)[0]:
        kind = "account_limit" if account_or_client.state else "client_limit"
        found += [
            Alert(limit.level, kind, account_or_client.name, limit=limit)
            for limit in account_or_client.limits.values()
            if limit.level != "good"
        ]
    found += [Alert("warn", "model", each.model or "", until=each.until) for each in report.models]
    if problem:
        found.append(Alert("warn", "ledger", detail=problem))
    if not metering:
        found.append(Alert("info", "metering"))
    return sorted(found, key=lambda alert: ("bad", "warn", "info").index(alert.level))


# Money --------------------------------------------------------------------------------------------------------------------


def spenders(engine: Engine, accounts: Iterable[AccountReport], *, warn_at: float) -> tuple[list[Spender], int]:
    """Accounts and limited client keys: those nearest to a limit first, then those that spent most; and how many are left out."""
    spending = engine.state.spending
    found = [
        _spender(engine, ("account", account.id), account.label, warn_at, account.state, account.in_flight)
        for account in accounts
    ]
    found += [_spender(engine, ("client", name), name, warn_at) for name in sorted(spending.limited_clients)]
    found.sort(
        key=lambda s: (-max((limit.share for limit in s.limits.values()), default=0.0), -(s.month or 0), s.name.lower())
    )
    return found[:MOST_SHOWN], max(len(found) - MOST_SHOWN, 0)


def _spender(
    engine: Engine, key: tuple[str, str], name: str, warn_at: float, state: str = "", in_flight: int = 0
) -> Spender:
    day, month = engine.state.spending.spent(key) or (None, None)
    limits: dict[Window, Limit] = {}
    for window, purse in engine.state.spending.purses(key).items():
        share = float(purse.spent / purse.limit) if purse.limit > ZERO else 1.0
        level: Level = "bad" if share >= 1 else "warn" if share >= warn_at else "good"
        limits[window] = Limit(window, float(purse.spent), float(purse.limit), purse.span.end, level)
    return Spender(
        name,
        limits["day"].spent if "day" in limits else None if day is None else float(day),
        limits["month"].spent if "month" in limits else None if month is None else float(month),
        limits,
        state,
        in_flight,
    )


# Who is next --------------------------------------------------------------------------------------------------------------


def verdict(engine: Engine, model: str, *, priced: bool = True) -> Verdict | None:
    """For an ordinary chat request of this model (empty: of none in particular); None without accounts.

    `priced`: prices are known. Until then everything would seem to cost as much as the dearest, more than many limits leave.
    """
    if not engine.candidates:
        return None
    engine.metering.tick()
    now, wall = engine.clock.monotonic(), engine.clock.time()
    need = ZERO
    if model and priced and engine.metering.is_on:
        need = engine.metering.need(
            Asked(endpoint="chat/completions", model=model, tokens=TOKENS, is_billed=True, talks=True)
        )
    facts = Facts(model=model or None, access=model, tokens=TOKENS, need=need)
    # who was used a moment ago is passed over to spread bursts: that says nothing of who is best
    policy = replace(engine.policy, min_interval_s=0.0)
    found = choose(facts, engine.candidates, engine.state, policy, now)
    reasons = {reason.account.id: reason for reason in found.reasons}
    chosen = found.candidate if isinstance(found, Choice) else None
    others = [
        _stand(engine, each, model, reasons.get(each.account.id), now, wall)
        for each in engine.candidates
        if chosen is None or each.account.id != chosen.account.id
    ]
    others.sort(key=lambda s: (bool(s.against), s.until or float("inf"), s.used or 0.0, s.label.lower()))
    by = found.by if isinstance(found, Choice) else ""
    return Verdict(
        model=model,
        chosen=None if chosen is None else _stand(engine, chosen, model, None, now, wall),
        by=by,
        why=CHOSEN.get(by, ("", ""))[1],
        clouded=isinstance(found, Choice) and found.clouds > 0,
        others=tuple(others[:MOST_SHOWN]),
        more=max(len(others) - MOST_SHOWN, 0),
    )


def _stand(engine: Engine, candidate: Candidate, model: str, reason: Reason | None, now: float, wall: float) -> Stand:
    account = candidate.account
    used = _used(engine, account, model, now)
    if reason is None:
        return Stand(account.label, "", None, used)
    until = None if reason.until is None or reason.until <= now else wall + reason.until - now
    return Stand(account.label, out_words(Out(account.id, reason.obstacle, reason.detail, until)), until, used)


def _used(engine: Engine, account: Account, model: str, now: float) -> float | None:
    """The share the strategy looks at: OpenAI's rates and the user's dollars alike."""
    state = engine.state
    scope = state.scopes.get((state.accounts[account.id].domain, model or None))
    shares = [scope.capacity.used(now) if scope is not None else None, state.spending.share(("account", account.id))]
    return max((share for share in shares if share is not None), default=None)
