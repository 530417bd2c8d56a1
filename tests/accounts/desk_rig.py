"""A desk over a real vault in the test's home, made with the cheapest key derivation."""

import os

from argon2.profiles import CHEAPEST

from codex_manager.accounts.desk import Desk
from codex_manager.config.paths import Paths
from codex_manager.core.secret import Secret
from codex_manager.vault import masterkey
from codex_manager.vault.store import Vault, new_account


MASTER_KEY = "the master key of the tests"
KEYS = {label: f"sk-{label.lower()}-0123456789abcdef" for label in ("Personal", "Work")}
NEW = "sk-new-0123456789wxyz"


def made(*accounts):
    """The vault's file, with these accounts."""
    paths = Paths.locate()
    paths.make_dirs()
    with Vault.create(paths.vault_file, Secret(MASTER_KEY), profile=CHEAPEST) as vault:
        for account in accounts:
            vault.add(account)


def two():
    """Personal and Work."""
    accounts = [new_account(label, Secret(key), organization=f"org-{label.lower()}") for label, key in KEYS.items()]
    made(*accounts)
    return accounts


def opened():
    """The vault, as another process would open it."""
    return masterkey.open_vault(Paths.locate().vault_file, environ=os.environ, prompt=None)


def desk():
    return Desk(Paths.locate(), os.environ, opened)
