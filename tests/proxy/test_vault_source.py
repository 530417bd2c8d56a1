"""Whatever happens to the vault, the running proxy has contents or a sentence, and never writes."""

import shutil

import pytest

from argon2.profiles import CHEAPEST

from codex_manager.core.secret import Secret
from codex_manager.proxy.vault_source import EMPTY, LOCKED, VaultSource
from codex_manager.vault.errors import (
    NoMasterKeyError,
    VaultCorruptError,
    VaultMissingError,
    WrongKeyError,
)
from codex_manager.vault.store import Vault, new_account
from codex_manager.vault.upkeep import unlock


KEY = "the master key"
ENVIRON = {"CAM_MASTER_KEY": KEY, "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}


@pytest.fixture
def file(tmp_path):
    return tmp_path / "vault.db"


@pytest.fixture
def vault(file):
    """The vault as another process holds it."""
    with Vault.create(file, Secret(KEY), profile=CHEAPEST) as vault:
        vault.add(new_account("Personal", Secret("sk-personal")))
        yield vault


@pytest.fixture
def source(file):
    source = VaultSource(file, ENVIRON)
    yield source
    source.close()


def labels(contents) -> list[str]:
    return [account.label for account in contents.accounts]


def test_accounts_keys_and_pin_are_read(vault, source):
    key, secret = vault.add_client_key("laptop")
    vault.pin(vault.account("Personal").id)
    contents = source.open()
    assert labels(contents) == ["Personal"]
    assert contents.pinned == contents.accounts[0].id
    assert [(known.name, known.digest) for known in contents.client_keys] == [("laptop", key.digest)]
    assert secret


def test_limits_and_models_of_client_keys_come_along(vault, source):
    vault.add_client_key("laptop")
    source.open()
    seen = source.look()
    vault.edit_client_key("laptop", daily_limit_usd=2.0, monthly_limit_usd=30.0, models=("gpt-5*",))
    assert source.look() != seen
    (key,) = source.read().client_keys
    assert (key.daily_limit_usd, key.monthly_limit_usd, key.models) == (2.0, 30.0, ("gpt-5*",))


def test_a_change_shows_and_is_read(vault, source):
    source.open()
    seen = source.look()
    assert source.look() == seen
    vault.add(new_account("Work", Secret("sk-work")))
    assert source.look() != seen
    assert labels(source.read()) == ["Personal", "Work"]


def test_a_vault_that_is_not_there_yet_is_read_when_it_appears(file, source):
    assert source.open() == EMPTY
    seen = source.look()
    with Vault.create(file, Secret(KEY), profile=CHEAPEST) as vault:
        vault.add(new_account("First", Secret("sk-first")))
    assert source.look() != seen
    assert labels(source.read()) == ["First"]


def test_locking_drops_the_accounts_and_unlocking_brings_them_back(vault, source):
    source.open()
    vault.lock()
    assert source.read() == LOCKED
    seen = source.look()
    with pytest.raises(Exception, match="locked"):
        vault.accounts()
    unlock(source.file, Secret(KEY))
    assert source.look() != seen
    assert labels(source.read()) == ["Personal"]


def test_a_vault_locked_from_the_start_is_waited_for(vault, source):
    vault.lock()
    assert source.open() == LOCKED
    unlock(source.file, Secret(KEY))
    assert labels(source.read()) == ["Personal"]


def test_a_rotated_vault_is_followed(vault, source):
    source.open()
    vault.rotate()
    vault.add(new_account("Work", Secret("sk-work")))
    assert labels(source.read()) == ["Personal", "Work"]


def test_a_vault_with_a_key_we_do_not_have_says_so(tmp_path, vault, source):
    """Another vault under another key, moved over ours."""
    source.open()
    with Vault.create(tmp_path / "other.db", Secret("another key"), profile=CHEAPEST):
        pass
    shutil.move(tmp_path / "other.db", source.file)
    with pytest.raises(WrongKeyError):
        source.read()


def test_another_vault_under_our_key_is_opened(tmp_path, vault, source):
    source.open()
    with Vault.create(tmp_path / "other.db", Secret(KEY), profile=CHEAPEST) as other:
        other.add(new_account("Other", Secret("sk-other")))
    seen = source.look()
    shutil.move(tmp_path / "other.db", source.file)
    assert source.look() != seen
    assert labels(source.read()) == ["Other"]


def test_a_vault_that_goes_away_is_an_error_and_comes_back(tmp_path, vault, source):
    source.open()
    source.file.rename(tmp_path / "aside.db")
    with pytest.raises(VaultMissingError):
        source.read()
    (tmp_path / "aside.db").rename(source.file)
    assert labels(source.read()) == ["Personal"]


@pytest.mark.parametrize(
    ("environ", "error"),
    [
        (ENVIRON | {"CAM_MASTER_KEY": "wrong"}, WrongKeyError),
        ({"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}, NoMasterKeyError),
    ],
)
def test_without_the_right_key_there_is_no_start(vault, file, environ, error, monkeypatch):
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    with pytest.raises(error) as caught:
        VaultSource(file, environ).open()
    assert caught.value.exit_code == 3


def test_a_damaged_vault_is_no_start(file):
    file.write_bytes(b"this is no database, but it is long enough to look like one" * 20)
    with pytest.raises(VaultCorruptError):
        VaultSource(file, ENVIRON).open()
