"""The settings as a form has them: one field each, with what is written, where that comes from, and what may be typed.

Pure. Law: a secret's value never leaves this module, not even as somebody has typed it a moment ago; what could send stored keys to a
host of somebody's choice is shown and has no field; only what differs from what the page showed counts as a wish.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from codex_manager.config.catalogue import PRICES, SECTIONS, SETTINGS, Setting, plain_values
from codex_manager.config.load import Loaded, Origin
from codex_manager.config.showing import shown
from codex_manager.config.splice import as_yaml


__all__ = [
    "COMMAND_LINE_ONLY",
    "STRATEGIES",
    "STRATEGY",
    "WAS",
    "Field",
    "fields_of",
    "sections",
    "strategy_field",
    "wishes",
]

_KEYS: Final = "It decides where stored keys are sent, so no web page can change it:"
COMMAND_LINE_ONLY: Final = {
    "proxy.openai_base_url": _KEYS,
    "upstream.proxy": _KEYS,
    "upstream.ca_file": _KEYS,
    "logging.file": "It names a file that is written, so no web page can change it:",
}
"""With the reason: who holds the page's token must neither redirect keys nor write files."""
STRATEGY: Final = "routing.strategy"
"""Has a place of its own on the page."""
STRATEGIES: Final = {
    "least_utilized": "The account with most room left below its limits of money, requests and tokens.",
    "round_robin": "Each account in turn, by its weight.",
    "priority": "The account with the highest priority; the next one only while that cannot serve.",
    "sticky": "Always the same account for a conversation, where its prompt cache is.",
}
WAS: Final = "was:"
"""Beginning of the names of hidden fields that say what the page showed; a change made elsewhere meanwhile is not undone so."""

type Control = Literal["choice", "switch", "text", "number", "list", "secret", "none"]
type Get = Callable[[str], str | None]
"""A value of the form that came, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One setting on the page."""

    setting: Setting
    control: Control
    text: str
    """What the field holds; nothing, for a secret."""
    was: str
    """What is written now; of a secret what may be shown."""
    default: str
    origin: Origin
    error: str | None = None

    @property
    def key(self) -> str:
        return self.setting.key

    @property
    def elsewhere(self) -> str:
        """Why it can be changed by the command line only; empty where it can be changed here."""
        return COMMAND_LINE_ONLY.get(self.key, "")

    @property
    def bounds(self) -> tuple[str, str] | None:
        """Smallest and largest, where there are such."""
        low, high = self.setting.low, self.setting.high
        return None if low is None or high is None else (_plain(low), _plain(high))


def sections() -> list[str]:
    """Those that have fields, in the order of the configuration."""
    return [section for section in SECTIONS if section != PRICES]


def fields_of(
    section: str,
    loaded: Loaded,
    *,
    typed: Mapping[str, str] | None = None,
    errors: Mapping[str, str] | None = None,
) -> list[Field]:
    """The fields of a section; with `typed` they hold what somebody typed, and `errors` what is wrong with it."""
    return [
        _field(setting, loaded, typed or {}, errors or {})
        for setting in SETTINGS.values()
        if setting.section == section and setting.key != STRATEGY
    ]


def strategy_field(loaded: Loaded) -> Field:
    """The one that stands apart."""
    return _field(SETTINGS[STRATEGY], loaded, {}, {})


def wishes(section: str, loaded: Loaded, get: Get) -> tuple[dict[str, str | list[str] | None], dict[str, str]]:
    """What a form that came asks for, as `edit.set_texts` takes it, and all that it held, by key."""
    wanted: dict[str, str | list[str] | None] = {}
    typed: dict[str, str] = {}
    for field in fields_of(section, loaded):
        was = get(WAS + field.key)
        if field.control == "none" or was is None:
            continue
        text = get(field.key) or ""
        if field.control == "switch":
            text = "true" if text else "false"
        typed[field.key] = "" if field.control == "secret" else text
        if _same(text, was) or (field.control == "secret" and not text.strip()):
            continue
        if field.control == "list":
            wanted[field.key] = [word for word in text.replace(",", " ").split() if word]
        else:
            wanted[field.key] = None if field.setting.nullable and not text.strip() else text
    return wanted, typed


def _field(setting: Setting, loaded: Loaded, typed: Mapping[str, str], errors: Mapping[str, str]) -> Field:
    key = setting.key
    was = _text(setting, plain_values(loaded.config)[key])
    origin = loaded.origins[key]
    control = _control(setting, origin)
    text = "" if control == "secret" else typed.get(key, was)
    return Field(
        setting=setting,
        control=control,
        text=text,
        was=was,
        default=_text(setting, setting.default),
        origin=origin,
        error=errors.get(key),
    )


def _control(setting: Setting, origin: Origin) -> Control:
    if origin in {"environment", "command line"} or setting.key in COMMAND_LINE_ONLY:
        return "none"
    if setting.secret:
        return "secret"
    kinds: dict[str, Control] = {
        "choice": "choice",
        "true or false": "switch",
        "list": "list",
        "number": "number",
        "whole number": "number",
    }
    return kinds.get(setting.kind, "text")


def _text(setting: Setting, value: Any) -> str:
    """A value as somebody would type it into the field; of a secret what may be shown."""
    value = shown(setting.key, value)
    if value is None:
        return ""
    if setting.kind == "list":
        return ", ".join(str(each) for each in value)
    if isinstance(value, float):
        return _plain(value)
    return value if isinstance(value, str) else as_yaml(value)


def _same(text: str, was: str) -> bool:
    """Line ends and spaces at the ends are no change."""
    return " ".join(text.split()) == " ".join(was.split())


def _plain(number: float) -> str:
    return str(int(number)) if number == int(number) else str(number)
