"""What one answer used, in the units OpenAI bills.

Plain numbers as the upstream said them, or as they were estimated when it said none. Knows no prices (core.pricing) and
not where they were read (core.metering).
"""

from codex_manager.core.value import value


__all__ = ["Usage"]


@value(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens unless the name says otherwise. A part is contained in its whole: `cached` in `input`, `reasoning` in `output`."""

    input: int = 0
    cached: int = 0
    """Of the input, read from the prompt cache."""
    cache_write: int = 0
    """Of the input, written to the prompt cache, where that is billed apart."""
    input_audio: int = 0
    cached_audio: int = 0
    """Of `cached` and of `input_audio`: audio read from the cache."""
    input_image: int = 0
    cached_image: int = 0
    """Of `cached` and of `input_image`."""
    output: int = 0
    reasoning: int = 0
    """Of the output; billed as output, shown apart."""
    output_audio: int = 0
    output_image: int = 0
    seconds: float = 0.0
    """Of audio (or video), for models billed by time; 0 for those billed by tokens."""
    characters: int = 0
    """Of text to be spoken, for models billed by characters."""
    images: int = 0
    """Images made, for models billed by the image."""
    image_kind: str = ""
    """Their quality and size as priced, for example `hd 1024x1792`; empty when billed by tokens."""
    calls: tuple[tuple[str, int], ...] = ()
    """Built-in tools billed by the call: (`web_search`, 2)."""
    tier: str = ""
    """Service tier that served it, as the answer said: `default`, `flex`, `priority`, `batch` …; empty when not said."""
    model: str = ""
    """Model that served it, as the answer said (`gpt-4o-2024-08-06`); empty when not said."""
    estimated: bool = False
    """Not the upstream's own figures: worked out from what passed by."""

    @property
    def total(self) -> int:
        return self.input + self.output
