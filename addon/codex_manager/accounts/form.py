"""The fields of a form, checked: every value as a browser sends it, every mistake at once.

Pure. A field that was not sent is not in the result; an empty text clears it. Law: a field that accounts do not have, or that is
not for people to set (id, times), is a mistake like any other.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

from codex_manager.accounts.errors import FieldsError
from codex_manager.accounts.fields import CHECKS, FieldError, check
from codex_manager.core.telling.quoting import shorten


__all__ = ["checked"]

SWITCHES: Final = {"true": True, "on": True, "1": True, "false": False, "off": False, "0": False, "": False}
"""What a checkbox or a choice may send."""
LISTS: Final = frozenset({"models", "tags"})
NUMBERS: Final = frozenset({"priority", "weight"})
"""They have a default, which an empty text means."""


def checked(values: Mapping[str, object], *, needed: Collection[str] = ()) -> dict[str, Any]:
    """What to store, by field of `Account`. Of `needed` fields a missing one is judged as an empty one is.

    Raises:
        FieldsError: some of it cannot be stored; it names all of these.
    """
    fields: dict[str, Any] = {}
    wrong: dict[str, str] = {}
    for name, value in (dict.fromkeys(needed, "") | dict(values)).items():
        if name not in CHECKS:
            wrong[name] = f"accounts have no field '{shorten(name)}' that can be set"
            continue
        try:
            fields[name] = check(name, _meant(name, value))
        except FieldError as error:
            wrong[name] = str(error)
    if wrong:
        raise FieldsError(wrong)
    return fields


def _meant(field: str, value: object) -> object:
    """What a text of a form means for a field that does not hold text."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if field == "enabled":
        return SWITCHES.get(text.lower(), value)
    if field in NUMBERS:
        return text or None
    return ",".join(value.splitlines()) if field in LISTS else value
