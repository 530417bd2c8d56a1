"""What a request says of a price that is not by the token: characters to speak, images to draw, seconds to listen to.

The answers to such requests often report no usage at all, or report it in tokens for one model and not for another; the
request is then the only witness. Looks into the bodies of four families of endpoints and of no other.

Law: never raises; what is not there has OpenAI's own default.
"""

import json

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from codex_manager.core.endpoint import Endpoint
from codex_manager.core.form import parts
from codex_manager.core.metering.figures import seconds, word
from codex_manager.core.metering.sound import duration


__all__ = ["NO_UNITS", "Units", "image_tokens", "request_units"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """Zero and empty where the request is not of that kind."""

    characters: int = 0
    """Of the text to be spoken."""
    spoken_s: float = 0.0
    """How long the speech will be, about."""
    images: int = 0
    image_kind: str = ""
    """`hd 1024x1792`, as core.usage.Usage has it."""
    is_free: bool = False
    """OpenAI does not charge for it."""
    heard_s: float = 0.0
    """Of the audio in the request, as its file says, or about; videos: of the film to make."""


NO_UNITS: Final = Units()
FREE: Final = Units(is_free=True)

_SPEECH, _IMAGES, _SOUND, _VIDEOS = "audio/speech", "images/", "audio/tr", "videos"
_COUNTED: Final = ("/v1/moderations", *(f"/v1/{family}" for family in (_SPEECH, _IMAGES, _SOUND, _VIDEOS)))
CHARACTERS_PER_S: Final = 15.0
"""Of speech: 150 words a minute of six characters, space included."""
MOST_IMAGES: Final = 100
"""OpenAI allows 10."""
_LONGEST_FIELD: Final = 64
_IMAGE_TOKENS: Final[Mapping[str, tuple[int, int]]] = {
    # Square, and the longer of the other two; OpenAI's guide to image generation, cost and latency, of gpt-image-1.
    "low": (272, 408),
    "medium": (1056, 1584),
    "high": (4160, 6240),
}


def request_units(endpoint: Endpoint, content_type: str | None, body: bytes | None) -> Units:
    """The units of a decoded request body; None for a body that is not at hand."""
    path = endpoint.path
    if not path.startswith(_COUNTED):
        return NO_UNITS
    resource = path[4:]
    if resource == "moderations":
        return FREE
    if not body or endpoint.replay == "read" or resource.startswith("moderations"):
        return NO_UNITS
    fields, audio = _fields(content_type or "", body)
    if resource.startswith(_SPEECH):
        text = fields.get("input")
        if not isinstance(text, str):
            return NO_UNITS
        pace = seconds(fields.get("speed")) or 1.0
        return Units(characters=len(text), spoken_s=len(text) / CHARACTERS_PER_S / min(max(pace, 0.25), 4.0))
    if resource.startswith(_IMAGES):
        return Units(images=_count(fields.get("n")), image_kind=image_kind(fields))
    if resource.startswith(_SOUND):
        return Units(heard_s=duration(audio))
    return Units(heard_s=seconds(fields.get("seconds")) or 4.0, image_kind=word(fields.get("size")) or "720x1280")


def image_kind(said: Mapping[str, Any]) -> str:
    """Quality and size of a request or an answer, with the defaults of DALL·E, which is priced by them."""
    size = word(said.get("size"))
    quality = word(said.get("quality"))
    return (
        f"{quality if quality not in {'', 'auto'} else 'standard'} {size if size not in {'', 'auto'} else '1024x1024'}"
    )


def image_tokens(units: Units) -> int:
    """What the images will take in output tokens of a model that draws by the token; the dearest where it chooses itself."""
    quality, _, size = units.image_kind.partition(" ")
    square, oblong = _IMAGE_TOKENS.get(quality, _IMAGE_TOKENS["high"])
    return units.images * (square if size == "1024x1024" else oblong)


def _count(value: Any) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 3:
        value = int(value)
    return min(value, MOST_IMAGES) if isinstance(value, int) and value is not True and value > 0 else 1


def _fields(content_type: str, body: bytes) -> tuple[Mapping[str, Any], memoryview]:
    """The small fields of a JSON body or a form, and the form's file."""
    if content_type.lstrip().lower().startswith("multipart/"):
        view = memoryview(body)
        fields: dict[str, str] = {}
        file = view[:0]
        for part in parts(content_type, body) or ():
            if part.is_file:
                file = file or view[part.begin : part.end]
            elif part.end - part.begin <= _LONGEST_FIELD:
                fields[part.name] = body[part.begin : part.end].decode("utf-8", "replace").strip()
        return fields, file
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    return (found if isinstance(found, dict) else {}), memoryview(b"")
