"""The requests on their way right now, in plain data: the page behind `running`.

Read on the event loop, where the state is at rest between two steps. Law: names and order stay from release to release; of a
request nothing is told but what its record will hold.
"""

from datetime import UTC, datetime
from itertools import islice
from typing import Any

from codex_manager.engine.engine import Engine
from codex_manager.engine.tab import Tab


__all__ = ["underway"]


def underway(engine: Engine, limit: int) -> dict[str, Any]:
    """The oldest `limit` of them, the oldest first, and how many there are."""
    tabs, now = engine.metering.running, engine.clock.monotonic()
    return {
        "count": len(tabs),
        "requests": [_told(tab, now) for tab in islice(tabs, limit)],
    }


def _told(tab: Tab, now: float) -> dict[str, Any]:
    request, account = tab.request, tab.account
    return {
        "id": tab.id,
        "since": datetime.fromtimestamp(tab.time, UTC).isoformat(timespec="milliseconds"),
        "seconds": round(max(now - tab.began, 0.0), 3),
        "client": request.client,
        "method": request.method,
        "endpoint": tab.asked.endpoint,
        "model": tab.asked.model,
        "stage": tab.stage,
        "account": None if account is None else account.label,
        "account_id": None if account is None else account.id,
        "attempts": tab.tries,
        "status": tab.status or None,
        "streamed": tab.is_stream,
        "websocket": request.websocket,
        "bytes": tab.received,
    }
