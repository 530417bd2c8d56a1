"""From bytes to a plan; each step refuses by one sentence and writes nothing."""

import json

import pytest

from codex_manager.accounts.errors import ImportConflictError, ImportRefusedError
from codex_manager.accounts.importing import FILE_MAX, parcel_of, planned, preview_of, refuse_local_keys, text_of
from codex_manager.core.secret import Secret
from codex_manager.vault.store import new_account


STORED = [new_account("work", Secret("sk-work"))]
PARCEL = parcel_of(
    json.dumps([{"label": "Work", "api_key": "sk-other", "colour": 1}, {"label": "lab", "api_key": "sk-lab"}])
)


def test_a_byte_order_mark_is_no_part_of_the_text():
    assert text_of(b"\xef\xbb\xbf[]") == "[]"


def test_a_file_beyond_reason_is_refused():
    with pytest.raises(ImportRefusedError, match="larger than 64 MiB"):
        text_of(b" " * (FILE_MAX + 1))


@pytest.mark.parametrize(
    ("wish", "added", "replaced", "skipped"),
    [("skip", ("lab",), (), ("Work",)), ("replace", ("lab",), ("Work",), ()), ("rename", ("Work (2)", "lab"), (), ())],
)
def test_a_preview_names_everybody_once(wish, added, replaced, skipped):
    seen = preview_of(planned(STORED, PARCEL, wish), PARCEL)
    assert (seen.added, seen.replaced, seen.skipped, seen.ignored) == (added, replaced, skipped, ("colour",))


def test_a_conflict_nobody_decided_about_says_what_can_be_chosen():
    with pytest.raises(ImportConflictError) as caught:
        planned(STORED, PARCEL, None)
    assert "skip, replace or rename" in str(caught.value.hint)


def test_a_local_key_is_refused_by_the_number_of_its_account():
    with pytest.raises(ImportRefusedError, match="account 2 has a local key"):
        refuse_local_keys([Secret("sk-lab")], PARCEL)
