"""A new vault, and a word on where its key is."""

from collections.abc import Callable, Mapping

from codex_manager.accounts.notes import Note
from codex_manager.config.paths import Paths
from codex_manager.vault import masterkey
from codex_manager.vault.store import Vault


__all__ = ["made"]


def made(paths: Paths, environ: Mapping[str, str], prompt: Callable[[str], str] | None) -> tuple[Vault, Note]:
    """Make it where there is none; `prompt` None: nobody can be asked for a master key.

    Raises:
        VaultError: no key, no place, or another process was faster (VaultExistsError).
    """
    vault, source = masterkey.create_vault(paths.vault_file, environ=environ, prompt=prompt)
    where = {
        "environment": f"its key is what {masterkey.VARIABLE} holds: keep that, nothing opens the vault without it",
        "credential": "its key is what systemd hands to the service: keep that, nothing opens the vault without it",
        "keyring": "its key is a random one, kept in this system's keyring",
        "prompt": "its key is what you typed: remember it, nothing opens the vault without it",
    }[source]
    return vault, Note(f"made the vault {paths.vault_file}; {where}")
