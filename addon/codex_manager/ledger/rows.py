"""Records as rows of the `request` table, and back.

Knows the columns, not the connection. Law: whatever a record holds, its row can be written: text is cut and made valid UTF-8,
numbers are held within what SQLite and sums can take. Money is an integer of nano-dollars.
"""

import json
import operator

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from codex_manager.core.pricing import NANO, ZERO
from codex_manager.core.record import Attempt, Record
from codex_manager.core.usage import Usage


__all__ = ["COLUMNS", "Scribe", "Texts", "clean", "from_nano", "json_of", "record_of", "to_nano", "within"]

COLUMNS: Final = (
    "id", "time", "client", "method", "endpoint", "model", "account_id", "account", "domain", "status", "failure",
    "streamed", "websocket", "strategy", "session", "duration_s", "first_byte_s",
    "input", "cached", "cache_write", "output", "reasoning", "more",
    "nano", "estimated", "priced", "object_id", "open", "attempts", "detail",
)  # fmt: skip

MOST: Final = (1 << 40) - 1  # tokens and the like of one request; sums of millions of them stay within 64 bits
MOST_NANO: Final = 10**15  # a million dollars
LONGEST: Final = 256  # characters of a text; real model names and ids have less than half
LONGEST_JSON: Final = 65_536
REMEMBERED: Final = 4096
BILLION: Final = Decimal(1_000_000_000)
NOTHING_USED: Final = (None,) * 6

TOKENS: Final = ("input", "cached", "cache_write", "output", "reasoning")

# What few answers have, by the names they get in the JSON of `more`.
RARE: Final = (
    "input_audio", "cached_audio", "input_image", "cached_image", "output_audio", "output_image",
    "seconds", "characters", "images", "image_kind", "tier", "model", "calls",
)  # fmt: skip

BOUNDED: Final = (*TOKENS, "characters", "images")

json_of = json.JSONEncoder(separators=(",", ":"), default=str).encode  # ASCII only, so any text can be written


_rare_of = operator.attrgetter(*RARE)
NOTHING_RARE: Final = _rare_of(Usage())


class Texts(dict[str | None, str | None]):
    """Texts as they can be written. Remembers: the same few come again and again."""

    def __missing__(self, text: str | None) -> str | None:
        if len(self) >= REMEMBERED:
            self.clear()
        self[text] = written = None if text is None else clean(text)
        return written


class Scribe:
    """Writes rows. What it remembers makes it quick: texts, texts in JSON, and the JSON of what few answers have."""

    def __init__(self) -> None:
        self.texts = Texts()
        self._quoted = _Quoted()
        self._rare: dict[object, str | None] = {NOTHING_RARE: None}

    def row(self, record: Record, usage: Usage | None, nano: int) -> tuple[object, ...]:
        """The row, in the order of COLUMNS; the usage is the record's, held `within` bounds."""
        texts, name, session = self.texts, record.id, record.session
        if usage is None:
            used: tuple[object, ...] = NOTHING_USED
        else:
            used = usage.input, usage.cached, usage.cache_write, usage.output, usage.reasoning, self.more(usage)
        return (
            name if len(name) <= LONGEST and name.isascii() else clean(name), record.time, texts[record.client], texts[record.method], texts[record.endpoint],
            texts[record.model], texts[record.account_id], texts[record.account], texts[record.domain],
            record.status, texts[record.failure], record.streamed, record.websocket, texts[record.strategy],
            session if session is None or (len(session) <= LONGEST and session.isascii()) else clean(session), record.duration_s, record.first_byte_s,
            *used,
            nano, record.estimated, record.priced, record.object_id and clean(record.object_id), record.open,
            self._attempts(record) if record.attempts else None,
            _bounded(record.detail) if record.detail else None,
        )  # fmt: skip

    def more(self, usage: Usage) -> str | None:
        """What has no column of its own, as JSON; None when there is none of it."""
        rare = _rare_of(usage)
        try:
            return self._rare[rare]
        except (KeyError, TypeError):  # new, or of a type that cannot be remembered
            written = _bounded({name: value for name, value in zip(RARE, rare, strict=True) if value})
        if (
            len(self._rare) < REMEMBERED
        ):  # audio has other figures each time; most of the rest is the same few tiers and models
            self._rare[rare] = written
        return written

    def _attempts(self, record: Record) -> str | None:
        """As JSON, written by hand: a general encoder takes four times as long. Who is the record's own account is `null`."""
        quoted, written = self._quoted, []
        for one in record.attempts:
            own = one.account_id == record.account_id and one.label == record.account
            who = "null,null" if own else f"{quoted[one.account_id]},{quoted[one.label]}"
            times = f"{one.began_s:.4f},{one.took_s:.4f},{one.status:d}"
            words = f"{quoted[one.failure]},{quoted[one.code]},{quoted[one.by]}"
            written.append(f"[{who},{times},{words},{json_of(one.out) if one.out else '[]'}]")
        text = f"[{','.join(written)}]"
        return text if len(text) <= LONGEST_JSON else None


