"""One request as plain data for programs; names and order stay from release to release."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from codex_manager.core.record import Attempt, Record
from codex_manager.core.telling.amounts import number
from codex_manager.core.telling.reasons import layer_of
from codex_manager.core.telling.story import TOLD, Story, saved


__all__ = ["as_data"]


def as_data(story: Story) -> dict[str, Any]:
    """For `--json`; names and order stay from release to release."""
    record = story.record
    kept = saved(record)
    return {
        "id": record.id,
        "time": datetime.fromtimestamp(record.time, UTC).isoformat(timespec="milliseconds"),
        "client": record.client,
        "method": record.method,
        "endpoint": record.endpoint,
        "model": record.model,
        "streamed": record.streamed,
        "websocket": record.websocket,
        "conversation": record.session,
        "strategy": record.strategy or None,
        "attempts": [_attempt_data(story, attempt) for attempt in record.attempts],
        "refused": _out_data(story, record.detail.get("out", ())),
        "answer": {
            "account": record.account,
            "account_id": record.account_id,
            "domain": record.domain,
            "status": record.status or None,
            "failure": record.failure or None,
            "duration_s": round(record.duration_s, 4),
            "first_byte_s": None if record.first_byte_s is None else round(record.first_byte_s, 4),
        },
        "usage": _usage_data(record),
        "cost_usd": number(record.cost),
        "estimated": record.estimated,
        "priced": record.priced,
        "open": record.open,
        "object_id": record.object_id,
        "lost": [{"account": each.account, "cost_usd": number(each.cost)} for each in story.lost],
        "saved_usd": None if kept is None else number(kept),
        "detail": {name: value for name, value in record.detail.items() if name not in TOLD},
    }


def _attempt_data(story: Story, attempt: Attempt) -> dict[str, Any]:
    return {
        "account": attempt.label,
        "account_id": attempt.account_id,
        "by": attempt.by or None,
        "layer": layer_of(attempt.by) or None,
        "out": _out_data(story, attempt.out),
        "began_s": round(attempt.began_s, 4),
        "took_s": round(attempt.took_s, 4),
        "status": attempt.status or None,
        "failure": attempt.failure or None,
        "code": attempt.code or None,
    }


def _out_data(story: Story, rows: Sequence[Any]) -> list[dict[str, Any]]:
    return [
        {
            "account": story.label(out.account_id),
            "account_id": out.account_id,
            "obstacle": out.obstacle,
            "detail": out.detail or None,
            "until": None if out.until is None else datetime.fromtimestamp(out.until, UTC).isoformat(),
        }
        for out in story.out(rows)
    ]


def _usage_data(record: Record) -> dict[str, Any] | None:
    usage = record.usage
    if usage is None:
        return None
    return {
        "input_tokens": usage.input,
        "cached_tokens": usage.cached,
        "cache_write_tokens": usage.cache_write,
        "output_tokens": usage.output,
        "reasoning_tokens": usage.reasoning,
        "characters": usage.characters,
        "images": usage.images,
        "seconds": usage.seconds,
        "tier": usage.tier or None,
    }
