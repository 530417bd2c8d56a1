"""A limit is held by the proxy, so a configuration that turns counting off deserves a word when one is set.

Light to import: the configuration is loaded when there is a limit to speak of.
"""

from collections.abc import Mapping
from typing import Any, Final

from codex_manager.accounts.notes import Note
from codex_manager.config.errors import ConfigError
from codex_manager.config.paths import Paths


__all__ = ["LIMITS", "unheld"]

LIMITS: Final = ("daily_limit_usd", "monthly_limit_usd")


def unheld(paths: Paths, environ: Mapping[str, str], fields: Mapping[str, Any]) -> Note | None:
    """The word, where a limit is given and the configuration says that nothing is counted."""
    if all(fields.get(name) is None for name in LIMITS):
        return None
    from codex_manager.config.load import load

    try:
        held = load(paths, environ).metering.enabled
    except ConfigError:  # told by whoever needs the configuration
        return None
    if held:
        return None
    return Note(
        "no limit is held while `metering.enabled` is false: turn it on with `codex-manager config set metering.enabled true`",
        is_warning=True,
    )
