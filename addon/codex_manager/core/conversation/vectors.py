"""Embeddings and moderations: what was asked about, and of the numbers what says something.

Of a vector its dimension and its norm: who looks for a mistake wants to know whether it is the vector that was asked for
and whether it is of length 1, and reads none of its 1,536 numbers.
"""

import math

from email import base64mime
from typing import Any

from codex_manager.core.conversation.content import blocks_of, settings_of
from codex_manager.core.conversation.model import Block, Side, Turn
from codex_manager.core.conversation.problem import problem_of
from codex_manager.core.conversation.values import label, mapping, rows, short, text
from codex_manager.core.metering.figures import read_usage


__all__ = ["read_embeddings", "read_moderation", "read_request"]

SHOWN = 20
"""Vectors, or texts; a batch may have 2,048."""
LONGEST = 2000
"""Characters of one of several texts."""


def read_request(side: Side, body: dict[str, Any]) -> None:
    """What is to be embedded or judged."""
    side.model = label(body.get("model"))
    side.settings += settings_of(body)
    given = body.get("input")
    many = given if isinstance(given, list) and given and not isinstance(given[0], int) else [given]
    for each in many[:SHOWN]:
        if isinstance(each, str):
            side.turns.append(Turn("input", (Block("text", text(each) if len(many) == 1 else _cut(each)),)))
        elif isinstance(each, list):
            side.turns.append(Turn("input", (Block("note", f"[{len(each):,} tokens, given by number]"),)))
        elif isinstance(each, dict):
            side.turns.append(Turn("input", tuple(blocks_of([each]))))
    if len(many) > SHOWN:
        side.turns.append(Turn("input", (Block("note", f"[{len(many) - SHOWN:,} more, {len(many):,} in all]"),)))


def read_embeddings(side: Side, body: dict[str, Any]) -> None:
    """How many vectors, of which dimension and norm."""
    side.model, side.problem, side.finished = label(body.get("model")), problem_of(body), True
    side.usage = read_usage(body.get("usage"), model=side.model)
    found = [_measured(each.get("embedding")) for each in rows(body.get("data"))]
    if not found:
        return
    lines = [f"{len(found):,} vector{'s' if len(found) > 1 else ''}"]
    lines += [f"{i}: {_said(dimension, norm)}" for i, (dimension, norm) in enumerate(found[:SHOWN])]
    if rest := found[SHOWN:]:
        dimensions = ", ".join(sorted({f"{dimension:,}" for dimension, _ in rest}))
        norms = [norm for _, norm in rest if norm is not None]
        span = f", norms from {min(norms):.4f} to {max(norms):.4f}" if norms else ""
        lines.append(f"{len(rest):,} more: dimension {dimensions}{span}")
    side.turns.append(Turn("embeddings", (Block("text", "\n".join(lines)),)))


def _said(dimension: int, norm: float | None) -> str:
    return f"dimension {dimension:,}, " + ("no numbers" if norm is None else f"norm {norm:.4f}")


def _measured(vector: Any) -> tuple[int, float | None]:
    """Dimension and norm of a list of numbers, or of 32-bit floats in base64."""
    if isinstance(vector, str):
        try:
            packed = base64mime.decode(vector)
        except ValueError:
            return len(vector) * 3 // 16, None
        if len(packed) % 4:
            return len(packed) // 4, None
        numbers: list[Any] = memoryview(packed).cast("f").tolist()
    else:
        numbers = vector if isinstance(vector, list) else []
    try:
        norm = math.hypot(*numbers)
    except (TypeError, OverflowError):
        return len(numbers), None
    return len(numbers), norm if math.isfinite(norm) else None


def read_moderation(side: Side, body: dict[str, Any]) -> None:
    """What is found objectionable, and the highest scores of what is not."""
    side.id, side.model, side.problem, side.finished = (
        label(body.get("id")),
        label(body.get("model")),
        problem_of(body),
        True,
    )
    results = rows(body.get("results"))
    for result in results[:SHOWN]:
        scores = {
            short(str(name), 60): float(score)
            for name, score in mapping(result.get("category_scores")).items()
            if isinstance(score, int | float) and math.isfinite(score)
        }
        said = [short(str(name), 60) for name, is_so in mapping(result.get("categories")).items() if is_so is True]
        verdict = "flagged: " + ", ".join(_scored(name, scores) for name in said) if said else "not flagged"
        highest = sorted(scores, key=lambda name: -scores[name])[:3]
        words = [verdict if said or result.get("flagged") is not True else "flagged"]
        if highest and not said:
            words.append("highest: " + ", ".join(_scored(name, scores) for name in highest))
        side.turns.append(Turn("moderation", (Block("text", "\n".join(words)),)))
    if len(results) > SHOWN:
        side.notes.append(f"{len(results) - SHOWN:,} more results")


def _scored(name: str, scores: dict[str, float]) -> str:
    return f"{name} {scores[name]:.3f}" if name in scores else name


def _cut(said: str) -> str:
    return said if len(said) <= LONGEST else f"{said[:LONGEST]}… ({len(said) - LONGEST:,} more characters)"
