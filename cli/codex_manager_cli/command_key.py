"""The client key of one command: made when it starts, revoked when it ends, cleared away later if that failed.

Knows the vault and the notes of commands under way (config.tenancy). Law: a key is noted before the vault keeps it, so
whatever kills us, the next command finds it and revokes it; a note goes only after its key is gone.
"""

from pathlib import Path

from codex_manager.config import tenancy
from codex_manager.core.errors import CodexManagerError
from codex_manager.core.secret import Secret
from codex_manager.vault.codec import ClientKey
from codex_manager.vault.errors import ClientKeyNotFoundError, KeyNameTakenError
from codex_manager.vault.store import Vault
from codex_manager_cli.talk import warn


__all__ = ["clear_remains", "issue", "revoke"]

NAME_MAX = 80
"""Characters; the vault takes 100, and a number may follow."""


def issue(vault: Vault, tenant: tenancy.Tenant, program: str) -> tuple[ClientKey, Secret]:
    """A key named after the program: usage is reported under this name, so only parallel runs of one get a number."""
    shown = "".join(character if character.isprintable() else "?" for character in program)
    base = f"run {shown}"[:NAME_MAX].strip()
    number = 1
    while True:
        name = base if number == 1 else f"{base} {number}"
        try:
            with vault.transaction():
                key, secret = vault.add_client_key(name)
                tenant.note(key.id)
        except KeyNameTakenError:
            number += 1
        else:
            return key, secret


def revoke(vault: Vault, tenant: tenancy.Tenant, key: ClientKey) -> None:
    """End the key, and with it this process's use of the proxy. Never raises what the vault can say."""
    cleared = False
    try:
        cleared = _revoked(vault, key.id)
    except CodexManagerError as error:
        warn(f"the key {key.name!r} could not be revoked ({error}); the next `codex-manager run` does it")
    tenant.leave(cleared=cleared)


def clear_remains(vault: Vault, data_folder: Path) -> int:
    """Revoke the keys of commands that were killed; how many there were."""
    cleared = 0
    with tenancy.remains(data_folder) as left:
        for each in left:
            if each.client_key is not None:
                cleared += _revoked(vault, each.client_key)
            each.clear()
    return cleared


def _revoked(vault: Vault, key_id: str) -> bool:
    """True: the key is gone, now or before."""
    try:
        vault.revoke_client_key(key_id)
    except ClientKeyNotFoundError:
        return True
    return True
