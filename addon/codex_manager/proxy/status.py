"""What a running proxy is doing, in values for JSON: the page behind `codex-manager status`.

Read on the event loop, where the state is at rest between two steps. Law: names and order stay from release to release; of
a key nothing is in it, and nothing of a request.
"""

import datetime as dt
import os

from typing import Any

from codex_manager import __version__
from codex_manager.core.allowance import Allowance
from codex_manager.engine.engine import Engine
from codex_manager.engine.report import AccountReport
from codex_manager.ledger import Health


__all__ = ["status_of"]


def status_of(engine: Engine, *, uptime_s: float, ledger: Health | None, warn_at: float) -> dict[str, Any]:
    """All of it. Times are UTC, RFC 3339; amounts are US dollars; `warn_at` is a share of a limit."""
    report, settings = engine.report(), engine.settings
    wall = engine.clock.time()
    labels = {account.id: account.label for account in report.accounts}
    spending = engine.state.spending
    return {
        "version": __version__,
        "pid": os.getpid(),
        "at": _moment(wall),
        "started_at": _moment(wall - uptime_s),
        "uptime_seconds": int(uptime_s),
        "locked": report.locked,
        "strategy": settings.strategy,
        "switched_to": labels.get(settings.pinned_account or ""),
        "available": report.available,
        "in_flight": report.in_flight,
        "waiting": report.waiting,
        "incident": report.incident,
        "blame": {"who": report.blame.who, "why": report.blame.why, "accounts": list(report.blame.accounts)},
        "accounts": [_account(engine, account) for account in report.accounts],
        "models": [
            {"model": each.model, "overloaded_until": _moment(each.until), "domains": each.domains}
            for each in report.models
        ],
        "clients": [
            {"name": name, "used": share}
            for name in settings.clients
            if (share := spending.share(("client", name))) is not None
        ],
        "warn_at": warn_at,
        "remembered": {"owners": len(engine.state.owners), "conversations": len(engine.state.bindings)},
        "ledger": None
        if ledger is None
        else {
            "ok": ledger.ok,
            "problem": ledger.problem or None,
            "written": ledger.written,
            "dropped": ledger.dropped,
            "waiting": ledger.waiting,
            "last_written": _moment(ledger.last_written),
        },
    }


def _account(engine: Engine, report: AccountReport) -> dict[str, Any]:
    standing = engine.state.accounts[report.id]
    spending = engine.state.spending
    allowance = spending.accounts.get(report.id)
    return {
        "id": report.id,
        "label": report.label,
        "state": report.state,
        "reason": report.reason or None,
        "retry_at": _moment(report.retry_at),
        "available": report.available,
        "in_flight": report.in_flight,
        "domain": report.domain,
        "breaker": str(standing.breaker.position),
        "used": spending.share(("account", report.id)),
        "limits": [] if allowance is None else _limits(allowance),
        "models": [
            {"model": scope.model, "state": scope.state, "retry_at": _moment(scope.retry_at), "used": scope.used}
            for scope in report.scopes
        ],
    }


def _limits(allowance: Allowance) -> list[dict[str, Any]]:
    return [
        {
            "window": window,
            "spent_usd": float(purse.spent),
            "limit_usd": float(purse.limit),
            "turns_at": _moment(purse.span.end),
        }
        for window, purse in allowance.purses.items()
    ]


def _moment(seconds: float | None) -> str | None:
    """Unix time as text; None where there is none that a calendar knows."""
    if seconds is None or not 0 <= seconds < 250_000_000_000:
        return None
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
