"""Secrets at rest: the encrypted account store, its master key, its care.

Names are loaded when they are used, so that a module which needs only the errors does not load the cryptography.
"""

import importlib

from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from codex_manager.vault.kdf import CHEAPEST, RFC_9106_LOW_MEMORY
    from codex_manager.vault.masterkey import (
        MasterKey,
        create_vault,
        forget,
        keep,
        kept,
        new_master_key,
        open_vault,
        rekey,
        resolve,
    )
    from codex_manager.vault.process import harden
    from codex_manager.vault.store import ClientKey, Vault, has_vault, new_account
    from codex_manager.vault.upkeep import Report, is_locked, lock, read_header, unlock

__all__ = [
    "CHEAPEST", "RFC_9106_LOW_MEMORY", "ClientKey", "MasterKey", "Report", "Vault", "create_vault", "forget", "harden",
    "has_vault", "is_locked", "keep", "kept", "lock", "new_account", "new_master_key", "open_vault", "read_header",
    "rekey", "resolve", "unlock",
]  # fmt: skip

_HOMES = {
    "kdf": ("CHEAPEST", "RFC_9106_LOW_MEMORY"),
    "masterkey": (
        "MasterKey", "create_vault", "forget", "keep", "kept", "new_master_key", "open_vault", "rekey", "resolve",
    ),
    "process": ("harden",),
    "store": ("ClientKey", "Vault", "has_vault", "new_account"),
    "upkeep": ("Report", "is_locked", "lock", "read_header", "unlock"),
}  # fmt: skip


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
