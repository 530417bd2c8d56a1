"""Which models an account may serve: a short list of names with wildcards.

`*` stands for any text, `?` for one character, `!` in front leaves a model out; letters in either case are the same.
The order of the list does not matter: a model is allowed when no exclusion names it and, if the list names any model to
include, one of those does. So an empty list allows every model and a list of exclusions every other one.

    gpt-4o*  !gpt-4o-audio*      the gpt-4o family without its audio models
    ft:gpt-4o*:acme::*           acme's own fine-tuned models (their ids contain colons)

Law: pure. A request that names no model (files, batches, `GET /v1/models`) is allowed to every account.
"""

import re

from collections.abc import Sequence
from functools import lru_cache


__all__ = ["allows", "check_scope"]

LONGEST_PATTERN = 200
"""OpenAI's longest ids, those of fine-tuned checkpoints, stay under 100 characters."""


def allows(scope: Sequence[str], model: str | None) -> bool:
    """Whether an account with this model scope may serve this model."""
    if not scope or model is None:
        return True
    included, excluded = _compiled(tuple(scope))
    name = model.lower()
    if excluded is not None and excluded.fullmatch(name):
        return False
    return included is None or included.fullmatch(name) is not None


def check_scope(patterns: Sequence[str]) -> None:
    """Refuse a scope nobody can have meant.

    Raises:
        ValueError: one sentence that names the pattern.
    """
    for pattern in patterns:
        name = pattern.removeprefix("!")
        if not name.strip():
            raise ValueError(f"the model pattern '{pattern}' names no model")
        if len(name) > LONGEST_PATTERN:
            raise ValueError(f"the model pattern '{pattern[:40]}…' is longer than {LONGEST_PATTERN} characters")
        if name.startswith("!"):
            raise ValueError(f"the model pattern '{pattern}' has more than one '!'")
        if "," in name:
            raise ValueError(f"the model pattern '{pattern}' contains a comma; give each pattern by itself")
        if any(character.isspace() or not character.isprintable() for character in name):
            raise ValueError(f"the model pattern {pattern!r} contains a space or an invisible character")
        if any(character in "[]{}()" for character in name):
            raise ValueError(f"the model pattern '{pattern}' contains brackets; only * and ? are wildcards")
    excluded = {pattern[1:].lower() for pattern in patterns if pattern.startswith("!")}
    included = {pattern.lower() for pattern in patterns if not pattern.startswith("!")}
    if excluded and ("*" in excluded or (included and included <= excluded)):
        raise ValueError("the model patterns leave no model over")


@lru_cache(maxsize=1024)
def _compiled(scope: tuple[str, ...]) -> tuple[re.Pattern[str] | None, re.Pattern[str] | None]:
    """Patterns for what is included and what is excluded; None where the scope names nothing."""
    included = [_regex(pattern) for pattern in scope if not pattern.startswith("!")]
    excluded = [_regex(pattern[1:]) for pattern in scope if pattern.startswith("!")]
    return (
        re.compile("|".join(included), re.DOTALL) if included else None,
        re.compile("|".join(excluded), re.DOTALL) if excluded else None,
    )


def _regex(pattern: str) -> str:
    """`*` and `?` as in a shell. Atomic groups keep many stars from backtracking into each other, as fnmatch does."""
    texts = ["".join("." if c == "?" else re.escape(c) for c in text) for text in pattern.lower().split("*")]
    if len(texts) == 1:
        return texts[0]
    return texts[0] + "".join(f"(?>.*?{text})" for text in texts[1:-1]) + ".*" + texts[-1]
