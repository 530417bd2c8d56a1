"""What builds and publishes: the workflows, the container, the formula. What can be played here without GitHub is played."""

import importlib.util
import json
import os
import re
import socket
import subprocess
import sys

from pathlib import Path

import pytest
import yaml

from tests.support import MASTER_KEY, START_TIMEOUT, account, make_home, stop, wait_for

from codex_manager import __version__


ROOT = Path(__file__).parents[2]
PACKAGING = ROOT / ".github" / "packaging"

pytestmark = pytest.mark.skipif(not PACKAGING.exists(), reason="not part of the source distribution")


def workflow(name):
    """Its jobs, and what starts it: YAML reads the key `on` as true."""
    found = yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text(encoding="utf-8"))
    return found[True], found["jobs"], found["permissions"]


def steps(job):
    return [step.get("run", "") or step.get("uses", "") for step in job["steps"]]


def test_every_change_is_tested_on_three_systems_and_three_pythons():
    starts, jobs, permissions = workflow("ci.yml")
    assert {"push", "pull_request", "workflow_call"} == set(starts)
    assert permissions == {"contents": "read"}
    matrix = jobs["run"]["strategy"]["matrix"]
    assert {name.partition("-")[0] for name in matrix["os"]} == {"ubuntu", "macos", "windows"}
    assert matrix["python"] == ["3.12", "3.13", "3.14"]
    assert "bash .ci/run" in steps(jobs["run"])


def test_the_pythons_of_the_workflow_are_those_of_the_metadata():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    _, jobs, _ = workflow("ci.yml")
    assert (
        re.findall(r'"Programming Language :: Python :: (3\.\d+)"', text) == jobs["run"]["strategy"]["matrix"]["python"]
    )


@pytest.mark.parametrize("name", ["ci.yml", "release.yml"])
def test_no_workflow_keeps_a_secret_or_runs_without_end(name):
    text = (ROOT / ".github" / "workflows" / name).read_text(encoding="utf-8")
    assert "secrets." not in text
    assert "pull_request_target" not in text
    _, jobs, _ = workflow(name)
    assert [title for title, job in jobs.items() if "uses" not in job and "timeout-minutes" not in job] == []
    # what a stranger writes (a title, a branch's name) is never part of a script
    scripts = [step["run"] for job in jobs.values() for step in job.get("steps", []) if "run" in step]
    assert [script for script in scripts if "${{" in script] == []


def test_a_release_is_tested_built_once_and_published_by_trust_in_the_workflow():
    starts, jobs, permissions = workflow("release.yml")
    assert starts == {"push": {"tags": ["v*"]}}
    assert permissions == {}
    assert jobs["build"]["needs"] == "test"
    assert jobs["pypi"]["permissions"] == {"id-token": "write"}
    assert jobs["pypi"]["environment"] == "pypi"
    building = "\n".join(steps(jobs["build"]))
    for needed in (
        "hatchling build",
        'codex-manager" demo',
        "sha256sum",
        "cyclonedx-py environment",
        "SOURCE_DATE_EPOCH",
    ):
        assert needed in building
    assert any("pypa/gh-action-pypi-publish" in step for step in steps(jobs["pypi"]))
    assert any("attest-build-provenance" in step for step in steps(jobs["github"]))
    assert [
        title
        for title, job in jobs.items()
        if "write" in str(job.get("permissions")) and title not in {"pypi", "github", "site"}
    ] == []


def test_the_release_finds_version_and_notes_where_they_are(tmp_path):
    """The script of the step that compares tag and version, run as it stands on a changelog with this version."""
    _, jobs, _ = workflow("release.yml")
    (script,) = [step["run"] for step in jobs["build"]["steps"] if 'GITHUB_REF_NAME"' in step.get("run", "")]
    (tmp_path / "addon" / "codex_manager").mkdir(parents=True)
    (tmp_path / "addon/codex_manager/_version.py").write_text((ROOT / "addon/codex_manager/_version.py").read_text())
    (tmp_path / "CHANGELOG.md").write_text(
        f"# Changelog\n\n## Unreleased\n\nx\n\n## {__version__} - 2026-01-01\n\n- news\n\n## 0.0.1\n\n- old\n"
    )

    def status(tag):
        environ = {"PATH": os.environ["PATH"], "GITHUB_REF_NAME": tag, "RUNNER_TEMP": str(tmp_path)}
        return subprocess.run(
            ["bash", "-e", "-c", script], cwd=tmp_path, env=environ, timeout=20, check=False
        ).returncode

    assert status("v999.0.0") != 0
    assert status(f"v{__version__}") == 0
    assert (tmp_path / "notes.md").read_text().strip() == "- news"
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## Unreleased\n\nx\n")
    assert status(f"v{__version__}") != 0


