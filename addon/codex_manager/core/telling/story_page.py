"""One request as a page for people: who was chosen and why, what stood against the others, what happened, what it cost.

Pure: a story in, text out. Law: names of models are the client's words and codes the upstream's, so none of them may steer
a terminal or begin a line.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from decimal import Decimal

from codex_manager.core.allowance import dollars
from codex_manager.core.record import Attempt, Record
from codex_manager.core.telling.amounts import exact
from codex_manager.core.telling.columns import columns
from codex_manager.core.telling.durations import seconds, span
from codex_manager.core.telling.reasons import Out, failure_words, out_words, until_words, why
from codex_manager.core.telling.story import TOLD, Story, saved


__all__ = ["as_page"]


def as_page(story: Story, now: float, zone: tzinfo | None) -> str:
    """For people; `zone` None is this machine's."""
    record = story.record
    came = datetime.fromtimestamp(record.time, UTC).astimezone(zone)
    head = [
        ("request", record.id),
        ("came", f"{came:%Y-%m-%d %H:%M:%S %Z}, {span(now - record.time)} ago"),
        ("asked", _asked(record)),
    ]
    if record.session:
        head.append(("conversation", record.session[:16]))
    parts = [_table(head)]
    parts += [_attempt(story, i, attempt, zone) for i, attempt in enumerate(record.attempts, 1)]
    if refused := story.out(record.detail.get("out", ())):
        rows = [_row(story, each, record.time, zone) for each in refused]
        parts.append("no account could serve\n" + _indented(_table(rows)))
    parts.append(_table(_outcome(story)))
    return "\n\n".join(parts)


def _asked(record: Record) -> str:
    words = [f"{record.method} {record.endpoint}", record.model or "no model"]
    words += ["on a WebSocket"] if record.websocket else ["streamed"] if record.streamed else []
    return f"{', '.join(words)}; by client {record.client}"


def _attempt(story: Story, number: int, attempt: Attempt, zone: tzinfo | None) -> str:
    """Who was chosen and why, what stood against the others, and what happened."""
    at = story.record.time + attempt.began_s
    lines = [_harmless(f"{number}. {attempt.label}, {why(attempt.by)}")]
    out = story.out(attempt.out)
    rows = [_row(story, each, at, zone) for each in out]
    if attempt.by:
        named = {each.account_id for each in out} | {attempt.account_id}
        rows += [(story.label(each), "could have served, too", "-") for each in story.everyone if each not in named]
    if rows:
        lines.append(_indented(_table(rows)))
    lines.append(_indented(_harmless(f"{_happened(attempt)}; asked {seconds(attempt.began_s)} after it came")))
    return "\n".join(lines)


def _row(story: Story, out: Out, at: float, zone: tzinfo | None) -> tuple[str, str, str]:
    return story.label(out.account_id), out_words(out), until_words(out, at, zone)


def _happened(attempt: Attempt) -> str:
    """`-> 429 after 0.21 s: rate limited (rate, rate_limit_exceeded)`."""
    text = f"-> {attempt.status or 'no answer'} after {seconds(attempt.took_s)}"
    if not attempt.failure:
        return text
    words = dict.fromkeys(word for word in (attempt.failure, attempt.code) if word)
    return f"{text}: {failure_words(attempt.failure)} ({', '.join(words)})"


def _outcome(story: Story) -> list[tuple[str, str]]:
    record = story.record
    lines = [("answer", _answer(record)), ("took", _took(record))]
    usage = record.usage
    if usage is not None:
        lines.append(("used", _used(record)))
    notes = []
    if record.open:
        notes.append(f"an estimate until the usage of {record.object_id} is known")
    elif record.estimated:
        notes.append("estimated, because the answer did not say what it used")
    if not record.priced:
        notes.append("the model has no price and counts as the dearest of its family")
    if record.cost or usage is not None:
        lines.append(("cost", "; ".join([dollars(record.cost), *notes])))
    lines += [
        ("lost", f"{dollars(each.cost)} booked for the attempt with {each.account}, estimated")
        for each in story.lost
        if each.cost
    ]
    if (kept := saved(record)) is not None:
        lines.append(("saved", f"about {dollars(kept)} by staying where its prompt cache is"))
    if record.object_id and not record.open:
        lines.append(("its id", f"{record.object_id} at OpenAI"))
    lines += [(name, _plain(value)) for name, value in record.detail.items() if name not in TOLD]
    return lines


def _answer(record: Record) -> str:
    if record.account is None:
        if record.status:
            return f"{record.status} of codex-manager's own: {failure_words(record.failure) or 'it was answered here'}"
        return failure_words(record.failure) or "none"
    status = str(record.status) if record.status else "none"
    return f"{status} from {record.account}" + (f": {failure_words(record.failure)}" if record.failure else "")


def _took(record: Record) -> str:
    first = "" if record.first_byte_s is None else f", its first byte after {seconds(record.first_byte_s)}"
    return f"{seconds(record.duration_s)}{first}"


def _used(record: Record) -> str:
    usage = record.usage
    assert usage is not None
    parts = []
    if usage.input or usage.output:
        cached = f" ({usage.cached:,} of them cached)" if usage.cached else ""
        thought = f" ({usage.reasoning:,} of them reasoning)" if usage.reasoning else ""
        parts.append(f"{usage.input:,} tokens in{cached}, {usage.output:,} out{thought}")
    for count, what in ((usage.characters, "characters"), (usage.images, "images")):
        parts += [f"{count:,} {what}"] if count else []
    if usage.seconds:
        parts.append(f"{usage.seconds:,.1f} s of sound or video")
    parts += [f"{count} {name}" for name, count in usage.calls]
    if usage.tier:
        parts.append(f"tier {usage.tier}")
    return "; ".join(parts) or "nothing"


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Decimal):
        return exact(value)
    return ", ".join(str(each) for each in value) if isinstance(value, list | tuple) else str(value)


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    return columns([tuple(_harmless(cell) for cell in row) for row in rows])


def _harmless(text: str) -> str:
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _indented(text: str) -> str:
    return "\n".join(f"   {line}" for line in text.splitlines())
