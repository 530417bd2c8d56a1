"""A key on its way in: what is said when, and what the configuration can spoil."""

import os

import pytest

from tests.accounts.desk_rig import KEYS, NEW, opened, two

from codex_manager.accounts.errors import KnownLabelError, LocalKeyError
from codex_manager.accounts.intake import Intake, local_keys
from codex_manager.config.paths import Paths
from codex_manager.core.secret import Secret
from codex_manager.vault.store import new_account


@pytest.fixture
def notes():
    return []


@pytest.fixture
def intake(master_key, notes):
    return Intake(Paths.locate(), os.environ, notes.append)


def test_a_named_local_key_is_refused_too(intake):
    two()
    with opened() as vault:
        _, named = vault.add_client_key("laptop")
        with pytest.raises(LocalKeyError):
            intake.refuse_known_key(vault, named)
        intake.refuse_known_key(vault, Secret(KEYS["Work"]), own=vault.account("Work").id)
        intake.refuse_known_label(vault, "work", own=vault.account("Work").id)
        with pytest.raises(KnownLabelError, match="there is an account 'Work' already"):
            intake.refuse_known_label(vault, "work")


def test_what_was_said_comes_in_order_with_its_weight(intake, notes, openai):
    two()
    openai.account("sk-next-0123456789wxyz", "org-work")
    account, organization = intake.ask(new_account("Next", Secret("sk-next-0123456789wxyz")))
    with opened() as vault:
        assert intake.add(vault, account, organization).organization == "org-work"
    assert [(note.text.partition(":")[0], note.is_warning) for note in notes] == [
        ("OpenAI accepts the key", False),
        ("its organization is org-work", False),
        ("'Next' belongs to the same organization as 'Work'", True),
    ]


def test_a_broken_configuration_keeps_no_key_out_and_leaves_the_default_local_keys(intake, notes):
    Paths.locate().make_dirs()
    Paths.locate().config_file.write_text("proxy: [", encoding="utf-8")
    account = new_account("Next", Secret(NEW))
    assert intake.ask(account) == (account, None)
    assert Secret("sk-codex-manager") in local_keys(Paths.locate(), os.environ, notes.append)
    assert [note.is_warning for note in notes] == [True, True]


def test_a_change_leaves_what_another_process_changed(intake):
    two()
    with opened() as ours, opened() as theirs:
        work = ours.account("Work")
        theirs.edit("Work", notes="theirs")
        changed = intake.change(ours, work.id, {"priority": 3})
    assert (changed.notes, changed.priority) == ("theirs", 3)
