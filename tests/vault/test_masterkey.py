"""In which order a master key is looked for, and what is said when there is none."""

import keyring
import pytest

from keyring.backend import KeyringBackend

from codex_manager.core.secret import Secret
from codex_manager.vault import (
    CHEAPEST,
    Vault,
    create_vault,
    is_locked,
    kept,
    new_master_key,
    open_vault,
    rekey,
    resolve,
)
from codex_manager.vault.errors import (
    CredentialError,
    NoMasterKeyError,
    VaultExistsError,
    VaultLockedError,
    VaultMissingError,
    WrongKeyError,
)


KEY = Secret("a master key for tests only")


class MemoryBackend(KeyringBackend):
    """A backend of the keyring library that keeps secrets while the test runs."""

    priority = 0.1

    def __init__(self):
        super().__init__()
        self.held = {}

    def get_password(self, service, username):
        return self.held.get((service, username))

    def set_password(self, service, username, password):
        self.held[service, username] = password

    def delete_password(self, service, username):
        del self.held[service, username]


@pytest.fixture
def held():
    """The keyring of this session, empty; afterwards the one there was."""
    before, backend = keyring.get_keyring(), MemoryBackend()
    keyring.set_keyring(backend)
    yield backend.held
    keyring.set_keyring(before)


def typing(*texts):
    """A prompt whose answers are known, and the questions it was asked."""
    answers, asked = iter(texts), []

    def prompt(question):
        asked.append(question)
        return next(answers)

    return prompt, asked


def nobody(question):
    pytest.fail(f"asked for {question}")


@pytest.mark.parametrize(
    ("environment", "in_keyring", "typed", "source"),
    [
        (True, True, True, "environment"),
        (True, False, False, "environment"),
        (False, True, True, "keyring"),
        (False, True, False, "keyring"),
        (False, False, True, "prompt"),
        (False, False, False, None),
    ],
)
def test_the_order_is_environment_keyring_prompt(vault, vault_file, held, environment, in_keyring, typed, source):
    if in_keyring:
        held["codex-manager", vault.header.keyring_name] = "of keyring"
    environ = {"CAM_MASTER_KEY": "of environment"} if environment else {"CAM_MASTER_KEY": ""}
    prompt = typing("of prompt")[0] if typed else None
    if source is None:
        with pytest.raises(NoMasterKeyError) as caught:
            resolve(vault_file, environ=environ, prompt=prompt)
        message = str(caught.value)
        assert "CAM_MASTER_KEY" in message
        assert "keyring" in message
        assert "terminal" in message
        assert caught.value.exit_code == 3
    else:
        found = resolve(vault_file, environ=environ, prompt=prompt)
        assert (found.source, found.secret.reveal()) == (source, f"of {source}")


@pytest.fixture
def handed(tmp_path):
    """What systemd hands a service, as it does: a folder that only this service can read."""
    folder = tmp_path / "credentials"
    folder.mkdir()
    return folder


def test_what_systemd_hands_over_comes_before_the_keyring(vault, vault_file, held, handed):
    held["codex-manager", vault.header.keyring_name] = "of keyring"
    environ = {"CREDENTIALS_DIRECTORY": str(handed)}
    assert resolve(vault_file, environ=environ, prompt=nobody).source == "keyring"  # credentials, but none of ours
    (handed / "master-key").write_text("of credential\n")
    found = resolve(vault_file, environ=environ, prompt=nobody)
    assert (found.source, found.secret.reveal()) == ("credential", "of credential")
    assert resolve(vault_file, environ={**environ, "CAM_MASTER_KEY": "k"}, prompt=nobody).source == "environment"


