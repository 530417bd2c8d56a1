"""What each platform's store is told, run against tools that write down what they were called with."""

import os
import shutil
import stat
import subprocess

import pytest

from codex_manager_certs.authority import Authority
from codex_manager_certs.errors import AuthorityError
from codex_manager_certs.machine import Machine, Step
from codex_manager_certs.trust_store import forget_offered, install_plans, offered, remove_plans


@pytest.fixture
def tools(tmp_path):
    """A folder for PATH; the function puts a tool there that logs its calls, and does the work of `install` and `rm`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    log = tmp_path / "calls.log"

    def put(name: str, *, status: int = 0, says: str = "") -> None:
        script = f'#!/bin/sh\necho "{name} $*" >> "{log}"\n'
        if name in {"install", "rm"}:
            script += f'{shutil.which(name)} "$@" || exit $?\n'
        elif name == "sudo":
            script += 'exec "$@"\n'
        script += f'[ -z "{says}" ] || echo "{says}" >&2\nexit {status}\n'
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)

    put.calls = lambda: log.read_text().splitlines() if log.exists() else []  # type: ignore[attr-defined]
    return put


@pytest.fixture
def machine(tmp_path, tools):
    """A machine of this platform with nothing on it but the tools of the test."""

    def made(platform: str, *, is_root: bool = True) -> Machine:
        root, home = tmp_path / "root", tmp_path / "user"
        for path in (root, home):
            path.mkdir(exist_ok=True)
        return Machine(platform, {"PATH": str(tmp_path / "bin")}, home, root, is_root)

    return made


def run(machine: Machine, plans) -> list[bool]:
    return [machine.run(step) for plan in plans for step in plan.steps]


def debian(machine: Machine, tools, *more: str):
    for name in ("update-ca-certificates", "install", "rm", *more):
        tools(name)
    folder = machine.root / "usr/local/share/ca-certificates"
    folder.mkdir(parents=True)
    return folder


def names(authority: Authority) -> list[str]:
    return [path.name for path in offered(authority)]


def test_debian_gets_a_readable_copy_and_is_told_to_read_it(authority, machine, tools):
    here = machine("linux")
    folder = debian(here, tools)
    run(here, install_plans(authority, here))
    (copy,) = folder.iterdir()
    assert copy.name == names(authority)[0]
    assert copy.read_bytes() == authority.certificate_pem
    assert stat.S_IMODE(copy.stat().st_mode) == 0o644  # every user's programs read it
    assert [call.split()[0] for call in tools.calls()] == ["install", "update-ca-certificates"]


def test_a_user_is_given_sudo(authority, machine, tools):
    here = machine("linux", is_root=False)
    debian(here, tools, "sudo")
    plans = install_plans(authority, here)
    assert [here.line(step).split()[:2] for plan in plans for step in plan.steps] == [
        ["sudo", "install"],
        ["sudo", "update-ca-certificates"],
    ]
    run(here, plans)
    assert tools.calls()[-1].startswith("update-ca-certificates")


def test_without_sudo_the_user_is_told_what_an_administrator_runs(authority, machine, tools):
    here = machine("linux", is_root=False)
    debian(here, tools)
    with pytest.raises(AuthorityError, match="sudo is not on this machine") as error:
        run(here, install_plans(authority, here))
    assert "install -m 0644" in str(error.value.hint)


@pytest.mark.parametrize(
    "name", ["etc/pki/ca-trust/source/anchors", "etc/ca-certificates/trust-source/anchors"], ids=["fedora", "arch"]
)
def test_fedora_and_arch_have_folders_of_their_own(authority, machine, tools, name):
    here = machine("linux")
    for tool in ("update-ca-trust", "install", "rm"):
        tools(tool)
    folder = here.root / name
    folder.mkdir(parents=True)
    run(here, install_plans(authority, here))
    assert len(list(folder.iterdir())) == 1
    assert tools.calls()[-1] == "update-ca-trust extract"
    run(here, remove_plans(authority, here))
    assert list(folder.iterdir()) == []


def test_a_system_without_such_tools_is_told_so(authority, machine):
    (plan,) = install_plans(authority, machine("linux"))
    assert plan.steps == ()
    assert "was found" in plan.note


def test_macos_has_its_login_keychain_told(authority, machine, tools):
    here = machine("darwin")
    tools("security")
    run(here, install_plans(authority, here))
    keychain = here.home / "Library/Keychains/login.keychain-db"
    (file,) = offered(authority)
    assert tools.calls() == [f"security add-trusted-cert -r trustRoot -p ssl -k {keychain} {file}"]
    run(here, remove_plans(authority, here))
    sha1 = subprocess.run(
        ["openssl", "x509", "-noout", "-fingerprint", "-sha1", "-in", file], capture_output=True, text=True, timeout=10, check=True
    )  # fmt: skip
    digits = sha1.stdout.strip().partition("=")[2].replace(":", "")
    assert tools.calls()[1:] == [f"security delete-certificate -t -Z {digits} {keychain}"]


def test_windows_has_the_users_root_store_told(authority, machine, tools):
    here = machine("win32")
    tools("certutil")
    run(here, install_plans(authority, here))
    run(here, remove_plans(authority, here))
    added, deleted = tools.calls()
    assert added == f"certutil -user -f -addstore Root {offered(authority)[0]}"
    assert deleted.startswith("certutil -user -delstore Root ")
    assert len(deleted.split()[-1]) == 40


def test_each_browsers_database_is_told(authority, machine, tools):
    here = machine("linux")
    for name in (".pki/nssdb", ".mozilla/firefox/abc.default", "snap/firefox/common/.mozilla/firefox/x"):
        (here.home / name).mkdir(parents=True)
        (here.home / name / "cert9.db").touch()
    tools("certutil")
    run(here, install_plans(authority, here))
    name = offered(authority)[0].stem
    assert tools.calls()[0] == f"certutil -d sql:{here.home}/.pki/nssdb -A -t C,, -n {name} -i {offered(authority)[0]}"
    assert len(tools.calls()) == 3
    run(here, remove_plans(authority, here))
    assert tools.calls()[3] == f"certutil -d sql:{here.home}/.pki/nssdb -D -n {name}"
    assert len(tools.calls()) == 6


def test_a_browser_without_nss_tools_is_named_with_the_package(authority, machine):
    here = machine("linux")
    (here.home / ".pki/nssdb").mkdir(parents=True)
    (here.home / ".pki/nssdb/cert9.db").touch()
    assert "libnss3-tools" in install_plans(authority, here)[-1].note


def test_all_that_was_ever_installed_is_removed(folder, authority, machine, tools):
    """Also what an authority left that was replaced since."""
    here = machine("linux")
    anchors = debian(here, tools)
    run(here, install_plans(authority, here))
    replaced = Authority.replace(folder, authority.hosts)
    run(here, install_plans(replaced, here))
    (anchors / "company.crt").write_text("not ours")
    assert len(list(anchors.iterdir())) == 3
    run(here, remove_plans(replaced, here))
    assert [path.name for path in anchors.iterdir()] == ["company.crt"]
    assert len(offered(replaced)) == 2
    forget_offered(replaced)
    assert not (folder / "offered").exists()
    assert [plan.steps for plan in remove_plans(replaced, here)] == [()]


def test_a_successor_is_installed_before_it_signs(folder, authority, machine, tools):
    here = machine("linux")
    anchors = debian(here, tools)
    run(here, install_plans(Authority.rotate(folder), here))
    assert len(list(anchors.iterdir())) == 2


def test_what_is_not_there_is_no_error_to_remove(authority, machine, tools):
    here = machine("darwin")
    tools("security", status=44, says="The specified item could not be found in the keychain.")
    assert run(here, remove_plans(authority, here)) == [False]


def test_a_tool_that_fails_is_one_sentence_in_its_own_words(authority, machine, tools):
    here = machine("darwin")
    tools("security", status=1, says="User interaction is not allowed.")
    with pytest.raises(AuthorityError, match=r"security failed: User interaction is not allowed\.") as error:
        run(here, install_plans(authority, here))
    assert "security add-trusted-cert" in str(error.value.hint)


def test_a_tool_that_cannot_be_run_is_one_sentence(machine, tools, tmp_path):
    (tmp_path / "bin" / "broken").write_text("#!/nowhere/at/all\n")
    (tmp_path / "bin" / "broken").chmod(0o755)
    with pytest.raises(AuthorityError, match="broken could not be run"):
        machine("linux").run(Step(("broken",)))


@pytest.mark.skipif(
    not shutil.which("update-ca-certificates") or os.name == "nt", reason="no update-ca-certificates here"
)
def test_debians_real_tool_takes_what_we_give_it(authority, machine, tools, tmp_path, client, believes):
    """The real program, on folders of the test's own."""
    here = machine("linux")
    anchors = debian(here, tools)
    run(here, install_plans(authority, here))
    built = tmp_path / "etc"
    for name in ("certs", "hooks", "shipped"):
        (built / name).mkdir(parents=True)
    (built / "ca-certificates.conf").touch()
    command = [
        "update-ca-certificates", "--certsconf", built / "ca-certificates.conf", "--certsdir", built / "shipped",
        "--localcertsdir", anchors, "--etccertsdir", built / "certs", "--hooksdir", built / "hooks",
    ]  # fmt: skip
    subprocess.run(command, capture_output=True, timeout=30, check=True)
    system = client(built / "certs" / "ca-certificates.crt")
    assert believes(system, authority.leaf("api.openai.com"))
