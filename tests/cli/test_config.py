import json
import os
import stat
import subprocess
import sys

import pytest

from click.testing import CliRunner

from codex_manager.config.paths import Paths
from codex_manager_cli import talk
from codex_manager_cli.main import cli


KEY = "local-key-0123456789-wxyz"


@pytest.fixture
def file():
    return Paths.locate().config_file


@pytest.fixture
def run(capsys):
    """A command as the program runs it: exit status, stdout, stderr."""

    def run(*arguments):
        status = talk.run(cli, ["config", *arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


def given(file, text):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_show_prints_everything_in_force_as_yaml(run, file):
    given(file, "routing:\n  strategy: priority\n")
    status, out, err = run("show")
    assert (status, err) == (0, "")
    assert "routing:\n  strategy: priority\n  min_request_interval_ms: 100\n" in out
    assert "  api_key: sk-codex-manager\n" in out  # a default one is no secret


def test_show_says_where_values_come_from(run, file, monkeypatch):
    given(file, "routing:\n  strategy: priority\n")
    monkeypatch.setenv("CODEX_MANAGER__UI__THEME", "dark")
    lines = {line.split(":")[0].strip(): line.rpartition("# ")[2] for line in run("show", "--origin")[1].splitlines()}
    assert lines["strategy"] == "file"
    assert lines["theme"] == "environment CODEX_MANAGER__UI__THEME"
    assert lines["bind_addr"] == "default"
    data = json.loads(run("show", "--json")[1])
    assert data["config_file"] == str(file)
    assert data["exists"] is True
    assert data["settings"]["routing.strategy"] == {"value": "priority", "origin": "file"}
    assert data["settings"]["ui.theme"] == {"value": "dark", "origin": "environment"}
    assert data["settings"]["proxy.allowed_hosts"] == {"value": [], "origin": "default"}


@pytest.mark.parametrize(
    "arguments",
    [["show"], ["show", "--json"], ["show", "--origin"], ["get", "proxy.api_key"], ["get", "proxy.api_key", "--json"]],
)
def test_a_key_of_ones_own_is_not_printed(run, file, arguments):
    given(file, f"proxy:\n  api_key: {KEY}\n")
    status, out, err = run(*arguments)
    assert status == 0
    assert KEY not in out + err
    assert "…wxyz" in out


def test_reveal_prints_the_key(run, file):
    given(file, f"proxy:\n  api_key: {KEY}\n")
    assert run("get", "proxy.api_key", "--reveal") == (0, f"{KEY}\n", "")
    assert json.loads(run("get", "proxy.api_key", "--reveal", "--json")[1]) == {
        "key": "proxy.api_key",
        "value": KEY,
        "origin": "file",
    }


def test_the_password_of_a_company_proxy_is_not_printed(run, file):
    given(file, "upstream:\n  proxy: http://user:topsecret@proxy.example:3128\n")
    assert run("get", "upstream.proxy") == (0, "http://…@proxy.example:3128\n", "")
    assert "topsecret" not in run("show")[1] + run("show", "--json")[1]


@pytest.mark.parametrize(
    ("key", "printed"),
    [
        ("routing.strategy", "least_utilized"),
        ("routing.pace", "false"),
        ("upstream.proxy", "null"),
        ("proxy.allowed_hosts", "[]"),
    ],
)
def test_get_prints_the_value_alone(run, key, printed):
    assert run("get", key) == (0, f"{printed}\n", "")


@pytest.mark.parametrize("command", [["get"], ["set"], ["unset"]])
def test_an_unknown_setting_is_a_usage_error_with_a_suggestion(run, command):
    arguments = [*command, "routing.strategi", *(["x"] if command == ["set"] else [])]
    assert run(*arguments) == (
        2, "", "codex-manager: error: there is no setting routing.strategi\ncodex-manager: hint: did you mean routing.strategy?\n",
    )  # fmt: skip


def test_set_changes_the_file_and_says_so(run, file):
    given(file, "routing:\n  strategy: priority  # mine\n")
    assert run("set", "routing.strategy", "sticky") == (0, "", f"codex-manager: routing.strategy is set in {file}\n")
    assert file.read_text() == "routing:\n  strategy: sticky  # mine\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_refused_set_leaves_the_file_and_exits_1(run, file):
    given(file, "routing:\n  strategy: priority\n")
    status, out, err = run("set", "routing.strategy", "fastest")
    assert (status, out) == (1, "")
    assert err.startswith(
        'codex-manager: error: config.yaml: routing.strategy must be one of least_utilized, round_robin, priority, sticky, not "fastest"\n'
    )
    assert file.read_text() == "routing:\n  strategy: priority\n"


def test_set_says_what_only_a_restart_takes_over(run):
    assert "when it is started again" in run("set", "proxy.bind_addr", "127.0.0.1:9")[2]
    assert "when it is started again" not in run("set", "ui.theme", "dark")[2]


def test_set_warns_when_the_environment_goes_before_the_file(run, monkeypatch):
    monkeypatch.setenv("CODEX_MANAGER__UI__THEME", "dark")
    status, _, err = run("set", "ui.theme", "light")
    assert status == 0
    assert "warning: CODEX_MANAGER__UI__THEME is set in this environment" in err


def test_a_key_is_read_from_stdin(file):
    result = CliRunner().invoke(cli, ["config", "set", "proxy.api_key", "-"], input=f"{KEY}\n")
    assert result.exit_code == 0
    assert KEY not in result.output
    assert KEY in file.read_text()


def test_a_value_that_is_missing_is_a_usage_error(run):
    status, _, err = run("set", "ui.theme")
    assert status == 2
    assert "no value given for ui.theme" in err


def test_unset_goes_back_to_the_default(run, file):
    assert run("unset", "ui.theme")[2].startswith("codex-manager: ui.theme is not set")
    assert not file.exists()
    given(file, "ui:\n  theme: dark\n")
    assert run("unset", "ui.theme") == (0, "", "codex-manager: ui.theme is at its default\n")
    assert run("get", "ui.theme")[1] == "system\n"


def test_path_is_known_whatever_is_in_the_file(run, file):
    assert run("path") == (0, f"{file}\n", "")
    given(file, "[broken")
    assert run("path") == (0, f"{file}\n", "")
    assert json.loads(run("path", "--json")[1]) == {"config_file": str(file), "exists": True}


def test_validate_names_every_mistake(run, file):
    given(file, "ui:\n  theme: pink\nroutin: {}\n")
    status, out, err = run("validate")
    assert (status, out) == (1, "")
    assert 'config.yaml line 2: ui.theme must be one of system, light, dark, not "pink"' in err
    assert "config.yaml line 3: there is no section routin; did you mean routing?" in err
    status, out, err = run("validate", "--json")
    assert (status, err) == (1, "")
    assert json.loads(out)["valid"] is False
    assert len(json.loads(out)["problems"]) == 2


def test_validate_says_when_all_is_well(run, file, tmp_path):
    assert run("validate")[0] == 0
    given(file, "ui:\n  theme: dark\n")
    assert run("validate") == (0, "", f"codex-manager: {file} is valid\n")
    assert json.loads(run("validate", "--json")[1]) == {"file": str(file), "valid": True, "problems": []}
    (tmp_path / "other.yaml").write_text("ui: 3\n")
    assert run("validate", str(tmp_path / "other.yaml"))[0] == 1
    assert run("validate", str(tmp_path / "nothing.yaml"))[0] == 1


def test_reset_asks_first_and_keeps_the_old_file(run, file):
    given(file, "ui: {theme: dark}\n")
    assert run("reset")[0] == 2  # no terminal to ask on
    assert file.read_text() == "ui: {theme: dark}\n"
    assert run("reset", "--yes")[0] == 0
    assert file.with_name("config.yaml.bak").read_text() == "ui: {theme: dark}\n"
    assert run("get", "ui.theme")[1] == "system\n"


def test_the_originals_file_is_imported(run, file, tmp_path):
    (tmp_path / "config.toml").write_text(
        '[routing]\nstrategy = "priority"\n[ui]\nrefresh_rate_ms = 9\n[proxy]\napi_key = "sk-codex-account-manager"\n'
    )
    status, out, err = run("import", str(tmp_path / "config.toml"))
    assert (status, out) == (0, "")
    assert "warning: ui.refresh_rate_ms of config.toml has no meaning here and is not taken over" in err
    assert run("get", "routing.strategy")[1] == "priority\n"
    assert run("get", "proxy.api_key")[1] == "sk-codex-account-manager\n"


def test_an_import_that_is_not_valid_changes_nothing(run, file, tmp_path):
    given(file, "ui: {theme: dark}\n")
    (tmp_path / "c.toml").write_text('[ui]\ntheme = "light"\n[polling]\ninterval_seconds = 1\n')
    status, _, err = run("import", str(tmp_path / "c.toml"))
    assert status == 1
    assert "polling.interval_seconds must be a whole number from 10 to 86400, not 1" in err
    assert file.read_text() == "ui: {theme: dark}\n"


@pytest.fixture
def editor(tmp_path, monkeypatch):
    """An editor that replaces one text by another, given as a program."""

    def editor(old, new, status=0):
        script = tmp_path / "an editor.py"
        script.write_text(
            "import pathlib, sys\nfile = pathlib.Path(sys.argv[1])\n"
            f"file.write_text(file.read_text().replace({old!r}, {new!r}))\nsys.exit({status})\n"
        )
        monkeypatch.setenv("VISUAL", f"'{sys.executable}' '{script}'")

    return editor


def drafts(file):
    return list(file.parent.glob("config.draft-*"))


def test_edit_checks_before_it_takes_effect(run, file, editor):
    given(file, "ui:\n  theme: dark  # night\n")
    editor("dark", "light")
    assert run("edit") == (0, "", f"codex-manager: {file} is changed\n")
    assert file.read_text() == "ui:\n  theme: light  # night\n"
    assert drafts(file) == []
    editor("light", "pink")
    status, _, err = run("edit")
    assert status == 1
    assert 'config.yaml line 2: ui.theme must be one of system, light, dark, not "pink"' in err
    assert file.read_text() == "ui:\n  theme: light  # night\n"
    assert drafts(file)[0].read_text() == "ui:\n  theme: pink  # night\n"  # nobody's typing is lost
    assert str(drafts(file)[0]) in err


def test_edit_without_a_change_leaves_everything(run, file, editor):
    editor("nothing like this", "")
    assert run("edit") == (0, "", "codex-manager: nothing was changed\n")
    assert not file.exists()
    assert drafts(file) == []


def test_edit_starts_from_the_explained_defaults(run, file, editor):
    editor("  #   theme: system", "  theme: dark")
    assert run("edit")[0] == 0
    assert run("get", "ui.theme")[1] == "dark\n"
    assert "# Colours:" in file.read_text()


@pytest.mark.parametrize("command", ["no-such-editor-here", "'unclosed", f"{sys.executable} -c 'raise SystemExit(3)'"])
def test_an_editor_that_fails_changes_nothing(run, file, monkeypatch, command):
    given(file, "ui: {}\n")
    monkeypatch.setenv("VISUAL", command)
    status, _, err = run("edit")
    assert status == 1
    assert "error: " in err
    assert "hint: " in err
    assert file.read_text() == "ui: {}\n"


def test_a_broken_file_is_told_by_every_command_that_reads_it(run, file):
    given(file, "ui:\n\ttheme: dark\n")
    for arguments in (["show"], ["get", "ui.theme"], ["set", "ui.theme", "dark"], ["unset", "ui.theme"], ["validate"]):
        status, out, err = run(*arguments)
        assert (status, out) == (1, ""), arguments
        assert "config.yaml line 2: YAML is indented with spaces" in err, arguments


def test_a_data_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    environ = {**os.environ, "CODEX_MANAGER_HOME": str(tmp_path / "file" / "home")}
    result = subprocess.run(
        [sys.executable, "-m", "codex_manager_cli", "config", "set", "ui.theme", "dark"],
        env=environ,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert result.returncode == 1
    assert result.stderr.startswith("codex-manager: error: the folder ")
    assert "CODEX_MANAGER_HOME" in result.stderr
    assert "Traceback" not in result.stderr
