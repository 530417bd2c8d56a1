"""A whole chat answer as OpenAI writes it, read at its two ends: what it used in 4 µs, where parsing takes 15.

Nine answers of ten are a chat's, of plain text in the usual order: names, `choices`, `usage`, and a word or two. Law: what
is read here is what a parser finds. Whatever is not exactly as expected, other members or another order, a figure of
audio, an escape, is left to the parser.
"""

import re

from typing import Final

from codex_manager.core.usage import Usage


__all__ = ["chat_answer"]

_HEAD: Final = re.compile(
    rb'\s*+\{\s*+"id"\s*+:\s*+"([^"\\\x00-\x1f]{1,256}+)"\s*+,\s*+"object"\s*+:\s*+"chat\.completion"\s*+,'
    rb'\s*+"created"\s*+:\s*+\d++\s*+,\s*+"model"\s*+:\s*+"([^"\\\x00-\x1f]{1,256}+)"\s*+,\s*+"choices"\s*+:\s*+\['
)
_LAST_CHOICE: Final = b'"finish_reason"'
_NUMBER: Final = rb"\s*+:\s*+(\d{1,12}+)\s*+"
_NOTHING: Final = rb"\s*+:\s*+0\s*+"
_TAIL: Final = re.compile(
    # The end of the last choice and of `choices`, so that nothing stands between these and the figures …
    rb'"finish_reason"\s*+:\s*+"\w++"\s*+\}\s*+\]\s*+,\s*+"usage"\s*+:\s*+\{'
    rb'\s*+"prompt_tokens"'
    + _NUMBER
    + rb',\s*+"completion_tokens"'
    + _NUMBER
    + rb',\s*+"total_tokens"\s*+:\s*+\d++\s*+'
    rb'(?:,\s*+"prompt_tokens_details"\s*+:\s*+\{\s*+"cached_tokens"'
    + _NUMBER
    + rb'(?:,\s*+"audio_tokens"'
    + _NOTHING
    + rb")?+\}\s*+)?+"
    rb'(?:,\s*+"completion_tokens_details"\s*+:\s*+\{\s*+"reasoning_tokens"'
    + _NUMBER
    + rb'(?:,\s*+"(?:audio_tokens"'
    + _NOTHING
    + rb'|(?:accepted|rejected)_prediction_tokens"\s*+:\s*+\d++\s*+))*+\}\s*+)?+\}'
    # … and behind them the end of the document: so they are its own.
    rb'(?:\s*+,\s*+"service_tier"\s*+:\s*+(?:"([a-z_]{0,64}+)"|null))?+'
    rb'(?:\s*+,\s*+"system_fingerprint"\s*+:\s*+(?:"\w*+"|null))?+\s*+\}\s*+\Z',
    re.ASCII,
)


def chat_answer(document: bytes) -> tuple[str, Usage] | None:
    """The id and the figures; None for what has to be parsed."""
    tail = _TAIL.match(document, document.rfind(_LAST_CHOICE))
    if tail is None:
        return None
    head = _HEAD.match(document)
    if head is None:
        return None
    name, model = head.groups()
    said_input, said_output, said_cached, said_reasoning, tier = tail.groups()
    whole_input, whole_output = int(said_input), int(said_output)
    if b"-search-" in model or not (whole_input or whole_output):
        return None
    try:
        return name.decode(), Usage(
            input=whole_input,
            cached=min(int(said_cached), whole_input) if said_cached else 0,
            output=whole_output,
            reasoning=min(int(said_reasoning), whole_output) if said_reasoning else 0,
            tier=tier.decode() if tier else "",
            model=model.decode(),
        )
    except UnicodeDecodeError:
        return None
