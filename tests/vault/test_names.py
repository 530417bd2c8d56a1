"""How an identifier finds its account."""

import pytest

from codex_manager.core.account import Account
from codex_manager.core.secret import Secret
from codex_manager.vault.errors import AccountNotFoundError, AmbiguousIdentifierError, LabelRefusedError
from codex_manager.vault.names import checked_label, find, folded


ACCOUNTS = [
    Account(id="aaaa-1", label="Work", api_key=Secret("x")),
    Account(id="aaab-2", label="Workshop", api_key=Secret("x")),
    Account(id="bbbb-3", label="aaab-2", api_key=Secret("x")),
    Account(id="cccc-4", label="Straße", api_key=Secret("x")),
]


@pytest.mark.parametrize(
    ("identifier", "found"),
    [
        ("work", "aaaa-1"),  # exact beats the prefix of Workshop
        ("works", "aaab-2"),
        ("AAAA-1", "aaaa-1"),
        ("aaab-2", "bbbb-3"),  # a label beats an id
        ("bbbb", "bbbb-3"),
        ("STRASSE", "cccc-4"),
        (" cccc-4 ", "cccc-4"),
        ("wor", AmbiguousIdentifierError),
        ("aaa", AmbiguousIdentifierError),
        ("", AccountNotFoundError),
        ("zz", AccountNotFoundError),
        ("ork", AccountNotFoundError),
    ],
)
def test_what_an_identifier_finds(identifier, found):
    if isinstance(found, str):
        assert find(identifier, ACCOUNTS).id == found
    else:
        with pytest.raises(found):
            find(identifier, ACCOUNTS)


def test_an_empty_vault_tells_how_to_add_an_account():
    with pytest.raises(AccountNotFoundError) as caught:
        find("work", [])
    assert caught.value.hint == "add one with `codex-manager add`"


def test_composed_and_decomposed_labels_are_the_same():
    assert folded("Mu\N{COMBINING DIAERESIS}ller") == folded("MÜLLER")
    assert checked_label("Mu\N{COMBINING DIAERESIS}ller") == "Müller"


@pytest.mark.parametrize("label", ["\ud800", "a\u2028b", "\u200b", "\t", "x\x7fy"])
def test_labels_that_cannot_be_shown(label):
    with pytest.raises(LabelRefusedError):
        checked_label(label)
