"""What an answer used, worked out from what passed by, for answers that broke off or never say.

Law: never nothing. Somebody pays for an answer that began, so an estimate has at least what was sent to get it; and it
is always flagged, so that reports can tell it from the upstream's own figures.
"""

from typing import Final

from codex_manager.core.metering.units import NO_UNITS, Units, image_tokens
from codex_manager.core.usage import Usage


__all__ = ["estimated"]

AUDIO_TOKENS_PER_S: Final = 10.0
"""Of audio heard (guide to audio: one token for 100 ms)."""
SPOKEN_TOKENS_PER_S: Final = 20.8
"""Of speech made: gpt-4o-mini-tts costs 0.015 USD a minute at 12 USD a million tokens (pricing page, 2025)."""
CHARACTERS_PER_TOKEN: Final = 4
"""OpenAI's rule of thumb for English."""


def estimated(
    request_tokens: int,
    output_tokens: int,
    *,
    units: Units = NO_UNITS,
    model: str = "",
    tier: str = "",
) -> Usage:
    """Usage for an answer without figures: the request's size (core.tokens), what came out, and the request's units.

    `model` tells by which unit it is billed; the answer's own name for it where it said one, else the one asked for.
    """
    if units.is_free:
        return Usage(model=model, tier=tier)
    if units.characters:
        if model.startswith("tts-1"):
            return Usage(characters=units.characters, model=model, tier=tier, estimated=True)
        spoken = max(output_tokens, round(units.spoken_s * SPOKEN_TOKENS_PER_S), 1)
        text = max(units.characters // CHARACTERS_PER_TOKEN, 1)
        return Usage(input=text, output=spoken, output_audio=spoken, model=model, tier=tier, estimated=True)
    if units.images:
        if model.startswith("dall-e"):
            kind = units.image_kind
            return Usage(images=units.images, image_kind=kind, model=model, tier=tier, estimated=True)
        drawn = max(output_tokens, image_tokens(units))
        text = max(request_tokens, 1)
        return Usage(input=text, output=drawn, output_image=drawn, model=model, tier=tier, estimated=True)
    if units.heard_s:
        if units.image_kind or "transcribe" not in model:  # a film, or Whisper
            heard, kind = units.heard_s, units.image_kind
            return Usage(seconds=heard, image_kind=kind, model=model, tier=tier, estimated=True)
        audio = max(round(units.heard_s * AUDIO_TOKENS_PER_S), 1)
        whole = request_tokens + audio
        return Usage(input=whole, input_audio=audio, output=output_tokens, model=model, tier=tier, estimated=True)
    return Usage(
        input=max(request_tokens, 0 if output_tokens else 1),
        output=max(output_tokens, 0),
        model=model,
        tier=tier,
        estimated=True,
    )
