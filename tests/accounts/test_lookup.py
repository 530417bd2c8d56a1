"""Who is meant, and who may be meant when nobody is."""

import pytest

from tests.accounts.desk_rig import made, opened

from codex_manager.accounts.lookup import by_id, find
from codex_manager.core.secret import Secret
from codex_manager.vault.errors import AccountNotFoundError, AmbiguousIdentifierError
from codex_manager.vault.store import new_account


@pytest.fixture
def vault(master_key):
    made(*(new_account(f"client {n}", Secret(f"sk-{n}")) for n in range(8)))
    with opened() as vault:
        yield vault


@pytest.mark.parametrize(
    ("identifier", "error", "says", "hint"),
    [
        (
            "client",
            AmbiguousIdentifierError,
            "'client' fits several accounts: 'client 0', ",
            "give the whole label or the id",
        ),
        ("clinet 3", AccountNotFoundError, "there is no account 'clinet 3'", "did you mean 'client 3'?"),
        ("x" * 5000, AccountNotFoundError, "there is no account '" + "x" * 40 + "…'", "and 2 more"),
        ("\x1b[2J", AccountNotFoundError, "there is no account '\\x1b[2J'", "the accounts are 'client 0'"),
    ],
    ids=["several", "near", "long", "hostile"],
)
def test_nobody_is_guessed(identifier, error, says, hint, vault):
    with pytest.raises(error) as caught:
        find(vault, identifier)
    assert str(caught.value).startswith(says)
    assert hint in caught.value.hint


def test_an_id_is_taken_whole(vault):
    account = find(vault, "client 3")
    assert by_id(vault, account.id) == account
    for other in (account.id[:8], "client 3", "sk-proj-0123456789abc"):
        with pytest.raises(AccountNotFoundError) as caught:
            by_id(vault, other)
        assert "0123456789" not in str(caught.value)