def test_a_vault_made_by_a_service_has_the_key_it_will_be_handed_again(vault_file, held, handed):
    (handed / "master-key").write_text(KEY.reveal())
    environ = {"CREDENTIALS_DIRECTORY": str(handed)}
    vault, source = create_vault(vault_file, environ=environ, prompt=nobody, profile=CHEAPEST)
    vault.close()
    assert (source, held) == ("credential", {})
    open_vault(vault_file, environ=environ, prompt=nobody).close()


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", b"k" * 4097, None])
def test_a_credential_that_cannot_be_a_key_is_told_and_not_passed_over(vault, vault_file, held, handed, content):
    held["codex-manager", vault.header.keyring_name] = KEY.reveal()
    if content is None:
        (handed / "master-key").mkdir()
    else:
        (handed / "master-key").write_bytes(content)
    with pytest.raises(CredentialError, match=r"the master key in .*master-key") as caught:
        resolve(vault_file, environ={"CREDENTIALS_DIRECTORY": str(handed)}, prompt=nobody)
    assert caught.value.exit_code == 3


def test_an_empty_answer_is_no_key(vault, vault_file, held):
    with pytest.raises(NoMasterKeyError, match="nothing was typed"):
        resolve(vault_file, environ={}, prompt=typing("")[0])


def test_a_key_in_the_keyring_is_not_asked_when_the_environment_has_one(vault, vault_file, held):
    """A wrong one there is a wrong key, not a reason to look further."""
    held["codex-manager", vault.header.keyring_name] = KEY.reveal()
    with pytest.raises(WrongKeyError):
        open_vault(vault_file, environ={"CAM_MASTER_KEY": "wrong"}, prompt=nobody)


def test_without_a_vault_nothing_is_asked(vault_file, held):
    with pytest.raises(VaultMissingError):
        resolve(vault_file, environ={}, prompt=nobody)


def test_a_locked_vault_asks_only_to_unlock(vault, vault_file, held):
    vault.lock()
    with pytest.raises(VaultLockedError):
        resolve(vault_file, environ={"CAM_MASTER_KEY": "k"}, prompt=nobody)
    assert resolve(vault_file, environ={}, prompt=typing("k")[0], even_locked=True).source == "prompt"
    assert is_locked(vault_file)


def test_creation_takes_the_environment_first(vault_file, held):
    """And leaves the keyring alone then."""
    vault, source = create_vault(vault_file, environ={"CAM_MASTER_KEY": "k"}, prompt=nobody, profile=CHEAPEST)
    vault.close()
    assert (source, held) == ("environment", {})
    Vault.open(vault_file, Secret("k")).close()


def test_creation_keeps_a_random_key_in_the_keyring(vault_file, held):
    vault, source = create_vault(vault_file, environ={}, prompt=nobody, profile=CHEAPEST)
    vault.close()
    assert source == "keyring"
    assert list(held) == [("codex-manager", vault.header.keyring_name)]
    assert kept(vault_file)
    open_vault(vault_file, environ={}, prompt=nobody).close()


def test_creation_asks_twice_when_there_is_no_keyring(vault_file, monkeypatch):
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    before = keyring.get_keyring()
    keyring.core.init_backend()
    try:
        prompt, asked = typing("typed", "tpyed")
        with pytest.raises(NoMasterKeyError, match="not the same"):
            create_vault(vault_file, environ={}, prompt=prompt, profile=CHEAPEST)
        assert not vault_file.exists()
        prompt, asked = typing("typed", "typed")
        vault, source = create_vault(vault_file, environ={}, prompt=prompt, profile=CHEAPEST)
        vault.close()
        assert (source, asked) == ("prompt", ["new master key", "new master key, once more"])
        assert not kept(vault_file)
    finally:
        keyring.set_keyring(before)
    Vault.open(vault_file, Secret("typed")).close()


def test_a_second_creation_leaves_vault_and_keyring_alone(vault_file, held):
    create_vault(vault_file, environ={}, prompt=nobody, profile=CHEAPEST)[0].close()
    before = dict(held)
    with pytest.raises(VaultExistsError):
        create_vault(vault_file, environ={}, prompt=nobody, profile=CHEAPEST)
    assert held == before


def test_rekey_leaves_a_keyring_alone_that_never_had_the_key(vault, vault_file, held):
    assert rekey(vault, Secret("typed"), profile=CHEAPEST) is None
    assert held == {}
    Vault.open(vault_file, Secret("typed")).close()


def test_a_new_master_key_has_256_bits():
    keys = {new_master_key().reveal() for _ in range(100)}
    assert {len(key) for key in keys} == {43}
    assert len(keys) == 100
