import os
import shutil
import subprocess
import sys

import pytest

from click.testing import CliRunner

from codex_manager_cli.main import COMMANDS, cli


def script(shell):
    result = CliRunner().invoke(cli, ["completion", shell])
    assert result.exit_code == 0
    return result.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_both_program_names_are_completed(shell):
    text = script(shell)
    assert "_CODEX_MANAGER_COMPLETE" in text
    assert "_CODEX_ACCOUNT_MANAGER_COMPLETE" not in text
    assert text.count("codex-account-manager") >= 1


def test_an_unknown_shell_is_a_usage_error():
    assert CliRunner().invoke(cli, ["completion", "tcsh"]).exit_code == 2


@pytest.fixture
def programs(tmp_path):
    """Both program names on the PATH."""
    for name in ("codex-manager", "codex-account-manager"):
        program = tmp_path / name
        program.write_text(
            f'#!{sys.executable}\nimport sys\nsys.argv[0] = "{name}"\nfrom codex_manager_cli.main import main\nmain()\n'
        )
        program.chmod(0o755)
    roots = os.pathsep.join(path for path in sys.path if path)
    return {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": roots}


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
@pytest.mark.parametrize("name", ["codex-manager", "codex-account-manager"])
@pytest.mark.parametrize(
    ("line", "completed"),
    [
        ("", set(COMMANDS)),
        ("con", {"config"}),
        ("config ", {"show", "get", "set", "unset", "edit", "path", "import", "reset", "validate"}),
        ("config show --o", {"--origin"}),
    ],
)
def test_bash_completes(programs, name, line, completed):
    words = [name, *line.split(" ")]
    commands = (
        f"{script('bash')}\n"
        f"f=$(complete -p {name} | sed 's/.*-F \\([^ ]*\\) .*/\\1/')\n"
        f"COMP_WORDS=({' '.join(words[:-1])} '{words[-1]}'); COMP_CWORD={len(words) - 1}\n"
        f'$f {name}\nprintf "%s\\n" "${{COMPREPLY[@]}}"\n'
    )
    result = subprocess.run(
        ["bash", "-c", commands], env=programs, capture_output=True, text=True, timeout=30, check=False
    )
    assert result.stderr == ""
    assert set(result.stdout.split()) == completed


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_script_is_one_the_shell_can_read(shell, tmp_path):
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell}")
    (tmp_path / "script").write_text(script(shell))
    assert subprocess.run([shell, "-n", str(tmp_path / "script")], timeout=30, check=False).returncode == 0
