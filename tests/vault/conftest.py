"""Vaults with the cheapest key derivation there is; how costly the real one is has a test of its own."""

import os
import subprocess
import sys
import textwrap

import pytest

from codex_manager.core.secret import Secret
from codex_manager.vault import CHEAPEST, Vault, new_account


KEY = Secret("a master key for tests only")


@pytest.fixture
def vault_file(isolated_home):
    return isolated_home / "vault.db"


@pytest.fixture
def vault(vault_file):
    with Vault.create(vault_file, KEY, profile=CHEAPEST) as vault:
        yield vault


@pytest.fixture
def filled(vault):
    """Three accounts, one of them pinned, and two client keys."""
    for label in ("Personal", "Work", "Client"):
        account = new_account(label, Secret(f"sk-canary-{label}"), organization=f"org-canary-{label}", tags=("a",))
        vault.add(account)
    vault.pin(vault.account("Work").id)
    vault.add_client_key("laptop")
    vault.add_client_key("ci")
    return vault


@pytest.fixture
def elsewhere(vault_file):
    """Run Python in another process that has `vault` open; returns what it printed."""

    def run(code: str, *, key: str = KEY.reveal(), check: bool = True) -> str:
        program = textwrap.dedent("""
            import os, sys
            from pathlib import Path
            from codex_manager.core.secret import Secret
            from codex_manager.vault import *
            path = Path(os.environ["TEST_VAULT"])
            vault = Vault.open(path, Secret(os.environ["TEST_KEY"]))
        """) + textwrap.dedent(code)
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "TEST_VAULT": str(vault_file), "TEST_KEY": key},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        if check:
            assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr if not check else done.stdout

    return run
