"""Secrets at rest: the encrypted account store, its master key, its care."""

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
from codex_manager.vault.restore import restore
from codex_manager.vault.store import ClientKey, Vault, has_vault, new_account
from codex_manager.vault.upkeep import Report, is_locked, lock, read_header, unlock


__all__ = [
    "CHEAPEST", "RFC_9106_LOW_MEMORY", "ClientKey", "MasterKey", "Report", "Vault", "create_vault", "forget", "harden",
    "has_vault", "is_locked", "keep", "kept", "lock", "new_account", "new_master_key", "open_vault", "read_header", "rekey", "resolve",
    "restore", "unlock",
]  # fmt: skip
