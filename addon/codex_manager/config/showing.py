"""How a setting's value may be shown to somebody: on a terminal, on a page.

Pure. Law: a key that is not one of the well-known defaults shows its last four characters at most; an address shows no
password.
"""

import re

from typing import Any

from codex_manager.config.schema import DEFAULT_LOCAL_KEYS
from codex_manager.core.secret import Secret


__all__ = ["shown"]


def shown(key: str, value: Any) -> Any:
    """The value of the setting with this dotted key, fit for showing."""
    if isinstance(value, Secret):
        known = next((default for default in DEFAULT_LOCAL_KEYS if Secret(default) == value), None)
        return known or value.hint()
    if key == "upstream.proxy" and isinstance(value, str):
        return re.sub(r"//[^/]*@", "//…@", value)  # a user name and password for the company's proxy
    return value
