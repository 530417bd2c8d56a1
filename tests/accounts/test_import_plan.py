"""What an import will do, decided before anything is written."""

import json

import pytest

from codex_manager.accounts.import_plan import ConflictError, plan
from codex_manager.accounts.transfer_format import parse
from codex_manager.core.secret import Secret
from codex_manager.vault.store import new_account


def stored(label, key):
    return new_account(label, Secret(key))


def drafts(*records):
    return parse(json.dumps([dict(zip(("label", "api_key", "id"), record, strict=False)) for record in records])).drafts


def summary(decided):
    return (
        [(addition.label, addition.id is not None) for addition in decided.add],
        [(draft.label, account.label) for draft, account in decided.replace],
        [(draft.label, account.label, reason) for draft, account, reason in decided.skip],
    )


WORK, HOME = stored("work", "sk-work"), stored("home", "sk-home")
NEW = ("new", "sk-new")
SAME_LABEL = ("WORK", "sk-other")
SAME_KEY = ("other", "sk-work")
SAME_ID = ("third", "sk-third", WORK.id)


@pytest.mark.parametrize(
    ("incoming", "wish", "expected"),
    [
        ([NEW], None, ([("new", False)], [], [])),
        ([NEW, SAME_LABEL], "skip", ([("new", False)], [], [("WORK", "work", "same label")])),
        ([SAME_KEY], "skip", ([], [], [("other", "work", "same API key")])),
        ([SAME_ID], "skip", ([], [], [("third", "work", "same id")])),
        ([SAME_LABEL], "replace", ([], [("WORK", "work")], [])),
        ([SAME_KEY], "replace", ([], [("other", "work")], [])),
        ([SAME_ID], "replace", ([], [("third", "work")], [])),
        ([SAME_LABEL], "rename", ([("WORK (2)", False)], [], [])),
        ([SAME_LABEL, ("work (2)", "sk-2")], "rename", ([("WORK (3)", False), ("work (2)", False)], [], [])),
        ([SAME_ID], "rename", ([("third", False)], [], [])),
        ([SAME_KEY], "rename", ([], [], [("other", "work", "same API key")])),
        ([("fresh", "sk-f", "0b0e5d6e-43f4-4f0e-9d4b-3f1f0f8f8a11")], None, ([("fresh", True)], [], [])),
    ],
)
def test_the_plan(incoming, wish, expected):
    assert summary(plan([WORK, HOME], drafts(*incoming), wish)) == expected


def test_without_a_wish_every_conflict_is_named():
    with pytest.raises(ConflictError, match=r"'WORK' \(same label\), 'other' \(same API key as 'work'\)"):
        plan([WORK, HOME], drafts(SAME_LABEL, SAME_KEY), None)


def test_an_account_that_collides_with_two_is_not_guessed():
    with pytest.raises(ConflictError, match="both 'work' and 'home'"):
        plan([WORK, HOME], drafts(("work", "sk-home")), "replace")


def test_two_incoming_accounts_never_replace_the_same_one():
    with pytest.raises(ConflictError, match="accounts 1 and 2 of the file would both replace 'work'"):
        plan([WORK, HOME], drafts(SAME_LABEL, SAME_KEY), "replace")


def test_a_renamed_label_stays_within_its_bounds():
    long = "x" * 64
    decided = plan([stored(long, "sk-1")], drafts((long, "sk-2")), "rename")
    assert decided.add[0].label == "x" * 60 + " (2)"
