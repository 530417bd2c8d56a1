"""`certs` as a user types it: public things on stdout, keys nowhere, one sentence for whatever is wrong."""

import json
import os
import shutil
import ssl
import subprocess
import sys

from pathlib import Path

import pytest

from tests.cli import console

from codex_manager_certs.authority import Authority
from codex_manager_certs.machine import Machine
from codex_manager_certs.roots import certificates_in, system_roots


@pytest.fixture
def folder(isolated_home):
    return isolated_home / "ca"


@pytest.fixture
def tool(tmp_path, monkeypatch):
    """PATH has only what the test puts there; each call is written down."""
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    monkeypatch.setenv("PATH", str(bin_))

    def put(name: str, status: int = 0) -> None:
        (bin_ / name).write_text(f'#!/bin/sh\necho "{name} $*" >> {tmp_path}/calls\nexit {status}\n')
        (bin_ / name).chmod(0o755)

    here = Machine(
        sys.platform, {"PATH": str(bin_)}, Path.home(), tmp_path, is_root=True
    )  # not the system's real store
    monkeypatch.setattr(Machine, "this", lambda: here)
    put.calls = lambda: (tmp_path / "calls").read_text().splitlines() if (tmp_path / "calls").exists() else []  # type: ignore[attr-defined]
    return put


# show --------------------------------------------------------------------------------------------------------------


def test_show_makes_what_is_missing_and_says_so(folder):
    said = console.run("certs", "show")
    assert said.status == 0
    assert "made a certificate authority that can vouch for api.openai.com and nothing else" in said.err
    assert Authority.open_or_make(folder, None).fingerprint_sha256 in said.out
    again = console.run("certs", "show")
    assert again.out == said.out
    assert "made" not in again.err


def test_show_for_programs(folder):
    data = console.run("certs", "show", "--json").json
    authority = Authority.open_or_make(folder, None)
    assert data == {
        "name": authority.name,
        "sha256": authority.fingerprint_sha256,
        "hosts": ["api.openai.com"],
        "valid_from": authority.state.active.certificate.not_valid_before_utc.isoformat(),
        "valid_until": authority.expires_at.isoformat(),
        "successor_signs_from": None,
        "previous": 0,
        "certificates": str(folder / "ca.pem"),
        "bundle": str(folder / "bundle.pem"),
    }


@pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl here")
def test_the_fingerprint_is_openssls(folder):
    data = console.run("certs", "show", "--json").json
    command = ["openssl", "x509", "-noout", "-fingerprint", "-sha256", "-in", data["certificates"]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    assert done.stdout.strip().endswith(f"={data['sha256']}")


def test_the_hosts_are_the_configured_ones():
    console.run("config", "set", "forward.hosts", "[eu.api.openai.com]")
    assert console.run("certs", "show", "--json").json["hosts"] == ["api.openai.com", "eu.api.openai.com"]


def test_hosts_that_changed_since_are_told_and_nothing_is_replaced():
    before = console.run("certs", "show").out
    console.run("config", "set", "forward.hosts", "[eu.api.openai.com]")
    said = console.run("certs", "show")
    assert said.out == before
    assert "the configuration intercepts api.openai.com, eu.api.openai.com by now" in said.err


@pytest.mark.parametrize(
    "arguments", [["show"], ["show", "--json"], ["export"], ["export", "--bundle"], ["env"], ["trust"]]
)
def test_no_key_is_ever_printed(arguments):
    said = console.run("certs", *arguments)
    assert said.status == 0
    assert "PRIVATE" not in said.out + said.err


# export ------------------------------------------------------------------------------------------------------------


def test_export_is_a_certificate_for_programs(folder):
    out = console.run("certs", "export").out
    assert ssl.create_default_context(cadata=out).cert_store_stats()["x509_ca"] == 1
    assert out.encode() == Authority.open_or_make(folder, None).certificates_pem


def test_export_of_the_bundle_has_the_systems_roots_too():
    out = console.run("certs", "export", "--bundle").out
    assert len(certificates_in(out.encode())) == len(system_roots()) + 1


def test_export_overwrites_only_when_told(tmp_path):
    file = tmp_path / "ca.pem"
    assert console.run("certs", "export", str(file)).status == 0
    content = file.read_bytes()
    assert content.startswith(b"-----BEGIN CERTIFICATE-----")
    file.write_bytes(b"mine")
    said = console.run("certs", "export", str(file))
    assert (said.status, file.read_bytes()) == (2, b"mine")
    assert "exists" in said.err
    assert console.run("certs", "export", str(file), "--force").status == 0
    assert file.read_bytes() == content


# env ---------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name == "nt", reason="needs sh")
def test_a_shell_that_evaluates_env_has_a_python_that_trusts_us(folder):
    script = f'eval "$({sys.executable} -m codex_manager_cli certs env)" && exec {sys.executable} -c "{COUNT}"'
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip() == str(len(system_roots()) + 1)
    taken_back = console.run("certs", "env", "--unset", "--shell", "sh").out
    assert taken_back.count("unset ") == 6


COUNT = "import ssl; print(ssl.create_default_context().cert_store_stats()['x509_ca'])"


@pytest.mark.parametrize(("shell", "start"), [("sh", "export "), ("fish", "set -gx "), ("powershell", "$env:")])
def test_env_speaks_three_shells(shell, start):
    lines = console.run("certs", "env", "--shell", shell).out.splitlines()
    assert len(lines) == 6
    assert all(line.startswith(start) for line in lines)


def test_env_for_programs_says_who_reads_what(folder):
    data = {entry["name"]: entry for entry in console.run("certs", "env", "--json").json}
    assert data["SSL_CERT_FILE"]["value"] == str(folder / "bundle.pem")
    assert data["NODE_EXTRA_CA_CERTS"]["value"] == str(folder / "ca.pem")
    assert "Codex" in data["CODEX_CA_CERTIFICATE"]["for"]


def test_env_warns_of_a_companys_roots_that_would_be_lost(tmp_path, monkeypatch):
    company = tmp_path / "company.pem"
    company.write_bytes(Authority.open_or_make(tmp_path / "other", {"intranet.example"}).certificate_pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(company))
    said = console.run("certs", "env")
    assert "the bundle lacks 1 of its certificates" in said.err
    console.run("config", "set", "upstream.ca_file", str(company))
    assert "lacks" not in console.run("certs", "env").err


# rotate ------------------------------------------------------------------------------------------------------------


def test_rotate_announces_the_successor_first(folder):
    console.run("certs", "show")
    said = console.run("certs", "rotate")
    assert said.status == 0
    assert "takes over on" in said.err
    assert len(certificates_in((folder / "bundle.pem").read_bytes())) == len(system_roots()) + 2
    assert console.run("certs", "show", "--json").json["successor_signs_from"]


def test_rotate_now_signs_now(folder):
    before = console.run("certs", "show", "--json").json
    assert console.run("certs", "rotate", "--now").status == 0
    after = console.run("certs", "show", "--json").json
    assert after["sha256"] != before["sha256"]
    assert after["previous"] == 1


def test_rotate_with_nothing_there_says_how_to_make_one():
    said = console.run("certs", "rotate")
    assert said.status == 1
    assert "hint: codex-manager certs show makes one" in said.err


def test_forget_old_cures_a_damaged_file(folder):
    console.run("certs", "show")
    (folder / "authority.json").write_text("{")
    said = console.run("certs", "show")
    assert (said.status, said.out) == (1, "")
    assert "is damaged: it is no JSON document" in said.err
    assert "rotate --forget-old" in said.err
    assert console.run("certs", "rotate", "--forget-old").status == 0
    assert console.run("certs", "show").status == 0


def test_forget_old_reminds_of_what_the_system_was_told(folder):
    console.run("certs", "show")
    assert "trust --remove" not in console.run("certs", "rotate", "--forget-old").err
    console.run("certs", "trust")
    assert "trust --remove" in console.run("certs", "rotate", "--forget-old").err


def test_a_loose_key_stops_every_command(folder):
    console.run("certs", "show")
    (folder / "authority.json").chmod(0o644)
    for command in ("show", "env", "export", "trust", "doctor", "rotate"):
        said = console.run("certs", command)
        assert (said.status, said.out) == (1, ""), command
        assert "has mode 0644" in said.err
        assert f"chmod 600 {folder / 'authority.json'}" in said.err


# trust -------------------------------------------------------------------------------------------------------------


def test_trust_prints_and_runs_nothing(tool, tmp_path, folder):
    tool("certutil")
    nss = Path(os.environ["HOME"]) / ".pki/nssdb"
    nss.mkdir(parents=True)
    (nss / "cert9.db").touch()
    said = console.run("certs", "trust")
    assert said.status == 0
    (file,) = (folder / "offered").glob("*.crt")
    assert f"certutil -d sql:{nss} -A -t C,, -n {file.stem} -i {file}" in said.out.splitlines()
    assert tool.calls() == []

    assert console.run("certs", "trust", "--remove").status == 0
    assert tool.calls() == [f"certutil -d sql:{nss} -D -n {file.stem}"]
    assert not (folder / "offered").exists()


def test_install_runs_what_was_printed(tool):
    nss = Path(os.environ["HOME"]) / ".pki/nssdb"
    nss.mkdir(parents=True)
    (nss / "cert9.db").touch()
    tool("certutil")
    printed = [line for line in console.run("certs", "trust").out.splitlines() if not line.startswith("#")]
    said = console.run("certs", "trust", "--install")
    assert (said.status, said.out) == (0, "")
    assert tool.calls() == printed

    tool("certutil", status=3)
    said = console.run("certs", "trust", "--install")
    assert said.status == 1
    assert "certutil failed with status 3" in said.err
    assert f"hint: try it: {printed[0]}" in said.err


def test_install_where_nothing_can_be_told_fails(tool):
    said = console.run("certs", "trust", "--install")
    assert said.status == 1
    assert "no store here" in said.err


def test_a_client_that_is_not_here_is_told(tool):
    assert "none of these clients" in console.run("certs", "doctor", "netscape").err


def test_install_and_remove_are_opposites():
    assert console.run("certs", "trust", "--install", "--remove").status == 2


# doctor ------------------------------------------------------------------------------------------------------------


def test_doctor_tells_who_trusts_us(tmp_path, monkeypatch):
    (tmp_path / "bin").mkdir()
    if curl := shutil.which("curl"):
        (tmp_path / "bin" / "curl").symlink_to(curl)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    said = console.run("certs", "doctor", "curl", "ssl", "--json")
    data = json.loads(said.out)
    assert said.status == 0
    assert {entry["client"] for entry in data} == {"Python ssl", *(["curl"] if curl else [])}
    assert {(entry["trusts_now"], entry["trusts_with_env"]) for entry in data} == {(False, True)}
    assert all(entry["lacks"].endswith("is not set") for entry in data)


def test_doctor_fails_for_a_client_that_cannot_be_made_to_trust_us(tmp_path, monkeypatch):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "node").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "bin" / "node").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    said = console.run("certs", "doctor", "NODE")
    assert said.status == 1
    assert "did not come to TLS" in said.out