class _Quoted(dict[str, str]):
    """Texts as JSON has them."""

    def __missing__(self, text: str) -> str:
        if len(self) >= REMEMBERED:
            self.clear()
        self[text] = written = json_of(clean(text))
        return written


def clean(text: str) -> str:
    """The text cut, and without what is no valid Unicode."""
    if len(text) <= LONGEST and text.isascii():
        return text
    return str(text)[:LONGEST].encode("utf-8", "replace").decode("utf-8")


def to_nano(usd: Decimal) -> int:
    """Dollars as nano-dollars, not below zero; what is no number counts as nothing."""
    try:
        scaled = usd * BILLION
        nano = int(scaled)
        if nano != scaled:
            nano = int(scaled.to_integral_value())
    except (ArithmeticError, ValueError, TypeError):
        return 0
    return nano if 0 <= nano <= MOST_NANO else max(0, min(nano, MOST_NANO))


def from_nano(nano: int) -> Decimal:
    """Nano-dollars as dollars."""
    return nano * NANO if nano else ZERO


def within(usage: Usage) -> Usage:
    """The same, unless a number is beyond what sums can take, or none: those are held at the bound."""
    try:
        bits = (
            usage.input | usage.cached | usage.cache_write | usage.output | usage.reasoning
            | usage.characters | usage.images
        )  # fmt: skip
        if 0 <= bits <= MOST and 0 <= usage.seconds <= MOST:
            return usage
    except TypeError:  # no numbers at all
        pass
    held: dict[str, Any] = {name: _held(getattr(usage, name)) for name in BOUNDED}
    return replace(usage, **held, seconds=float(_held(usage.seconds)))


def _held(number: object) -> int:
    try:
        return max(0, min(int(number), MOST))  # type: ignore[call-overload, no-any-return]
    except (TypeError, ValueError, OverflowError):
        return 0


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
    attempts = tuple(_attempt_of(one, found) for one in _loaded(found.pop("attempts"), []))
    detail = _loaded(found.pop("detail"), {})
    cost = from_nano(found.pop("nano"))
    for name in ("streamed", "websocket", "estimated", "priced", "open"):
        found[name] = bool(found[name])
    return Record(**found, usage=usage, cost=cost, attempts=attempts, detail=detail)


def _attempt_of(written: list[Any], row: Mapping[str, Any]) -> Attempt:
    account_id, label, began_s, took_s, status, failure, code, by, out = written
    if account_id is None:
        account_id, label = row["account_id"], row["account"]
    return Attempt(account_id, label, began_s, took_s, status, failure, code, by, tuple(tuple(each) for each in out))


def _usage_of(tokens: Sequence[int | None], more: str | None, *, estimated: bool) -> Usage | None:
    if tokens[0] is None:
        return None
    found: dict[str, Any] = dict(zip(TOKENS, tokens, strict=True))
    rare = _loaded(more, {})
    found |= {name: rare[name] for name in RARE if name in rare}
    found["calls"] = tuple((name, count) for name, count in found.get("calls", ()))
    return Usage(**found, estimated=estimated)


def _loaded(written: str | None, nothing: Any) -> Any:
    """What JSON says; nothing of JSON that is none, such as a time that was no number."""
    try:
        return json.loads(written) if written else nothing
    except ValueError:
        return nothing
