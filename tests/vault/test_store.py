"""Accounts, client keys and the pin."""

import hashlib

import pytest

from codex_manager.core.secret import Secret
from codex_manager.vault import Vault, new_account
from codex_manager.vault.errors import (
    AccountNotFoundError,
    AmbiguousIdentifierError,
    ClientKeyNotFoundError,
    KeyNameTakenError,
    LabelRefusedError,
    LabelTakenError,
    VaultClosedError,
    VaultExistsError,
)


def test_a_new_account_has_an_id_and_times(vault):
    """And what is stored is what was given."""
    account = vault.add(new_account("  Work ", Secret("sk-x"), priority=4, models=("gpt-*",)))
    assert (account.label, account.priority, account.models) == ("Work", 4, ("gpt-*",))
    assert account.created_at == account.updated_at
    assert account.created_at.endswith("Z")
    assert vault.accounts() == [account]


def test_accounts_come_oldest_first(vault):
    labels = [f"{n}" for n in range(30)]
    for label in labels:
        vault.add(new_account(label, Secret("sk-x")))
    assert [account.label for account in vault.accounts()] == labels


@pytest.mark.parametrize("label", ["work", " WORK ", "Work"])
def test_a_label_is_unique_without_regard_to_case(filled, label):
    with pytest.raises(LabelTakenError, match="there is an account labelled 'Work' already"):
        filled.add(new_account(label, Secret("sk-x")))
    with pytest.raises(LabelTakenError):
        filled.edit("personal", label=label)
    assert len(filled.accounts()) == 3


def test_an_account_may_change_the_case_of_its_own_label(filled):
    assert filled.edit("work", label="WORK").label == "WORK"


@pytest.mark.parametrize("label", ["", "   ", "a\nb", "a\x1b[31m", "a\u202eb", "x" * 101, "a\x00"])
def test_a_label_that_cannot_be_shown_is_refused(vault, label):
    with pytest.raises(LabelRefusedError):
        vault.add(new_account(label, Secret("sk-x")))
    assert vault.accounts() == []


def test_an_account_is_found_by_label_id_and_unique_prefix_of_either(filled):
    work = filled.account("wOrK")
    assert filled.account(work.id) == work
    assert filled.account("wo") == work
    assert filled.account(work.id[:8].upper()) == work


def test_an_unknown_name_lists_the_known_ones(filled):
    with pytest.raises(AccountNotFoundError, match="there is no account 'nobody'") as caught:
        filled.account("nobody")
    assert caught.value.hint == "the accounts are: Personal, Work, Client"


def test_an_ambiguous_prefix_names_its_candidates(filled):
    filled.add(new_account("Workshop", Secret("sk-x")))
    assert filled.account("Work").label == "Work"
    with pytest.raises(AmbiguousIdentifierError, match="fits several accounts: Work, Workshop") as caught:
        filled.account("wor")
    assert caught.value.candidates == ("Work", "Workshop")


def test_update_sets_the_time_and_edit_changes_only_what_it_is_given(filled):
    before = filled.account("work")
    filled.update(before.replace(priority=5))
    after = filled.edit("work", notes="n")
    assert (after.priority, after.notes, after.created_at) == (5, "n", before.created_at)
    assert after.updated_at > before.updated_at


def test_updating_a_removed_account_says_so(filled):
    account = filled.account("work")
    filled.remove("work")
    with pytest.raises(AccountNotFoundError, match="not in the vault any more"):
        filled.update(account)
    assert len(filled.accounts()) == 2


def test_fields_of_a_later_version_survive_an_update(filled):
    """A newer codex-manager may share the vault."""
    account = filled.account("work")
    with filled._writing() as records:
        payload = records.get("account", account.id)
        records.put("account", account.id, {**payload, "from_the_future": {"a": [1, 2]}})
    filled.edit("work", priority=8)
    with filled._reading() as records:
        assert records.get("account", account.id)["from_the_future"] == {"a": [1, 2]}
    assert filled.account("work").priority == 8


def test_the_pin_goes_with_its_account(filled):
    assert filled.pinned_account() == filled.account("work").id
    filled.remove("client")
    assert filled.pinned_account() is not None
    filled.remove("work")
    assert filled.pinned_account() is None


def test_only_an_account_can_be_pinned(filled):
    with pytest.raises(AccountNotFoundError):
        filled.pin("00000000-0000-0000-0000-000000000000")
    filled.pin(None)
    assert filled.pinned_account() is None


def test_a_client_key_is_shown_once_and_kept_as_a_digest(vault, vault_file):
    key, secret = vault.add_client_key("laptop")
    assert secret.reveal().startswith("sk-cm-")
    assert len(secret.reveal()) == len("sk-cm-") + 43  # 256 bits in base64url
    assert key.digest == hashlib.sha256(secret.reveal().encode()).digest()
    assert vault.client_keys() == [key]
    with vault._reading() as records:
        assert secret.reveal() not in str(records.all("client_key"))


def test_a_client_key_is_edited_under_its_name_and_keeps_what_it_does_not_know(vault):
    key, _ = vault.add_client_key("laptop", daily_limit_usd=2.0)
    with vault._writing() as records:
        records.put("client_key", key.id, {**records.get("client_key", key.id), "later": 1})
    edited = vault.edit_client_key("LAPTOP", monthly_limit_usd=9.0, models=("o3",))
    assert vault.client_keys() == [edited] == [key.replace(monthly_limit_usd=9.0, models=("o3",))]
    with vault._reading() as records:
        assert records.get("client_key", key.id)["later"] == 1
    with pytest.raises(ClientKeyNotFoundError):
        vault.edit_client_key("phone", daily_limit_usd=1.0)


def test_client_key_names_are_unique_and_can_be_revoked(filled):
    with pytest.raises(KeyNameTakenError):
        filled.add_client_key("LAPTOP")
    assert filled.revoke_client_key("Laptop").name == "laptop"
    assert [key.name for key in filled.client_keys()] == ["ci"]
    with pytest.raises(ClientKeyNotFoundError) as caught:
        filled.revoke_client_key("laptop")
    assert caught.value.hint == "the keys are: ci"


def test_a_transaction_is_all_or_nothing(filled):
    """An import of ten accounts that fails at the fifth changes nothing."""
    with pytest.raises(LabelTakenError), filled.transaction():  # noqa: PT012 - the transaction is what must undo
        filled.add(new_account("One", Secret("sk-x")))
        filled.add(new_account("Work", Secret("sk-x")))
    assert len(filled.accounts()) == 3
    with filled.transaction():
        filled.add(new_account("One", Secret("sk-x")))
        filled.add(new_account("Two", Secret("sk-x")))
    assert len(filled.accounts()) == 5


def test_closing_zeroes_the_keys(filled):
    kek, dek = filled._kek, filled._dek
    assert len(kek) == len(dek) == 32
    filled.close()
    filled.close()
    assert (kek, dek) == (bytearray(), bytearray())
    with pytest.raises(VaultClosedError):
        filled.accounts()


def test_a_second_vault_is_not_made_over_the_first(filled, vault_file):
    before = vault_file.read_bytes()
    with pytest.raises(VaultExistsError):
        Vault.create(vault_file, Secret("other"))
    assert vault_file.read_bytes() == before


def test_neither_repr_shows_more_than_the_path(filled):
    assert repr(filled) == f"<Vault {filled.path}>"
    assert "canary" not in repr([key.digest for key in filled.client_keys()])
    assert "sk-canary" not in repr(filled.accounts())
