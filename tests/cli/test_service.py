"""`service`: what is written for each system, and how its programs are spoken to; they are played here, systemd itself in tests/faults."""

import plistlib
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET

from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.cli import console

from codex_manager.config import presence
from codex_manager.config.paths import Paths
from codex_manager.proxy.service import keep
from codex_manager_cli import service
from codex_manager_cli.services.launchd import Launchd
from codex_manager_cli.services.plan import Credential, name_of, planned
from codex_manager_cli.services.schtasks import Schtasks
from codex_manager_cli.services.systemd import Systemd, unit


SPACE = {"": "http://schemas.microsoft.com/windows/2004/02/mit/task"}
HOME = {"CODEX_MANAGER_HOME": '/home/me/a $home with 100% "quotes"'}


def parsed(text):
    """What the scheduler reads; a declared UTF-16 is told in bytes, not in text."""
    return ET.fromstring(text.replace('encoding="UTF-16"', ""))


def text_at(root, path):
    found = root.findtext(path, namespaces=SPACE)
    assert found
    return found


def a_plan(environ=HOME, *, web=False, **more):
    return planned(Paths.locate(environ), environ, web=web, log=Path("/home/me/proxy.log"), **more)


@pytest.fixture
def system(tmp_path, monkeypatch):
    """Programs of the system that note what they are asked, and answer as they are told to."""
    folder = tmp_path / "bin"
    folder.mkdir()

    class System:
        calls_file = tmp_path / "calls"

        def plays(self, name, script="exit 0"):
            program = folder / name
            program.write_text(f'#!/bin/sh\necho "{name} $*" >>{self.calls_file}\n{script}\n')
            program.chmod(0o755)

        @property
        def calls(self):
            return self.calls_file.read_text().splitlines() if self.calls_file.exists() else []

    monkeypatch.setenv("PATH", f"{folder}:/bin:/usr/bin")
    played = System()
    for name in ("systemctl", "systemd-run", "systemd-creds", "journalctl", "loginctl", "launchctl", "schtasks"):
        played.plays(name)
    played.plays("systemctl", 'case "$*" in --version) echo "systemd 252 (252.1)";; esac')
    played.plays("loginctl", "echo no")
    return played


@pytest.fixture
def linux(system, monkeypatch):
    """A vault, no keyring, a service that serves as soon as it is waited for."""
    console.stored()
    monkeypatch.setattr(sys, "platform", "linux")
    running = presence.RunningProxy(pid=4711, host="127.0.0.1", port=8080, version="1", started="now", service=True)
    monkeypatch.setattr(service, "_awaited", lambda paths: running)
    return system


def key_file(tmp_path, content=console.MASTER_KEY, mode=0o600):
    path = tmp_path / "the key"
    path.touch(mode=mode)
    path.write_text(content)
    return path


# What is written ------------------------------------------------------------------------------------------------------


def test_a_unit_says_how_to_start_it_and_shuts_it_in():
    text = unit(a_plan({}))
    lines = text.splitlines()
    assert f"ExecStart={sys.executable} -P -m codex_manager.proxy.service" in lines
    assert {
        "Type=notify",
        "Restart=always",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "MemoryMax=2G",
        "UMask=0077",
    } <= set(lines)
    assert not any(line.startswith("Environment=") for line in lines)
    assert "WantedBy=default.target" in lines
    without = unit(a_plan({}), shut_in=False)
    assert "NoNewPrivileges=yes" in without
    assert not any(word in without for word in ("PrivateUsers", "ProtectSystem", "ReadWritePaths", "PrivateTmp"))


