"""Sentences that the core makes with something put in, told in the page's language.

Pure. The core speaks English, in few and fixed words (`core/telling/reasons`, `engine/report`, `engine/blame`); where it puts a name or a figure in,
the sentence is known again by its fixed part. Law: what is not known again is shown as it came, and nothing is ever taken for markup: the result is
text, to be escaped like any other. `_()` is for literals only; in templates it calls whatever it is given safe.
"""

import re

from collections.abc import Callable
from typing import Final

from codex_manager.core.telling.reasons import AGAINST, CHOSEN, FAILED


__all__ = ["PATTERNS", "PLAIN", "phrase"]

PLAIN: Final[tuple[str, ...]] = tuple(
    dict.fromkeys(
        sentence
        for sentence in (
            *(words for _, words in CHOSEN.values()), *AGAINST.values(), *FAILED.values(),
            "spending limit", "belongs elsewhere", "unusable", "it kept failing; others are asked first",
            "it fails where others do not", "connections to OpenAI could not be made within the last minute",
            "it answered with errors, or not at all, within the last minute, as far as one project can tell",
            "its key cannot be sent in a header (it is empty or has characters no key has)", "its base URL is not one",
        )
        if sentence and "{" not in sentence
    )
)  # fmt: skip
"""Sentences with nothing put in, as the catalogue has them."""
PATTERNS: Final[tuple[str, ...]] = (
    "not for this model ({detail})",
    "its key was refused ({detail})",
    "daily limit of {limit} reached",
    "monthly limit of {limit} reached",
    "monthly limit at OpenAI of {limit} reached",
    "nothing is left of its daily limit of {limit}",
    "nothing is left of its monthly limit of {limit}",
    "this request may cost {amount}",
    "more than is left of its daily limit of {limit}",
    "more than is left of its monthly limit of {limit}",
    "{spent} spent and {reserved} set aside for requests on their way",
    "{spent} spent",
    "counts anew from {moment}",
    "{name} limits this machine's address, whichever account asks",
    "accounts of {count} projects got errors or no answer within the last minute",
)
"""Sentences with something put in; the catalogue has them with their braces."""


def phrase(sentence: str, translate: Callable[[str], str]) -> str:
    """One phrase, or several with commas between, in the language of `translate`."""
    return _phrase(sentence, translate) or ", ".join(_phrase(part, translate) or part for part in sentence.split(", "))


def _phrase(sentence: str, translate: Callable[[str], str]) -> str | None:
    """None when it is not in the catalogue."""
    known = translate(sentence)
    if known != sentence or sentence in PLAIN:
        return known
    for pattern, shape in _SHAPES:
        if found := shape.fullmatch(sentence):
            text = translate(pattern)
            for name, value in found.groupdict().items():
                text = text.replace(f"{{{name}}}", value)
            return text
    return None


def _shape(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", pattern)
    return re.compile("".join(f"(?P<{part}>.*)" if at % 2 else re.escape(part) for at, part in enumerate(parts)))


_SHAPES: Final = tuple((pattern, _shape(pattern)) for pattern in PATTERNS)
