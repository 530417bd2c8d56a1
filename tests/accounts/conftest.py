"""A vault's key where a process finds it, and key derivations that cost nothing (tests only)."""

import functools

import pytest

from argon2.profiles import CHEAPEST
from tests.accounts import desk_rig

from codex_manager.testing import in_thread
from codex_manager.vault import masterkey, sealed_file


@pytest.fixture
def master_key(monkeypatch):
    monkeypatch.setenv("CAM_MASTER_KEY", desk_rig.MASTER_KEY)
    monkeypatch.setattr(masterkey, "create_vault", functools.partial(masterkey.create_vault, profile=CHEAPEST))
    monkeypatch.setattr(sealed_file, "seal_text", functools.partial(sealed_file.seal_text, profile=CHEAPEST))


@pytest.fixture
def openai(monkeypatch):
    """A fake OpenAI that knows the keys of the accounts and a new one; the configuration points at it."""
    with in_thread() as fake:
        fake.account(desk_rig.NEW, "org-new", "proj-new")
        for label, key in desk_rig.KEYS.items():
            fake.account(key, f"org-{label.lower()}")
        monkeypatch.setenv("CODEX_MANAGER__PROXY__OPENAI_BASE_URL", fake.base_url)
        yield fake
