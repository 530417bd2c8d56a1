"""What gets installed: the three packages, complete, and nothing else."""

import email
import re
import zipfile

from pathlib import Path

import pytest


builders = pytest.importorskip("hatchling.builders.wheel", reason="hatchling builds the package")

ROOT = Path(__file__).parents[2]
SOURCES = {"codex_manager": ROOT / "addon", "codex_manager_cli": ROOT / "cli", "codex_manager_certs": ROOT / "certs"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built by hatchling itself, without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    (path,) = builders.WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])
    with zipfile.ZipFile(path) as archive:
        yield archive


def metadata(wheel, name):
    (path,) = [entry for entry in wheel.namelist() if entry.endswith(f".dist-info/{name}")]
    return wheel.read(path).decode()


def test_the_wheel_holds_the_three_packages_and_nothing_else(wheel):
    packed = {name for name in wheel.namelist() if ".dist-info/" not in name}
    expected = {
        str(path.relative_to(root).as_posix())
        for package, root in SOURCES.items()
        for path in (root / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert packed == expected


@pytest.mark.parametrize("package", SOURCES)
def test_every_package_says_that_it_is_typed(wheel, package):
    assert f"{package}/py.typed" in wheel.namelist()


def test_both_names_start_the_same_program(wheel):
    lines = set(metadata(wheel, "entry_points.txt").split("\n"))
    assert {
        "codex-manager = codex_manager_cli.main:main",
        "codex-account-manager = codex_manager_cli.main:main",
    } <= lines


def test_the_metadata_says_what_it_is(wheel):
    from codex_manager import __version__

    headers = email.message_from_string(metadata(wheel, "METADATA"))
    assert headers["Name"] == "codex-manager"
    assert headers["Version"] == __version__
    assert headers["License-Expression"] == "MIT"
    assert headers["Requires-Python"] == ">=3.12"
    required = {re.split(r"[<>=; ]", requirement)[0] for requirement in headers.get_all("Requires-Dist", [])}
    assert {"aiohttp", "argon2-cffi", "click", "cryptography", "keyring", "mitmproxy", "pydantic", "pyyaml"} <= required
    assert "MIT" in metadata(wheel, "licenses/LICENSE")
