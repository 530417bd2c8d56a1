"""One record in a line of plain data, for whoever watches many go by; names and order stay from release to release.

Pure. Law: cheap, because it may be made a thousand times a second, and short; all there is to say is in `story_data`.
"""

from datetime import UTC, datetime
from typing import Any

from codex_manager.core.record import Record
from codex_manager.core.telling.amounts import number


__all__ = ["as_line"]


def as_line(record: Record) -> dict[str, Any]:
    """Times are UTC, RFC 3339; `cost_usd` is US dollars; `attempt_of` is the request of which this attempt came to nothing."""
    usage, attempts = record.usage, record.attempts
    return {
        "id": record.id,
        "time": datetime.fromtimestamp(record.time, UTC).isoformat(timespec="milliseconds"),
        "client": record.client,
        "method": record.method,
        "endpoint": record.endpoint,
        "model": record.model,
        "streamed": record.streamed,
        "websocket": record.websocket,
        "account": record.account,
        "account_id": record.account_id,
        "by": (attempts[-1].by or None) if attempts else None,
        "strategy": record.strategy or None,
        "status": record.status or None,
        "failure": record.failure or None,
        "attempts": [
            {
                "account": attempt.label,
                "by": attempt.by or None,
                "status": attempt.status or None,
                "failure": attempt.failure or None,
            }
            for attempt in attempts
        ],
        "duration_s": round(record.duration_s, 4),
        "first_byte_s": None if record.first_byte_s is None else round(record.first_byte_s, 4),
        "input_tokens": None if usage is None else usage.input,
        "cached_tokens": None if usage is None else usage.cached,
        "output_tokens": None if usage is None else usage.output,
        "cost_usd": number(record.cost),
        "estimated": record.estimated or record.open,
        "attempt_of": record.detail.get("attempt_of"),
    }
