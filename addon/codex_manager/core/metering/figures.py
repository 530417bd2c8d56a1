"""A `usage` object as plain numbers, whatever OpenAI calls them there.

Knows every spelling of the API's specification (2.3.0 of 2026-08-21): `prompt_tokens` and `input_tokens`,
`…_tokens_details` and `…_token_details`, seconds instead of tokens. Does not know where in an answer the object was.

Law: never raises and never believes nonsense. A number that is negative, absurd or none at all counts as 0, and a part
is never larger than its whole, since what comes of it is subtracted and multiplied by prices.
"""

from typing import Any, Final

from codex_manager.core.usage import Usage


__all__ = ["read_usage", "word"]

MOST: Final = 10**12
"""Tokens. A thousand times what the largest context window and a year of output would make; above it is no figure."""
MOST_SECONDS: Final = 10**7
LONGEST_WORD: Final = 256


def read_usage(
    said: Any,
    *,
    model: str = "",
    tier: str = "",
    hears: bool = False,
    speaks: bool = False,
    draws: bool = False,
) -> Usage | None:
    """The figures of a `usage` object; None when it says nothing that can be counted.

    `hears`, `speaks` and `draws`: tokens that are not said to be of another kind are of audio heard, audio spoken or
    images drawn, as the endpoints for these do not always say.
    """
    if not isinstance(said, dict):
        return None
    if "seconds" in said and "input_tokens" not in said:
        return Usage(seconds=seconds(said["seconds"]), model=model, tier=tier)
    if not _says_tokens(said):
        return None
    whole_input = tokens(said.get("input_tokens", said.get("prompt_tokens")))
    whole_output = tokens(said.get("output_tokens", said.get("completion_tokens")))
    if not whole_input and not whole_output:
        # Graders and old servers give the sum alone; input is what every endpoint has.
        whole_input = tokens(said.get("total_tokens"))
    of_input = _details(said, "input_tokens_details", "prompt_tokens_details", "input_token_details")
    of_output = _details(said, "output_tokens_details", "completion_tokens_details", "output_token_details")
    # `cached_tokens` stands beside the others in the figures of evals.
    cached = min(tokens(of_input.get("cached_tokens", said.get("cached_tokens"))), whole_input)
    if not (hears or speaks or draws or _is_mixed(of_input) or _is_mixed(of_output)):
        # The way of nearly all answers: text.
        return Usage(
            input=whole_input,
            cached=cached,
            cache_write=min(tokens(of_input.get("cache_write_tokens")), whole_input - cached),
            output=whole_output,
            reasoning=min(tokens(of_output.get("reasoning_tokens")), whole_output),
            tier=tier,
            model=model,
        )

    of_cached = _details(of_input, "cached_tokens_details")
    input_audio = min(tokens(of_input.get("audio_tokens")) if of_input or not hears else whole_input, whole_input)
    input_image = min(tokens(of_input.get("image_tokens")), whole_input - input_audio)
    cached_audio = min(tokens(of_cached.get("audio_tokens")), cached, input_audio)
    cached_image = min(tokens(of_cached.get("image_tokens")), cached - cached_audio, input_image)
    output_audio = min(tokens(of_output.get("audio_tokens")) if of_output or not speaks else whole_output, whole_output)
    rest = whole_output - output_audio
    return Usage(
        input=whole_input,
        cached=cached,
        cache_write=min(tokens(of_input.get("cache_write_tokens")), whole_input - cached),
        input_audio=input_audio,
        cached_audio=cached_audio,
        input_image=input_image,
        cached_image=cached_image,
        output=whole_output,
        reasoning=min(tokens(of_output.get("reasoning_tokens")), whole_output),
        output_audio=output_audio,
        output_image=min(tokens(of_output.get("image_tokens")) if of_output or not draws else rest, rest),
        tier=tier,
        model=model,
    )


def tokens(value: Any) -> int:
    """A count, or 0 for what is none."""
    if isinstance(value, int):
        return value if 0 <= value <= MOST and value is not True else 0
    if isinstance(value, float) and 0 <= value <= MOST:  # NaN and infinities fail the comparison
        return round(value)
    return 0


def seconds(value: Any) -> float:
    """A duration; videos give theirs as a text."""
    if isinstance(value, str) and len(value) <= 20:
        try:
            value = float(value)
        except ValueError:
            return 0.0
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    return float(value) if 0 <= value <= MOST_SECONDS else 0.0


def word(value: Any) -> str:
    """A name such as a model's, a status or an id; empty for what is none."""
    return value if isinstance(value, str) and len(value) <= LONGEST_WORD else ""


_SAYS = frozenset({"input_tokens", "prompt_tokens", "output_tokens", "completion_tokens", "total_tokens"})


def _says_tokens(said: dict[str, Any]) -> bool:
    return not _SAYS.isdisjoint(said)


def _is_mixed(details: dict[str, Any]) -> bool:
    """Whether tokens are of anything but text."""
    return bool(details.get("audio_tokens") or details.get("image_tokens"))


def _details(said: dict[str, Any], *names: str) -> dict[str, Any]:
    for name in names:
        value = said.get(name)
        if isinstance(value, dict):
            return value
    return {}
