"""The last decisions as rows of a table. Pure: records in, plain rows out; the words that need a language are the template's."""

from dataclasses import dataclass
from typing import Final, Literal

from codex_manager.core.record import Record
from codex_manager.core.telling.reasons import CHOSEN, Out, failure_words, out_words
from codex_manager.core.timeline import LEFT, moved


__all__ = ["Row", "Try", "row_of"]

SHORT: Final = {"limit": "spending limit", "owner": "belongs elsewhere", "unusable": "unusable"}
"""Of obstacles whose words are all detail."""
LONGEST: Final = 60
"""Characters of a name that a client chose."""


@dataclass(frozen=True, slots=True)
class Try:
    """An attempt that came to nothing."""

    label: str
    status: int
    """0: there was no answer."""
    words: str


@dataclass(frozen=True, slots=True)
class Row:
    """One request."""

    id: str
    time: float
    client: str
    model: str
    endpoint: str
    account: str
    """Empty: nobody's answer but our own."""
    by: str
    why: str
    kind: Literal["ok", "failed", "refused", "left"]
    failure: str
    """In words; empty when all went well."""
    status: int
    moved: bool
    """Another account was asked after one had failed."""
    lost: tuple[Try, ...]
    against: str
    """Of a refusal: what stood against the accounts."""
    input: int | None
    output: int | None
    usd: float | None
    estimated: bool
    first_s: float | None
    took_s: float


def row_of(record: Record) -> Row:
    """How a request is shown."""
    last = record.attempts[-1] if record.attempts else None
    by = "" if last is None else last.by or record.strategy
    usage = record.usage
    has_cost = usage is not None or bool(record.cost)
    return Row(
        id=record.id,
        time=record.time,
        client=_short(record.client),
        model=_short(record.model or ""),
        endpoint=_short(record.endpoint),
        account=record.account or "",
        by=by,
        why=CHOSEN.get(by, ("", by))[1],
        kind=_kind(record),
        failure=failure_words(record.failure),
        status=record.status,
        moved=len(record.attempts) > 1 and moved(record),
        lost=tuple(Try(a.label, a.status, failure_words(a.failure)) for a in record.attempts if a.failure)[:5],
        against=_against(record),
        input=None if usage is None else usage.input,
        output=None if usage is None else usage.output,
        usd=float(record.cost) if has_cost else None,
        estimated=record.estimated or record.open,
        first_s=record.first_byte_s,
        took_s=record.duration_s,
    )


def _kind(record: Record) -> Literal["ok", "failed", "refused", "left"]:
    if not record.failure:
        return "ok"
    if record.failure in LEFT:
        return "left"
    return "refused" if record.account_id is None else "failed"


def _against(record: Record) -> str:
    """`rate limited, disabled`: each once; figures and labels are in the explanation."""
    obstacles = dict.fromkeys(str(row[1]) for row in record.detail.get("out", ()) if len(row) == 4)
    words = [SHORT.get(each) or out_words(Out("", each, "", None)) for each in obstacles]
    return _short(", ".join(words), 2 * LONGEST)


def _short(text: str, longest: int = LONGEST) -> str:
    """What a client chose, harmless and of bearable length."""
    plain = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[: longest + 1])
    return plain if len(plain) <= longest else plain[: longest - 1] + "…"
