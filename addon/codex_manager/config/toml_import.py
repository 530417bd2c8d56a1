"""Taking over settings from another file: the original product's `config.toml`, or a YAML file of ours.

Law: what is taken over is named, what is not is named too; nothing is written here. Values are judged later, by the
schema, as if they had been typed.
"""

import re
import tomllib

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codex_manager.config import document
from codex_manager.config.catalogue import SETTINGS
from codex_manager.config.errors import ConfigError


__all__ = ["Taken", "from_file", "from_toml"]

_SAME = (
    "proxy.bind_addr",
    "proxy.api_key",
    "proxy.openai_base_url",
    "routing.strategy",
    "routing.min_request_interval_ms",
    "polling.enabled",
    "polling.interval_seconds",
    "ui.theme",
)
"""What the original and we call by the same name and mean the same with."""


@dataclass(frozen=True, slots=True)
class Taken:
    """Values to set by dotted key, and the names of what has no place here."""

    values: dict[str, Any]
    left_out: tuple[str, ...]


def from_file(path: Path) -> Taken:
    """The settings of a file, by its ending or, failing that, by what it can be read as.

    Raises:
        ConfigError: it cannot be read, or is neither TOML nor YAML.
    """
    text = document.read_text(path)
    if text is None:
        raise ConfigError(f"there is no file {path}")
    if path.suffix.lower() in {".yaml", ".yml"}:
        return _from_yaml(text, path)
    if path.suffix.lower() == ".toml":
        return from_toml(text, path.name)
    try:
        return from_toml(text, path.name)
    except ConfigError:
        return _from_yaml(text, path)


def from_toml(text: str, name: str) -> Taken:
    """The settings of the original's file.

    Raises:
        ConfigError: it is not TOML.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))  # the message itself may repeat what stands there
        place = f"{name} line {line[1]}" if line else name
        raise ConfigError(f"{place}: this is not TOML", hint="correct it, or set what you need by hand") from None
    except RecursionError:
        raise ConfigError(f"{name} is nested too deeply to be a configuration") from None
    values: dict[str, Any] = {}
    left_out = []
    for section, table in tables.items():
        if not isinstance(table, dict):
            left_out.append(section)
            continue
        for key, value in table.items():
            dotted = f"{section}.{key}"
            if dotted in _SAME and (translated := _translated(dotted, value)) is not None:
                values[dotted] = translated
            else:
                left_out.append(dotted)
    return Taken(values, tuple(left_out))


def _translated(key: str, value: Any) -> Any:
    """Our word for the original's; None when we have none."""
    if not isinstance(value, str) or not SETTINGS[key].choices:
        return value
    word = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", value).lower().replace("-", "_")  # LeastUtilized, least-utilized
    if key == "ui.theme":
        return {"default": "system", "auto": "system"}.get(word, word if word in SETTINGS[key].choices else None)
    return word


def _from_yaml(text: str, path: Path) -> Taken:
    values: dict[str, Any] = {}
    left_out = []
    for section, keys in document.parse(text, path.name).values.items():
        if not isinstance(keys, dict):
            left_out.append(section)
            continue
        for key, value in keys.items():
            dotted = f"{section}.{key}"
            if dotted in SETTINGS:
                values[dotted] = value
            else:
                left_out.append(dotted)
    return Taken(values, tuple(left_out))
