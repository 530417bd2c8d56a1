"""A vault that is made on the way says where its key is."""

import os

import pytest

from tests.accounts.desk_rig import MASTER_KEY

from codex_manager.accounts.making import made
from codex_manager.config.paths import Paths
from codex_manager.vault.errors import NoMasterKeyError


def test_it_says_where_its_key_is_and_not_what_it_is(master_key):
    vault, note = made(Paths.locate(), os.environ, None)
    vault.close()
    assert "its key is what CAM_MASTER_KEY holds" in note.text
    assert MASTER_KEY not in note.text


def test_without_a_key_nothing_is_made(master_key):
    with pytest.raises(NoMasterKeyError):
        made(Paths.locate(), {}, None)
    assert not Paths.locate().vault_file.exists()