# --- the formula


def test_the_formula_is_filled_in_for_a_release(tmp_path):
    spec = importlib.util.spec_from_file_location("formula", PACKAGING / "formula.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    source = tmp_path / "codex_manager-1.2.3.tar.gz"
    source.write_bytes(b"")
    text = module.formula(source, "somebody/codex-manager")
    assert text.startswith("class CodexManager < Formula\n")
    assert 'url "https://github.com/somebody/codex-manager/releases/download/v1.2.3/codex_manager-1.2.3.tar.gz"' in text
    assert 'sha256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"' in text
    assert "@" not in text.replace("python@3.13", "")
    for name, repository in [("codex_manager.tar.gz", "a/b"), ("codex_manager-1.2.3.tar.gz", 'a/b"; system "x')]:
        with pytest.raises(SystemExit):
            module.formula(tmp_path / name, repository)


# --- the container


def instructions() -> list[tuple[str, str]]:
    text = re.sub(r"^#.*\n", "", (PACKAGING / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    return [
        (line.partition(" ")[0], line.partition(" ")[2]) for line in re.sub(r"\\\n", " ", text).splitlines() if line
    ]


def of(name: str) -> list[str]:
    return [rest for word, rest in instructions() if word == name]


def test_the_container_is_not_root_keeps_its_data_on_a_volume_and_holds_no_key():
    words = [word for word, _ in instructions()]
    last_stage = words[len(words) - words[::-1].index("FROM") :]
    assert "USER" in last_stage
    assert of("USER") == ["10001:10001"]
    assert of("VOLUME") == ['["/data"]']
    assert "CODEX_MANAGER_HOME=/data" in of("ENV")[0]
    assert len(of("HEALTHCHECK")) == 1
    assert re.findall(r"MASTER_KEY=|API_KEY=|sk-", "\n".join(rest for _, rest in instructions())) == []
    assert of("ENTRYPOINT") == ['["codex-manager"]']


def test_the_container_is_built_from_nothing_but_what_the_wheel_is_made_of():
    ignored = (PACKAGING / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in ignored
    allowed = {line[1:] for line in ignored if line.startswith("!")}
    copied = {name for rest in of("COPY") if not rest.startswith("--from") for name in rest.split()[:-1]}
    assert copied == allowed
    assert [name for name in copied if not (ROOT / name).exists()] == []


@pytest.mark.slow
def test_what_the_container_runs_serves_is_healthy_and_stops_with_0(tmp_path):
    """CMD and HEALTHCHECK as they stand, but for the port, in a home as the volume would be."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "master-key").write_text(MASTER_KEY)
    home = make_home(tmp_path / "data", [account("work", "sk-work-0123456789abcdef")])
    image = dict(pair.split("=", 1) for pair in of("ENV")[0].split())
    assert image["CREDENTIALS_DIRECTORY"] == "/run/secrets"
    environ = home.environ() | {
        "CREDENTIALS_DIRECTORY": str(tmp_path / "secrets"),
        "CODEX_MANAGER__PROXY__API_KEY": "sk-of-my-own",
        "HOME": "/data",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    del environ["CAM_MASTER_KEY"]  # it comes as the container's secret
    command = [part.replace("8080", str(port)) for part in json.loads(of("CMD")[0])]
    check = json.loads(of("HEALTHCHECK")[0].partition("CMD ")[2])
    healthy = [sys.executable, *[part.replace("8080", str(port)) for part in check[1:]]]
    proxy = subprocess.Popen(
        [sys.executable, "-m", "codex_manager_cli", *command], env=environ, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=home.path,
    )  # fmt: skip
    try:
        assert wait_for(
            lambda: (
                subprocess.run(healthy, env=environ, stderr=subprocess.DEVNULL, timeout=10, check=False).returncode == 0
            ),
            START_TIMEOUT,
            0.3,
        )
    finally:
        status = stop(proxy)
        assert proxy.stderr is not None
        said = proxy.stderr.read()
        proxy.stderr.close()
    assert status == 0, said
    assert subprocess.run(healthy, env=environ, stderr=subprocess.DEVNULL, timeout=10, check=False).returncode != 0
    # without a local key of one's own it does not listen where others can reach it
    del environ["CODEX_MANAGER__PROXY__API_KEY"]
    refused = subprocess.run(
        [sys.executable, "-m", "codex_manager_cli", *command],
        env=environ,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert refused.returncode != 0
    assert "proxy.api_key" in refused.stderr
