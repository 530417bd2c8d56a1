import stat

from pathlib import Path

import pytest

from codex_manager.config.errors import ConfigError
from codex_manager.config.paths import Paths


def test_one_variable_moves_everything(tmp_path):
    paths = Paths.locate({"CODEX_MANAGER_HOME": str(tmp_path / "a" / ".." / "b")})
    assert paths.config_file == tmp_path / "b" / "config.yaml"
    assert paths.vault_file == tmp_path / "b" / "vault.db"


def test_an_empty_variable_counts_as_not_set():
    assert Paths.locate({"CODEX_MANAGER_HOME": ""}) == Paths.locate({})
    assert Paths.locate({}).config_dir.name == "codex-manager"


def test_a_relative_or_tilde_home_becomes_absolute(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert Paths.locate({"CODEX_MANAGER_HOME": "here"}).data_dir == tmp_path / "here"
    assert Paths.locate({"CODEX_MANAGER_HOME": "~/x"}).data_dir == Path.home() / "x"


def test_folders_are_made_for_their_owner_alone(tmp_path):
    paths = Paths(tmp_path / "c" / "d", tmp_path / "e")
    paths.make_dirs()
    paths.make_dirs()
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in (paths.config_dir, paths.data_dir)} == {0o700}


def test_a_folder_that_exists_keeps_its_mode(tmp_path):
    (tmp_path / "c").mkdir(mode=0o755)
    Paths(tmp_path / "c", tmp_path / "c").make_dirs()
    assert stat.S_IMODE((tmp_path / "c").stat().st_mode) == 0o755


@pytest.mark.parametrize("inside", [False, True])
def test_a_file_where_a_folder_is_needed_is_said_so(tmp_path, inside):
    (tmp_path / "c").touch()
    folder = tmp_path / "c" / "d" if inside else tmp_path / "c"
    with pytest.raises(ConfigError) as caught:
        Paths(folder, folder).make_dirs()
    assert str(folder) in str(caught.value)
    assert "CODEX_MANAGER_HOME" in str(caught.value.hint)
