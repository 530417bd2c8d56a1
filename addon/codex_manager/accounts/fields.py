"""What each field of an account may hold, whichever way it came: an option, a form, an import.

Knows the rules and their sentences; knows neither who asks nor the vault. Law: a check returns the value to store or
raises `FieldError` with one sentence that names the field; no sentence ever holds a secret or a wall of input.
"""

import math
import unicodedata

from collections.abc import Callable, Iterable

from codex_manager.config.address import normal_base_url
from codex_manager.core.models import check_scope
from codex_manager.core.secret import Secret
from codex_manager.core.telling.quoting import shorten


__all__ = ["CHECKS", "FieldError", "check", "check_label", "check_secret"]

LABEL_MAX = 64
"""Characters; fits a table row and a response header."""
KEY_MAX = 4096
"""Characters; OpenAI's longest keys are about 200, and the whole header block may be 64 KiB."""
NAME_MAX = 256
"""Characters of an organization or project name; OpenAI's ids are under 40."""
NOTES_MAX = 4096
TAGS_MAX = 32
MONEY_MAX = 1e9
"""US dollars; beyond it the number is a slip of the keyboard."""


class FieldError(ValueError):
    """A value that cannot be stored; the text is a sentence without a full stop."""


def check_label(value: object, what: str = "label") -> str:
    """A name a person can type and a table can show."""
    text = unicodedata.normalize("NFC", _text(what, value)).strip()
    if not text:
        raise FieldError(f"the {what} is empty")
    if len(text) > LABEL_MAX:
        raise FieldError(f"the {what} has {len(text)} characters; at most {LABEL_MAX} are allowed")
    if text.startswith("-"):
        raise FieldError(f"the {what} '{shorten(text)}' starts with a dash, which reads as an option")
    _printable(what, text)
    return text


def check_secret(what: str, value: object) -> Secret:
    """A key as it can stand in an `Authorization` header; which service issued it is not our business."""
    text = value.reveal() if isinstance(value, Secret) else _text(what, value)
    text = text.strip()
    if not text:
        raise FieldError(f"the {what} is empty")
    if len(text) > KEY_MAX:
        raise FieldError(f"the {what} has {len(text)} characters; at most {KEY_MAX} are allowed")
    if not text.isascii() or any(not "!" <= c <= "~" for c in text):
        raise FieldError(f"the {what} contains a space, a control character or a letter beyond ASCII; copy it again")
    if "***" in text:
        raise FieldError(f"the {what} is masked with asterisks; the whole key is needed")
    return Secret(text)


def _api_key(value: object) -> Secret:
    return check_secret("API key", value)


def _admin_key(value: object) -> Secret | None:
    return None if _blank(value) else check_secret("admin key", value)


def _header_name(field: str, example: str) -> Callable[[object], str | None]:
    """An organization or project: it travels in a header of its own."""

    def check_it(value: object) -> str | None:
        if _blank(value):
            return None
        text = _text(field, value).strip()
        if len(text) > NAME_MAX or not text.isascii() or any(not "!" <= c <= "~" for c in text):
            raise FieldError(f"the {field} '{shorten(text)}' is not an id as OpenAI gives them, such as {example}")
        return text

    return check_it


def _base_url(value: object) -> str | None:
    """An https URL; http to this machine only: a key in clear on the network is nobody's wish."""
    if _blank(value):
        return None
    try:
        return normal_base_url(_text("base URL", value).strip())
    except ValueError as error:
        raise FieldError(f"the base URL {error}") from None


def _models(value: object) -> tuple[str, ...]:
    scope = _texts("models", value)
    try:
        check_scope(scope)
    except ValueError as error:
        raise FieldError(f"models: {shorten(str(error), 250)}") from None
    return scope


def _tags(value: object) -> tuple[str, ...]:
    tags = tuple(dict.fromkeys(_texts("tags", value)))
    if len(tags) > TAGS_MAX:
        raise FieldError(f"there are {len(tags)} tags; at most {TAGS_MAX} are allowed")
    for tag in tags:
        if len(tag) > LABEL_MAX:
            raise FieldError(f"the tag '{shorten(tag)}' is longer than {LABEL_MAX} characters")
        _printable("tag", tag)
    return tags


def _limit(field: str) -> Callable[[object], float | None]:
    def check_it(value: object) -> float | None:
        if _blank(value) or value == "none":
            return None
        number = _number(field, value)
        if not 0 < number <= MONEY_MAX:
            raise FieldError(f"the {field} must be more than 0 US dollars; `none` takes it away")
        return number

    return check_it


def _weight(value: object) -> float:
    number = 1.0 if value is None else _number("weight", value)
    if not 0 < number <= 1000:
        raise FieldError("the weight must be more than 0 and at most 1000")
    return number


def _priority(value: object) -> int:
    number = 0 if value is None else _number("priority", value)
    if number != int(number) or abs(number) > 1_000_000:
        raise FieldError("the priority must be a whole number between -1000000 and 1000000")
    return int(number)


def _enabled(value: object) -> bool:
    if not isinstance(value, bool):
        raise FieldError("enabled must be true or false")
    return value


def _notes(value: object) -> str:
    text = "" if value is None else _text("notes", value).strip()
    if len(text) > NOTES_MAX:
        raise FieldError(f"the notes have {len(text)} characters; at most {NOTES_MAX} are allowed")
    _printable("notes", text.replace("\n", " ").replace("\t", " "))
    return text


def _blank(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _text(field: str, value: object) -> str:
    if not isinstance(value, str):
        raise FieldError(f"the {field} must be text, not {_kind(value)}")
    return value


def _texts(field: str, value: object) -> tuple[str, ...]:
    """A list of texts, or one text with commas."""
    if value is None:
        return ()
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, Iterable) or isinstance(items, dict):
        raise FieldError(f"{field} must be a list of texts, not {_kind(value)}")
    return tuple(part.strip() for item in items for part in _text(field, item).split(",") if part.strip())


def _number(field: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise FieldError(f"the {field} must be a number, not {_kind(value)}")
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise FieldError(f"the {field} must be a number, not '{shorten(str(value))}'") from None
    if not math.isfinite(number):
        raise FieldError(f"the {field} must be a finite number")
    return number


def _kind(value: object) -> str:
    """How JSON calls what was given; the value itself may be a secret in the wrong place."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "a list" if isinstance(value, list) else "an object"


def _printable(field: str, text: str) -> None:
    if not text.isprintable():
        raise FieldError(f"the {field} contains a character that cannot be shown")


CHECKS: dict[str, Callable[[object], object]] = {
    "label": check_label,
    "api_key": _api_key,
    "organization": _header_name("organization", "org-abc123"),
    "project": _header_name("project", "proj_abc123"),
    "base_url": _base_url,
    "models": _models,
    "daily_limit_usd": _limit("daily limit"),
    "monthly_limit_usd": _limit("monthly limit"),
    "priority": _priority,
    "weight": _weight,
    "enabled": _enabled,
    "admin_key": _admin_key,
    "tags": _tags,
    "notes": _notes,
}
"""Field of `Account` -> its check. Times and the id are the vault's."""


def check(field: str, value: object) -> object:
    """The value to store for `field`.

    Raises:
        FieldError: with the sentence for its reader.
    """
    return CHECKS[field](value)
