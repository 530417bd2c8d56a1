"""Records as rows of the `request` table, and back.

Knows the columns, not the connection. Law: whatever a record holds, its row can be written: text is cut and made valid UTF-8,
numbers are held within what SQLite and sums can take. Money is an integer of nano-dollars.
"""

import json

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from codex_manager.core.pricing import NANO, ZERO
from codex_manager.core.record import Attempt, Record
from codex_manager.core.usage import Usage


__all__ = ["COLUMNS", "Texts", "clean", "from_nano", "json_of", "more_of", "record_of", "row_of", "to_nano", "within"]

COLUMNS: Final = (
    "id", "time", "client", "method", "endpoint", "model", "account_id", "account", "domain", "status", "failure",
    "streamed", "websocket", "strategy", "session", "duration_s", "first_byte_s",
    "input", "cached", "cache_write", "output", "reasoning", "more",
    "nano", "estimated", "priced", "object_id", "open", "attempts", "detail",
)  # fmt: skip

MOST: Final = (
    10**12
)  # tokens and the like of one request: no answer has a millionth of it, and sums of all stay within 64 bits
MOST_NANO: Final = 10**15  # a million dollars
LONGEST: Final = 256  # characters of a text; real model names and ids have less than half
LONGEST_JSON: Final = 32_768
REMEMBERED: Final = 4096
BILLION: Final = 1_000_000_000
NOTHING_USED: Final = (None,) * 6

TOKENS: Final = ("input", "cached", "cache_write", "output", "reasoning")

# What few answers have, by the names they get in the JSON of `more`.
RARE: Final = (
    "input_audio", "cached_audio", "input_image", "cached_image", "output_audio", "output_image",
    "seconds", "characters", "images", "image_kind", "tier", "model",
)  # fmt: skip

json_of = json.JSONEncoder(separators=(",", ":"), default=str).encode  # ASCII only, so any text can be written


class Texts(dict[str | None, str | None]):
    """Texts as they can be written. Remembers: the same few come again and again."""

    def __missing__(self, text: str | None) -> str | None:
        if len(self) >= REMEMBERED:
            self.clear()
        self[text] = written = None if text is None else clean(text)
        return written


def clean(text: str) -> str:
    """The text cut, and without what is no valid Unicode."""
    return str(text)[:LONGEST].encode("utf-8", "replace").decode("utf-8")


def to_nano(usd: Decimal) -> int:
    """Dollars as nano-dollars, not below zero; what is no number counts as nothing."""
    try:
        nano = round(usd * BILLION)
    except (ArithmeticError, ValueError, TypeError):
        return 0
    return nano if 0 <= nano <= MOST_NANO else max(0, min(nano, MOST_NANO))


def from_nano(nano: int) -> Decimal:
    return nano * NANO if nano else ZERO


def within(usage: Usage) -> Usage:
    """The same, unless a number is beyond what sums can take: those are held at the bound."""
    whole = (
        usage.input,
        usage.cached,
        usage.cache_write,
        usage.output,
        usage.reasoning,
        usage.characters,
        usage.images,
    )
    if min(whole) >= 0 and max(whole) <= MOST and 0 <= usage.seconds <= MOST:
        return usage
    names = ("input", "cached", "cache_write", "output", "reasoning", "characters", "images")
    held: dict[str, Any] = {name: max(0, min(number, MOST)) for name, number in zip(names, whole, strict=True)}
    return replace(usage, **held, seconds=min(max(usage.seconds, 0.0), MOST) if usage.seconds == usage.seconds else 0.0)


def more_of(usage: Usage) -> str | None:
    """What has no column of its own, as JSON; None when there is none of it."""
    rest: dict[str, object] = {name: value for name in RARE if (value := getattr(usage, name))}
    if usage.calls:
        rest["calls"] = usage.calls
    return _bounded(rest) if rest else None


def row_of(record: Record, usage: Usage | None, nano: int, texts: Texts) -> tuple[object, ...]:
    """The row, in the order of COLUMNS; the usage is the record's, held `within` bounds."""
    if usage is None:
        used: tuple[object, ...] = NOTHING_USED
    else:
        used = usage.input, usage.cached, usage.cache_write, usage.output, usage.reasoning, more_of(usage)
    attempts = [
        [one.account_id, one.label, one.began_s, one.took_s, one.status, one.failure, one.code, one.by, one.out]
        for one in record.attempts
    ]
    return (
        record.id if len(record.id) <= LONGEST and record.id.isascii() else clean(record.id),
        record.time, texts[record.client], texts[record.method], texts[record.endpoint], texts[record.model],
        texts[record.account_id], texts[record.account], texts[record.domain], record.status, texts[record.failure],
        record.streamed, record.websocket, texts[record.strategy],
        record.session and clean(record.session), record.duration_s, record.first_byte_s,
        *used,
        nano, record.estimated, record.priced, record.object_id and clean(record.object_id), record.open,
        _bounded(attempts) if attempts else None,
        _bounded(record.detail) if record.detail else None,
    )  # fmt: skip


def _bounded(value: object) -> str | None:
    """As JSON; nothing when it is absurdly long or cannot be said in JSON."""
    try:
        written = json_of(value)
    except (TypeError, ValueError, RecursionError):
        return None
    return written if len(written) <= LONGEST_JSON else None


def record_of(row: Sequence[Any]) -> Record:
    """The record again, from a row in the order of COLUMNS."""
    found: dict[str, Any] = dict(zip(COLUMNS, row, strict=True))
    usage = _usage_of([found.pop(name) for name in TOKENS], found.pop("more"), estimated=bool(found["estimated"]))
    attempts = tuple(
        Attempt(*fields, out=tuple(tuple(each) for each in out))
        for *fields, out in json.loads(found.pop("attempts") or "[]")
    )
    detail = json.loads(found.pop("detail") or "{}")
    cost = from_nano(found.pop("nano"))
    for name in ("streamed", "websocket", "estimated", "priced", "open"):
        found[name] = bool(found[name])
    return Record(**found, usage=usage, cost=cost, attempts=attempts, detail=detail)


def _usage_of(tokens: Sequence[int | None], more: str | None, *, estimated: bool) -> Usage | None:
    if tokens[0] is None:
        return None
    rest: dict[str, Any] = json.loads(more) if more else {}
    known = {name: rest[name] for name in RARE if name in rest}
    calls = tuple((name, count) for name, count in rest.get("calls", ()))
    return Usage(**dict(zip(TOKENS, tokens, strict=True)), **known, calls=calls, estimated=estimated)  # type: ignore[arg-type]
