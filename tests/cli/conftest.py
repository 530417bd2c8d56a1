"""A vault with three accounts, made with the cheapest key derivation; the command line finds its key as a user's does."""

import pytest

from tests.cli import console

from codex_manager.core.secret import Secret
from codex_manager.vault.store import new_account


KEYS = {label: f"sk-{label.lower()}-0123456789abcdef" for label in ("Personal", "Work", "Client")}


@pytest.fixture
def master_key(monkeypatch):
    """CAM_MASTER_KEY is set; there is no vault yet."""
    monkeypatch.setenv("CAM_MASTER_KEY", console.MASTER_KEY)
    return console.MASTER_KEY


@pytest.fixture
def accounts(master_key):
    """Personal, Work and Client, with keys as in KEYS."""
    made = {label: new_account(label, Secret(key), organization=f"org-{label.lower()}") for label, key in KEYS.items()}
    console.stored(*made.values())
    return made