def test_odd_places_are_written_as_systemd_reads_them(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/opt/my $python/bin/python")
    lines = unit(a_plan(web=True, credential=Credential(Path("/home/me/100% key"), sealed=False))).splitlines()
    assert 'ExecStart="/opt/my $$python/bin/python" -P -m codex_manager.proxy.service --web --no-browser' in lines
    place = '/home/me/a $home with 100%% \\"quotes\\"'
    assert f'Environment="CODEX_MANAGER_HOME={place}"' in lines
    assert f'ReadWritePaths="{place}"' in lines
    assert "LoadCredential=master-key:/home/me/100%% key" in lines


def test_a_home_below_tmp_is_not_hidden_from_the_service():
    text = unit(a_plan({"CODEX_MANAGER_HOME": "/tmp/home"}))
    assert "\nPrivateTmp=" not in text
    assert "# PrivateTmp= would hide /tmp/home" in text


def test_a_place_that_no_unit_can_name_is_refused():
    from codex_manager_cli.talk import UserError

    with pytest.raises(UserError, match="no such file can hold"):
        a_plan({"CODEX_MANAGER_HOME": "/home/me\nExecStartPre=/bin/rm"})


def test_each_profile_has_a_service_of_its_own():
    names = {
        name_of(Paths.locate(env), env)
        for env in ({}, HOME, {"CODEX_MANAGER_HOME": "/home/a $home with"}, {"CODEX_MANAGER_HOME": "/…"})
    }
    assert len(names) == 4
    assert "codex-manager" in names
    assert all(name.isascii() and name.replace("-", "").isalnum() for name in names)


def test_where_things_are_is_carried_and_nothing_else():
    plan = a_plan({
        "XDG_DATA_HOME": "/data", "PYTHONPATH": "here", "CAM_MASTER_KEY": "canary", "OPENAI_API_KEY": "canary",
        "CODEX_MANAGER__PROXY__API_KEY": "canary",
    })  # fmt: skip
    assert plan.environment == {"XDG_DATA_HOME": "/data", "PYTHONPATH": str(Path("here").absolute())}


def test_an_agent_is_a_property_list_that_keeps_it_running():
    plan = a_plan()
    ((path, text),) = Launchd({"HOME": "/Users/me"}).files(plan).items()
    assert path == Path("/Users/me/Library/LaunchAgents") / f"{plan.name}.plist"
    told = plistlib.loads(text.encode())
    assert told["Label"] == plan.name
    assert told["ProgramArguments"][:4] == [sys.executable, "-P", "-m", "codex_manager.proxy.service"]
    assert told["ProgramArguments"][-2:] == ["--log-file", "/home/me/proxy.log"]
    assert told["EnvironmentVariables"] == HOME
    assert told["KeepAlive"] is told["RunAtLoad"] is True
    assert told["Umask"] == 0o077


def test_a_task_is_xml_that_starts_at_login_without_a_window(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/py/python.exe")
    user = {"USERNAME": "me", "USERDOMAIN": "DESK"}
    ((path, text),) = Schtasks(Path("/data"), user).files(a_plan({})).items()
    assert path == Path("/data/codex-manager.xml")
    root = parsed(text)
    assert root.findtext("Triggers/LogonTrigger/UserId", namespaces=SPACE) == "DESK\\me"
    assert root.findtext("Settings/ExecutionTimeLimit", namespaces=SPACE) == "PT0S"
    assert root.findtext("Actions/Exec/Command", namespaces=SPACE) == "/py/pythonw.exe"
    assert "codex_manager.proxy.service --keep --detached" in text_at(root, "Actions/Exec/Arguments")
    assert [each.get("Context") or each.get("id") for each in root.iter() if each.attrib][1:] == ["Author", "Author"]


def test_a_task_brings_its_environment(tmp_path):
    """The scheduler sets none; the program it starts is run here for real, as far as the module."""
    plan = a_plan({"CODEX_MANAGER_HOME": str(tmp_path)})
    ((_, text),) = Schtasks(tmp_path, {}).files(plan).items()
    line = text_at(parsed(text), "Actions/Exec/Arguments")
    code = line.removeprefix('-P -c "').removesuffix('"').replace('\\"', '"')
    system, seen = SimpleNamespace(environ={}, argv=[]), []
    runpy = SimpleNamespace(run_module=lambda *words, **named: seen.append((words, named)))
    exec(code.replace("import os, runpy, sys; ", ""), {"os": system, "sys": system, "runpy": runpy})
    assert system.environ == {"CODEX_MANAGER_HOME": str(tmp_path)}
    assert system.argv[1:3] == ["--keep", "--detached"]
    assert seen == [(("codex_manager.proxy.service",), {"run_name": "__main__"})]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd")
@pytest.mark.parametrize("environ", [{}, HOME])
def test_systemd_finds_no_fault_with_the_unit(environ, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    file = tmp_path / "codex-manager.service"
    file.write_text(unit(a_plan(environ, web=True, credential=Credential(tmp_path / "key", sealed=True))))
    done = subprocess.run(
        ["systemd-analyze", "--user", "verify", file], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, [line for line in done.stderr.splitlines() if "codex-manager" in line]) == (0, [])


# The commands ---------------------------------------------------------------------------------------------------------


def test_a_dry_run_prints_the_unit_and_changes_nothing(linux, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    done = console.run("service", "install", "--web", "--credential", str(key_file(tmp_path)), "--dry-run")
    assert done.status == 0, done.err
    assert "[Service]\nType=notify\n" in done.out
    assert "--web --no-browser" in done.out
    assert "would run: systemctl --user enable" in done.err
    assert console.MASTER_KEY not in done.out + done.err
    assert [call for call in linux.calls if call != "systemctl --version"] == []
    assert {path.name for path in set(tmp_path.rglob("*")) - set(before)} <= {"the key", "calls"}
    assert not Systemd()._folder.exists()


def test_installing_writes_enables_and_starts(linux, tmp_path):
    done = console.run("service", "install", "--credential", str(key_file(tmp_path)))
    assert done.status == 0, done.err
    name = name_of(Paths.locate(), {"CODEX_MANAGER_HOME": "x"})
    text = (Systemd()._folder / f"{name}.service").read_text()
    assert f"LoadCredential=master-key:{tmp_path}/the key" in text
    assert console.MASTER_KEY not in text + done.out + done.err + "".join(linux.calls)
    verbs = [call.removeprefix("systemctl --user ") for call in linux.calls if call.startswith("systemctl --user")]
    assert verbs == [
        "show-environment",
        "daemon-reload",
        f"--quiet enable {name}.service",
        f"reset-failed {name}.service",
        f"restart {name}.service",
    ]
    assert f"the service {name} runs: process 4711 at 127.0.0.1:8080" in done.err
    assert "loginctl enable-linger" in done.err


def test_a_key_that_is_not_the_vaults_is_found_before_anything_is_written(linux, tmp_path):
    done = console.run("service", "install", "--credential", str(key_file(tmp_path, "another")))
    assert done.status == 3
    assert not Systemd()._folder.exists()
    assert console.run("service", "install", "--credential", str(tmp_path / "nothing")).status == 2
    others = key_file(tmp_path)
    others.chmod(0o644)
    assert "others may read" in console.run("service", "install", "--credential", str(others)).err


def test_without_a_way_to_the_key_it_says_which_there_are(linux, monkeypatch):
    monkeypatch.setenv("CAM_MASTER_KEY", console.MASTER_KEY)
    done = console.run("service", "install")
    assert done.status == 3
    assert "systemd 252 cannot seal it" in done.err
    assert "vault unlock --remember" in done.err
    assert "CAM_MASTER_KEY does not reach a service" in done.err


def test_a_newer_systemd_keeps_the_key_sealed(linux, monkeypatch):
    monkeypatch.setenv("CAM_MASTER_KEY", console.MASTER_KEY)
    linux.plays("systemctl", 'case "$*" in --version) echo "systemd 257 (257.1)";; esac')
    linux.plays("systemd-creds", "tr a-z n-za-m")  # as good as any cipher for a test
    done = console.run("service", "install")
    assert done.status == 0, done.err
    sealed = Paths.locate().data_dir / "master-key.cred"
    assert sealed.stat().st_mode & 0o077 == 0
    assert sealed.read_text() == "gur znfgre xrl bs gur grfgf"
    assert f"LoadCredentialEncrypted=master-key:{sealed}" in next(Systemd()._folder.iterdir()).read_text()
    assert "systemd-creds --user encrypt --name=master-key - -" in linux.calls
    assert console.run("service", "uninstall").status == 0
    assert not sealed.exists()


def test_a_machine_without_namespaces_gets_a_unit_without_them(linux, tmp_path):
    linux.plays("systemd-run", "exit 226")
    done = console.run("service", "install", "--credential", str(key_file(tmp_path)))
    assert done.status == 0
    assert "lets users have no namespaces" in done.err
    assert "ProtectSystem" not in next(Systemd()._folder.iterdir()).read_text()


def test_one_that_does_not_start_says_why(linux, tmp_path):
    linux.plays("systemctl", 'case "$*" in *restart*) echo "Job for x failed." >&2; exit 1;; esac')
    linux.plays("journalctl", 'echo "codex-manager: error: 127.0.0.1:8080 is in use by another program"')
    done = console.run("service", "install", "--credential", str(key_file(tmp_path)))
    assert done.status == 1
    assert "does not start: 127.0.0.1:8080 is in use by another program" in done.err


def test_without_a_user_instance_it_says_how_to_get_one(linux, tmp_path):
    linux.plays("systemctl", 'echo "Failed to connect to bus: No medium found" >&2; exit 1')
    done = console.run("service", "install", "--credential", str(key_file(tmp_path)))
    assert done.status == 1
    assert "Failed to connect to bus" in done.err
    assert "log in as yourself" in done.err
    assert not Systemd()._folder.exists()


def test_a_proxy_that_runs_already_is_in_the_way(linux, tmp_path, isolated_home):
    here = presence.RunningProxy(pid=1, host="127.0.0.1", port=8080, version="1", started="now")
    held = presence.announce(isolated_home, here)
    assert held is not None
    try:
        done = console.run("service", "install", "--credential", str(key_file(tmp_path)))
    finally:
        held.withdraw()
    assert done.status == 1
    assert "runs already" in done.err


def test_the_status_is_a_number_too(linux, tmp_path):
    assert console.run("service", "status").status == 4
    assert console.run("service", "install", "--credential", str(key_file(tmp_path))).status == 0
    linux.plays(
        "systemctl",
        'printf "ActiveState=active\\nSubState=running\\nMainPID=12\\nNRestarts=3\\nUnitFileState=enabled\\n"',
    )
    done = console.run("service", "status", "--json")
    assert done.status == 0
    assert (done.json["running"], done.json["pid"], done.json["restarts"], done.json["without_login"]) == (
        True,
        12,
        3,
        False,
    )
    assert "started again by itself: 3 times" in console.run("service", "status").out
    linux.plays("systemctl", 'printf "ActiveState=failed\\nSubState=failed\\nMainPID=0\\nResult=exit-code\\n"')
    done = console.run("service", "status")
    assert done.status == 1
    assert "does not run: failed (failed), exit-code" in done.out


def test_a_vault_comes_first(system, monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    assert "no vault yet" in console.run("service", "install").err
    monkeypatch.setattr(sys, "platform", "sunos5")
    assert "no service manager of sunos5 is known" in console.run("service", "status").err


def test_launchd_is_asked_for_an_agent_of_the_session(system, monkeypatch, isolated_home):
    agent, plan = Launchd(), a_plan()
    system.plays("launchctl", 'case "$1" in bootout|print) exit 3;; esac')
    assert agent.install(plan) == []
    assert [call.split()[1] for call in system.calls] == ["bootout", "enable", "bootstrap"]
    assert agent.status(plan.name).trouble == "not loaded"
    system.plays("launchctl", 'printf "\\tstate = running\\n\\tpid = 42\\n\\truns = 3\\n"')
    found = agent.status(plan.name)
    assert (found.running, found.pid, found.restarts) == (True, 42, 2)
    system.plays("launchctl", 'case "$1" in print) exit 3;; esac')
    assert agent.uninstall(plan.name)
    assert not agent.uninstall(plan.name)
    assert agent.logs(plan.name, lines=5, follow=False) is None


def test_the_task_scheduler_is_handed_a_file_it_can_read(system, tmp_path):
    tasks, plan = Schtasks(tmp_path, {"USERNAME": "me"}), a_plan()
    tasks.install(plan)
    assert [call.split()[1] for call in system.calls] == ["/End", "/Create", "/Run"]
    assert (tmp_path / f"{plan.name}.xml").read_bytes()[:2] in {b"\xff\xfe", b"\xfe\xff"}
    assert tasks.status(plan.name).installed
    assert tasks.uninstall(plan.name)
    system.plays("schtasks", "exit 1")
    assert not tasks.uninstall(plan.name)


# What keeps it running on Windows -------------------------------------------------------------------------------------


def test_one_that_served_is_started_again_at_once_and_one_that_fails_ever_later():
    slept: list[float] = []
    now, lives = [0.0], iter([(100.0, 1), (0.1, 1), (0.1, 1), (0.1, 1), (50.0, 9), (0.1, 0)])

    def call(command):
        lasted, status = next(lives)
        now[0] += lasted
        return status

    assert keep(["x"], call=call, clock=lambda: now[0], sleep=slept.append, starts=6) == 0
    assert slept == [1, 2, 4, 8, 1, 1]
