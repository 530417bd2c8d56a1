"""A request in one line, and its mark: what the columns of a flow list say of who served it, why, and what it cost.

Pure. Law: short, true at the moment it is said, nothing of a key; the model is the client's word, so it is cut and cleaned.
"""

import re

from collections.abc import Mapping
from typing import Final

from codex_manager.engine.messages import Answer


__all__ = ["MARKS", "comment_of", "mark_for", "mark_of", "short", "used"]

FAILOVER: Final = ":twisted_rightwards_arrows:"
REFUSED: Final = ":no_entry:"
ESTIMATED: Final = ":grey_question:"
MARKS: Final = frozenset({FAILOVER, REFUSED, ESTIMATED})
"""Names of emoji, as `mitmproxy.utils.emoji` has them."""

LONGEST_MODEL: Final = 60
LONGEST_WHY: Final = 160
UNFIT: Final = re.compile(r"[^\x20-\x7e]+")
TRIES: Final = {2: "2nd try", 3: "3rd try"}
PLAIN: Final = frozenset({"", "only"})
"""What `by` says where nothing but the strategy decided."""


def comment_of(answer: Answer) -> str:
    """`Work · least_utilized · 2nd try (Personal 429) · gpt-5 · 1.2k→340 tok · $0.0061`; empty for what nobody decided."""
    facts = answer.facts
    if answer.account_id is None:
        return _refusal(answer)
    parts = [answer.account_label or answer.account_id, _decider(answer)]
    if answer.retries:
        failed = facts.get("failed")
        tries = TRIES.get(answer.retries + 1, f"{answer.retries + 1}th try")
        parts.append(f"{tries} ({_cut(str(failed), LONGEST_WHY)})" if failed else tries)
    if answer.failure:
        parts.append(f"failed: {answer.failure}")
    return " · ".join([*filter(None, parts), *used(facts)])


def mark_of(answer: Answer) -> str:
    """The name of an emoji, or nothing. What matters more stands before what matters less."""
    if answer.account_id is None:
        return REFUSED if answer.failure else ""
    return mark_for(answer.facts)


def mark_for(facts: Mapping[str, str | int | float]) -> str:
    """The same for what an account has answered."""
    moved = (
        len(set(str(facts.get("tried", "")).split(", "))) > 1
    )  # another account was asked before the one that answered
    if moved and facts.get("failed"):
        return FAILOVER
    return ESTIMATED if "estimated" in facts else ""


def short(tokens: float) -> str:
    """`340`, `1.2k`, `12k`, `1.2M`."""
    for unit, size in (("M", 1_000_000), ("k", 1_000)):
        if tokens >= size * 0.9995:
            number = tokens / size
            return f"{number:.0f}{unit}" if number >= 9.95 else f"{number:.1f}{unit}"
    return f"{tokens:.0f}"


def _refusal(answer: Answer) -> str:
    if not answer.failure:
        return ""
    why = answer.facts.get("out") or answer.facts.get("failed") or ""
    said = f"refused: {answer.failure}"
    return f"{said} · {_cut(str(why), LONGEST_WHY)}" if why else said


def _decider(answer: Answer) -> str:
    """The strategy; in brackets what decided before it was asked: `owner`, `affinity` …"""
    by = str(answer.facts.get("by", ""))
    if by in PLAIN or by == answer.strategy or not answer.strategy:
        return answer.strategy or by
    return f"{answer.strategy} ({by})"


def used(facts: Mapping[str, str | int | float]) -> list[str]:
    """What was asked for and used, as far as it is known: model, tokens, cost."""
    parts = []
    if model := facts.get("model"):
        parts.append(_cut(UNFIT.sub("?", str(model)), LONGEST_MODEL))
    if "usd" in facts:
        about = "~" if "estimated" in facts else ""
        parts.append(f"{short(float(facts['input_tokens']))}→{short(float(facts['output_tokens']))} tok")
        parts.append(f"{about}{_dollars(float(facts['usd']))}")
    return parts


def _dollars(usd: float) -> str:
    if 0 < usd < 0.00005:
        return "<$0.0001"
    return f"${usd:.4f}"


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
