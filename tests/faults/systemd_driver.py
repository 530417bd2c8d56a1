"""Runs inside `systemd_session.sh`, as a user: installs the service, harms it, and prints what happened as JSON."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from argon2.profiles import CHEAPEST

from codex_manager.config.paths import Paths
from codex_manager.core.secret import Secret
from codex_manager.testing import FakeOpenAI, answers, in_thread
from codex_manager.vault.store import Vault, new_account


KEY = "sk-faults-0123456789abcdef"
MASTER_KEY = "a master key of this test"
HEADERS = {"Authorization": "Bearer sk-codex-manager", "Content-Type": "application/json"}
UNIT = "codex-manager.service"
STREAMS = 100
PATIENCE = 30.0


def main():
    manager = subprocess.Popen(["/lib/systemd/systemd", "--user"], stderr=subprocess.DEVNULL)
    try:
        until(lambda: run("systemctl", "--user", "is-system-running")[1].strip() in {"running", "degraded"})
        with in_thread(FakeOpenAI()) as fake:
            fake.account(KEY)
            told: dict = {}
            try:
                story(fake, told)
            finally:
                told["said"] = (Path.home() / ".local/share/codex-manager/said").read_text()[-2000:]
                print(json.dumps(told, indent=1))
    finally:
        run("systemctl", "--user", "exit")
        with contextlib.suppress(subprocess.TimeoutExpired):
            manager.wait(10)


def story(fake, told):
    paths = Paths.locate()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    paths.make_dirs()
    paths.config_file.write_text(
        f"proxy: {{bind_addr: '127.0.0.1:{port}', openai_base_url: {fake.base_url}}}\npolling: {{enabled: false}}\n"
    )
    with Vault.create(paths.vault_file, Secret(MASTER_KEY), profile=CHEAPEST) as vault:
        vault.add(new_account("only", Secret(KEY)))
    key = Path.home() / "key of the service"
    key.touch(mode=0o600)
    key.write_text(f"{MASTER_KEY}\n")

    said = Path.home() / ".local/share/codex-manager/said"  # there is no journal in here
    extra = Path.home() / ".config/systemd/user" / f"{UNIT}.d/log.conf"
    extra.parent.mkdir(parents=True)
    extra.write_text(f"[Service]\nStandardError=append:{said}\n")
    told["install"] = command("service", "install", "--credential", str(key))
    told["verify"] = run("systemd-analyze", "--user", "verify", str(Path.home() / ".config/systemd/user" / UNIT))
    told["status"] = command("service", "status", "--json")
    first = show("MainPID")
    told["answer"] = ask(port)[0]
    told["shut in"] = shut_in(first)

    began = time.monotonic()
    os.kill(int(first), signal.SIGKILL)
    until(lambda: healthy(port))
    told["back after kill -9"] = round(time.monotonic() - began, 2)
    told["is another"] = show("MainPID") not in {first, "0"}

    told["restart"] = command("restart")
    until(lambda: healthy(port))

    fake.always(KEY, answers.ok(chunks=30, every=0.1))
    with ThreadPoolExecutor(STREAMS) as pool:
        streams = [pool.submit(ask, port, stream=True) for _ in range(STREAMS)]
        until(lambda: len(fake.log) >= STREAMS + 1)
        began = time.monotonic()
        run("systemctl", "--user", "stop", UNIT)
        told["drained in"] = round(time.monotonic() - began, 2)
        ends = [stream.result(PATIENCE) for stream in streams]
    told["streams whole"] = sum(status == 200 and body.rstrip().endswith(b"[DONE]") for status, body in ends)
    told["end"] = [show("Result"), show("ExecMainStatus"), show("ActiveState")]
    told["stopped"] = command("service", "status")

    told["install again"] = command("service", "install", "--web", "--credential", str(key))
    told["uninstall"] = command("service", "uninstall")
    told["left"] = sorted(path.name for path in (Path.home() / ".config/systemd/user").rglob("*"))
    told["gone"] = command("service", "status")


def shut_in(pid):
    """What the kernel says of the process; its own words would be hearsay."""
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line
    )
    return {name: status[name] for name in ("NoNewPrivs", "Seccomp")} | {
        "unit": show("ProtectSystem"),
        "files": touched(pid),
    }


def touched(pid):
    """What a process in the same namespaces can write. The proxy's own /proc is closed to others, so a unit like it looks."""
    text = (Path.home() / ".config/systemd/user" / UNIT).read_text()
    settings = [
        word
        for line in text.splitlines()
        if line.startswith(("Private", "Protect", "ReadWritePaths", "RestrictAddress"))
        for word in ("--property", line.replace('"', ""))
    ]
    script = "for d in ~ ~/.config/codex-manager ~/.local/share/codex-manager /tmp /mnt; do touch $d/probe 2>/dev/null && echo $d; done"
    shown = run("systemd-run", "--user", "--wait", "--quiet", "--pipe", *settings, "sh", "-c", script)
    return shown[1].split()


def ask(port, *, stream=False):
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}], "stream": stream}
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
        connection.request("POST", "/v1/chat/completions", json.dumps(body), HEADERS)
        answer = connection.getresponse()
        return answer.status, answer.read()


def healthy(port):
    with (
        contextlib.suppress(OSError),
        contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=2)) as line,
    ):
        line.request("GET", "/health")
        return line.getresponse().status == 200
    return False


def command(*arguments):
    return run(sys.executable, "-m", "codex_manager_cli", *arguments)


def show(name):
    return run("systemctl", "--user", "show", UNIT, "--property", name, "--value")[1].strip()


def run(*words):
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout, done.stderr


def until(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.02)


main()
