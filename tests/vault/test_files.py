"""Private from the first moment."""

import os
import stat

import pytest

from codex_manager.vault.errors import VaultUnwritableError
from codex_manager.vault.files import create_private, make_private_dirs, others_may_read, timestamp


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_modes_do_not_depend_on_the_umask(tmp_path, umask):
    before = os.umask(umask)
    try:
        make_private_dirs(tmp_path / "a" / "b")
        create_private(tmp_path / "a" / "b" / "file")
    finally:
        os.umask(before)
    assert [mode(tmp_path / "a"), mode(tmp_path / "a" / "b"), mode(tmp_path / "a" / "b" / "file")] == [
        0o700,
        0o700,
        0o600,
    ]


def test_existing_directories_are_left_as_they_are(tmp_path):
    (tmp_path / "mine").mkdir(mode=0o755)
    make_private_dirs(tmp_path / "mine" / "new")
    assert mode(tmp_path / "mine") == 0o755


def test_an_existing_file_or_link_is_never_taken(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "target")
    for name in ("link", "link"):
        with pytest.raises(FileExistsError):
            create_private(tmp_path / name)
    assert not (tmp_path / "target").exists()


def test_what_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(VaultUnwritableError, match="cannot be made: not a directory"):
        make_private_dirs(tmp_path / "file" / "x" / "y")


def test_who_may_read(tmp_path):
    create_private(tmp_path / "file")
    assert not others_may_read(tmp_path / "file")
    (tmp_path / "file").chmod(0o640)
    assert others_may_read(tmp_path / "file")


def test_timestamps_sort_as_time_does():
    stamps = [timestamp() for _ in range(100)]
    assert stamps == sorted(stamps)
    assert len(stamps[0]) == len("2026-01-01T00:00:00.000000Z")
