"""The built wheel, installed into an empty environment by each of the ways the pages name, does what the demo shows.

Needs a package index, as `pip install` does; an interpreter that this machine does not have is skipped.
"""

import os
import pwd
import shutil
import subprocess
import sys

from pathlib import Path

import pytest

from codex_manager import __version__


builders = pytest.importorskip("hatchling.builders.wheel", reason="hatchling builds the package")

ROOT = Path(__file__).parents[2]
CONSTRAINTS = ROOT / "constraints.txt"
OUTSIDE = dict(os.environ)
"""Before tests are given a home of their own: how this machine's pip and uv are set up is there."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    (path,) = builders.WheelBuilder(str(ROOT)).build(
        directory=str(tmp_path_factory.mktemp("wheel")), versions=["standard"]
    )
    return path


@pytest.fixture(scope="module")
def installers(tmp_path_factory):
    """pipx and uv, in an environment of their own."""
    folder = tmp_path_factory.mktemp("installers")
    run(sys.executable, "-m", "venv", folder)
    run(folder / "bin" / "pip", "install", "-q", "pipx", "uv")
    return folder / "bin"


def run(*command: object, **environ: str) -> str:
    """Its output, once it has ended well. Nothing of the user's own vault is in reach: the demo has a home of its own."""
    done = subprocess.run(
        [str(word) for word in command], env={**OUTSIDE, **environ}, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def interpreter(version: str) -> str:
    """A Python of that version on this machine: this one, one on the path, or one of pyenv's."""
    if sys.version.startswith(f"{version}."):
        return sys.executable
    pyenv = Path(os.environ.get("PYENV_ROOT", Path(pwd.getpwuid(os.getuid()).pw_dir) / ".pyenv"))
    for candidate in [
        shutil.which(f"python{version}"),
        *sorted(map(str, pyenv.glob(f"versions/{version}.*/bin/python"))),
    ]:
        if (
            candidate
            and subprocess.run([candidate, "-c", ""], capture_output=True, timeout=20, check=False).returncode == 0
        ):
            return candidate
    pytest.skip(f"there is no Python {version} here")


def works(program: Path) -> None:
    """It knows its version, and the demo serves its requests and ends by itself."""
    assert __version__ in run(program, "--version")
    assert "the client saw no error" in run(program, "demo")


@pytest.mark.parametrize("version", ["3.12", "3.13", "3.14"])
def test_pip_into_an_empty_environment(wheel, tmp_path, version):
    run(interpreter(version), "-m", "venv", tmp_path / "venv")
    pip = tmp_path / "venv" / "bin" / "pip"
    run(pip, "install", "-q", "--no-compile", "-c", CONSTRAINTS, wheel)
    run(pip, "check")
    works(tmp_path / "venv" / "bin" / "codex-manager")
    assert __version__ in run(tmp_path / "venv" / "bin" / "codex-account-manager", "--version")
    packages = tmp_path.glob("venv/lib/python*/site-packages/codex*")
    assert {path.name for path in packages} == {
        "codex_manager", "codex_manager_cli", "codex_manager_certs", f"codex_manager-{__version__}.dist-info"
    }  # fmt: skip


def test_pipx(wheel, installers, tmp_path):
    places = {
        "PIPX_HOME": str(tmp_path / "pipx"),
        "PIPX_BIN_DIR": str(tmp_path / "bin"),
        "PIPX_MAN_DIR": str(tmp_path / "man"),
    }
    run(
        installers / "pipx",
        "install",
        "--python",
        sys.executable,
        f"--pip-args=--no-compile -c {CONSTRAINTS}",
        wheel,
        **places,
    )
    works(tmp_path / "bin" / "codex-manager")


def test_uv(wheel, installers, tmp_path):
    places = {
        "UV_TOOL_DIR": str(tmp_path / "tools"),
        "UV_TOOL_BIN_DIR": str(tmp_path / "bin"),
        "UV_CACHE_DIR": str(tmp_path / "cache"),
    }
    run(installers / "uv", "tool", "install", "-q", "--python", sys.executable, "-c", CONSTRAINTS, wheel, **places)
    works(tmp_path / "bin" / "codex-manager")


def test_every_dependency_comes_as_a_wheel_for_each_system_and_python(installers):
    """The corners of the workflow's matrix, resolved as they would be there: nothing of it needs a compiler."""
    missing = {}
    for system, versions in {"linux": ("3.14",), "macos": ("3.12", "3.14"), "windows": ("3.12", "3.14")}.items():
        for version in versions:
            done = subprocess.run(
                [installers / "uv", "pip", "compile", "-q", "--only-binary", ":all:", "--python-platform", system,
                 "--python-version", version, "-c", CONSTRAINTS, "--extra", "test", ROOT / "pyproject.toml"],
                env=OUTSIDE, capture_output=True, text=True, timeout=120, check=False,
            )  # fmt: skip
            if done.returncode:
                missing[system, version] = done.stderr
    assert missing == {}
