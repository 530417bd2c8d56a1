"""What gets installed, and what gets published: the three packages, complete, and nothing else; the same each time."""

import email
import re
import subprocess
import tarfile
import zipfile

from pathlib import Path

import pytest


builders = pytest.importorskip("hatchling.builders.wheel", reason="hatchling builds the package")
sources = pytest.importorskip("hatchling.builders.sdist", reason="hatchling builds the package")

ROOT = Path(__file__).parents[2]
SOURCES = {"codex_manager": ROOT / "addon", "codex_manager_cli": ROOT / "cli", "codex_manager_certs": ROOT / "certs"}
PROGRAM = {".py", ".typed"}
SHIPPED = PROGRAM | {
    ".html", ".css", ".js", ".svg", ".ico", ".png", ".tcss", ".md", ".json", ".service", ".plist", ".xml", ".txt", ".po", ".mo"
}  # fmt: skip
"""Kinds of files that a package may hold. What a build, an editor or a test leaves behind is of none of them."""


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


def test_the_wheel_holds_nothing_that_was_left_lying_about(wheel):
    strange = [
        name
        for name in wheel.namelist()
        if ".dist-info/" not in name
        and (Path(name).suffix not in SHIPPED or re.search(r"(^|/)(\.|test_|tests/|conftest)", name))
    ]
    assert strange == []
    large = {entry.filename: entry.file_size for entry in wheel.infolist() if entry.file_size > 256 * 1024}
    assert large == {}
    assert sum(entry.compress_size for entry in wheel.infolist()) < 3 * 1024 * 1024


@pytest.fixture(scope="module")
def sdist():
    """What goes into it; not packed, which takes a second."""
    return {entry.distribution_path for entry in sources.SdistBuilder(str(ROOT)).recurse_included_files()}


def test_the_source_distribution_holds_what_it_takes_to_build_test_and_read(sdist):
    assert {
        "README.md", "LICENSE", "CHANGELOG.md", "constraints.txt", "addon/main.py",
        "addon/codex_manager/py.typed", "cli/codex_manager_cli/main.py", "certs/codex_manager_certs/__init__.py",
        "tests/conftest.py", "tests/project/test_packaging.py", "docs/generate.py", "docs/routing.md", "docs/images/routing-overview.svg",
    } <= sdist  # fmt: skip
    tops = {name.partition("/")[0] for name in sdist}
    assert tops == {
        "README.md", "LICENSE", "CHANGELOG.md", "constraints.txt", "addon", "cli", "certs", "tests", "docs",
    }  # fmt: skip
    left = [
        name
        for name in sdist
        if re.search(r"__pycache__|\.pyc$|\.(db|log|token|pem|key)$|node_modules|\.egg-info|/\.", name)
    ]
    assert left == []


def test_the_source_distribution_holds_what_git_knows_and_no_more(sdist):
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    command = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=True).stdout.split(
        "\n"
    )
    known = {
        name
        for name in listed
        if name.startswith(("addon/", "cli/", "certs/", "tests/", "docs/")) and (ROOT / name).exists()
    }
    assert {name for name in sdist if "/" in name} == known


@pytest.mark.slow
def test_a_wheel_made_of_the_source_distribution_is_the_same_to_the_byte(tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1790000000")
    (path,) = sources.SdistBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    with tarfile.open(path) as archive:
        archive.extractall(tmp_path, filter="data")
        at_the_top = {name.partition("/")[2] for name in archive.getnames() if name.count("/") == 1}
    assert at_the_top == {
        "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "constraints.txt", "PKG-INFO", ".gitignore"
    }  # fmt: skip
    (there,) = builders.WheelBuilder(str(ROOT)).build(directory=str(tmp_path / "a"), versions=["standard"])
    (here,) = builders.WheelBuilder(path.removesuffix(".tar.gz")).build(
        directory=str(tmp_path / "b"), versions=["standard"]
    )
    assert Path(there).read_bytes() == Path(here).read_bytes()
