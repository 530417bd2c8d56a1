"""Settings from the environment: `CODEX_MANAGER__ROUTING__STRATEGY=priority`.

Law: a value is read as YAML would read it, except that a setting which is text takes it as it stands; an empty variable
counts as not set; a variable that names no setting is an error, because a typo must not be silent.
"""

from collections.abc import Mapping
from typing import Any

import yaml

from codex_manager.config.catalogue import SETTINGS, VARIABLE_PREFIX, Setting, closest
from codex_manager.config.errors import ConfigError


__all__ = ["overrides", "value_from_text"]


def overrides(environ: Mapping[str, str]) -> dict[str, Any]:
    """Values by dotted key.

    Raises:
        ConfigError: a variable with our prefix names no setting, or its value is no YAML.
    """
    by_variable = {setting.variable: setting for setting in SETTINGS.values()}
    values = {}
    for variable, text in environ.items():
        if not variable.startswith(VARIABLE_PREFIX):
            continue
        setting = by_variable.get(variable)
        if setting is None:
            lowered = {name.lower(): name for name in by_variable}
            near = lowered.get(closest(variable, lowered) or "")
            raise ConfigError(
                f"environment variable {variable[:80]} names no setting",
                hint=f"did you mean {near}?" if near else "docs/configuration.md lists them all",
            )
        if text.strip():
            try:
                values[setting.key] = value_from_text(setting, text)
            except ValueError as error:
                raise ConfigError(
                    f"environment variable {variable} {error}", hint=f"unset {variable}, or mend it"
                ) from None
    return values


def value_from_text(setting: Setting, text: str) -> Any:
    """A value typed by a person, for this setting.

    Raises:
        ValueError: it is not even YAML; reads after the name of the setting and repeats nothing of the text.
    """
    text = text.strip()
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        if setting.kind == "text":
            return text  # [::1]:8080, or a key that starts with * or !
        raise ValueError(setting.demand()) from None
    if setting.kind == "text":
        return value if isinstance(value, str) or (value is None and setting.nullable) else text
    if setting.kind == "list" and isinstance(value, str):
        return [word.strip() for word in value.split(",")]
    return value
