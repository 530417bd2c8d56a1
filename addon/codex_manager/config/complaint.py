"""What pydantic found wrong, told as sentences.

Law: a sentence repeats a value only where it helps and cannot be a secret: never of a setting that may hold one, never
anything that looks like a key.
"""

from typing import Any

from pydantic_core import ErrorDetails

from codex_manager.config.catalogue import (
    PRICE_FIELDS,
    PRICES,
    SECTIONS,
    SETTINGS,
    alternatives,
    closest,
    price_setting,
)
from codex_manager.config.prices import HIGHEST_USD


__all__ = ["field_of", "key_of", "sentence", "shown"]

_MAY_HOLD_SECRETS = frozenset({"proxy.api_key", "proxy.openai_base_url", "upstream.proxy"})


def key_of(error: ErrorDetails) -> tuple[str, ...]:
    """Section and key the mistake is in."""
    return tuple(str(part) for part in error["loc"][:2])


def field_of(error: ErrorDetails) -> str:
    """The field of a form the mistake is in: a setting, or one price of a model."""
    path = tuple(str(part) for part in error["loc"])
    one_price = len(path) == 3 and path[0] == PRICES and path[2] in PRICE_FIELDS
    return ".".join(path if one_price else path[:2])


def sentence(error: ErrorDetails) -> str:
    """What is wrong, starting with the setting's name; the reader knows the file and line already."""
    path = key_of(error)
    key = ".".join(path)
    if path[0] == PRICES and len(path) > 1:
        return _of_prices(error)
    if error["type"] == "extra_forbidden":
        return _unknown(path)
    setting = SETTINGS.get(key)
    if setting is None:
        return f"{key} is a section and needs its settings indented below it"
    if error["input"] is None and not setting.nullable and len(error["loc"]) <= 2:
        return f"{key} has no value; give it one or remove the line"
    if error["type"] == "value_error":
        return f"{key} {error['ctx']['error']}"
    if error["type"] == "too_long":
        return f"{key} has too many entries"
    if len(error["loc"]) > 2:
        return f"{key} must list text; put each entry in quotes"
    return f"{key} {setting.demand()}{shown(key, error['input'])}"


def shown(key: str, value: Any) -> str:
    """`, not "fastest"`, or nothing when the value had better not be repeated."""
    if key in _MAY_HOLD_SECRETS:
        return ""
    if isinstance(value, bool):
        return f", not {str(value).lower()}"
    if isinstance(value, int | float) and not abs(value) >= 10**15:
        return f", not {value}"
    if isinstance(value, str) and len(value) <= 40 and value.isprintable() and not looks_secret(value):
        return f', not "{value}"'
    return ""


def looks_secret(text: str) -> bool:
    """Keys of OpenAI start with sk-; anything long without a space may be one, too."""
    return "sk-" in text.lower() or any(len(word) > 24 for word in text.split())


def _of_prices(error: ErrorDetails) -> str:
    """What is wrong with `prices.MODEL`, or with one price below it."""
    model, *below = (str(part) for part in error["loc"][1:])
    named = len(model) <= 100 and model.isprintable() and "sk-" not in model.lower()
    key = f"{PRICES}.{model}" if named else f"a model of {PRICES}"
    if error["type"] == "value_error":
        return f"{key} {error['ctx']['error']}"
    if not below:
        return f"{key} {price_setting(model).demand()}{shown(key, error['input'])}"
    if below[0] not in PRICE_FIELDS:
        near = closest(below[0], PRICE_FIELDS)
        return f"{key} has a price of something unknown; " + (
            f"did you mean {near}?" if near else f"there are {', '.join(PRICE_FIELDS)}"
        )
    demand = f"must be a number of US dollars from 0 to {HIGHEST_USD}"
    return f"{key}: {below[0]} {demand}{shown(key, error['input'])}"


def _unknown(path: tuple[str, ...]) -> str:
    name = path[-1]
    if len(name) > 40 or not name.isprintable() or looks_secret(name):
        return "there is no setting of this name"
    if len(path) == 1:
        near = closest(name, SECTIONS)
        if near is None and (belongs := alternatives(name)) and "." not in name:
            return f"there is no section {name}; did you mean {belongs}?"
        return f"there is no section {name}" + (f"; did you mean {near}?" if near else f"; sections are {_sections()}")
    near = closest(name, [s.name for s in SETTINGS.values() if s.section == path[0]])
    meant = f"{path[0]}.{near}" if near else alternatives(".".join(path))
    return f"there is no setting {'.'.join(path)}" + (f"; did you mean {meant}?" if meant else "")


def _sections() -> str:
    return ", ".join(SECTIONS)
