"""An account's key appears on the connection to the upstream, and nowhere else (docs/security.md, promise 1).

Canary keys are planted; the proxy lives through success, failover, refusals, errors, resets, a crash by signal; mitmdump
runs the addon, verbose, with a dump of its flows. Then everything that anybody could read is searched.
"""

import contextlib
import http.client
import signal
import subprocess
import sys
import time

from pathlib import Path
from typing import Any

import openai
import pytest

from tests.cli import console
from tests.e2e.conftest import KEYS
from tests.support import LOCAL_KEY, MASTER_KEY, POLLING, account, make_home, running_proxy, stop, wait_for

from codex_manager.core.secret import Secret
from codex_manager.testing import answers, toxics
from codex_manager.vault.store import Vault


pytestmark = pytest.mark.slow  # each of these starts real programs; `.ci/run` runs them


ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
CHAT = b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"hi"}]}'
STREAM = CHAT[:-1] + b',"stream":true}'


def live_through_everything(fake, port, local_key):
    """One request for each way an exchange can go, each with a model of its own, so that one limit does not hide the next.

    What takes an account out of the choice comes last: the revoked key, the empty wallet, the limited address.
    """
    ends = [
        answers.ok(), answers.rate_limited(retry_after_ms=1), answers.forbidden(), answers.model_not_found(), answers.bad_request(),
        answers.server_error(500), answers.overloaded(retry_after=0), answers.ok() | toxics.reset_before_headers(),
        answers.ok() | toxics.reset_in_body(20), answers.garbage(), answers.ok() | toxics.close_in_body(30),
    ]  # fmt: skip
    last = [answers.invalid_key(), answers.insufficient_quota(), answers.cloudflare_429()]
    turns = [(body, end) for body in (CHAT, STREAM) for end in ends] + [(CHAT, end) for end in last]
    for number, (body, end) in enumerate(turns):
        fake.script(None, end)
        ask(port, body.replace(b"gpt-4o-mini", b"gpt-4o-mini-%d" % number), {"Authorization": f"Bearer {local_key}"})
    assert fake.left() == 0, "a way was not gone"
    for headers in (
        {"Authorization": "Bearer sk-wrong"},
        {},
        {"Authorization": f"Bearer {local_key}", "Host": "evil.example"},
    ):
        ask(port, CHAT, headers)


def ask(port, body, headers):
    """Whatever comes back; a cut is an outcome like any other."""
    with (
        contextlib.suppress(http.client.HTTPException, OSError),
        contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection,
    ):
        connection.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json", **headers})
        seen = connection.getresponse()
        received = str(seen.headers).encode() + seen.read()
        assert not canaries_in(received), "an answer to a client carries a key"


def canaries_in(data):
    return [key for key in KEYS.values() if key.encode() in data]


def search(folders, texts):
    """Every file below the folders and every text: no canary in any of them."""
    found = []
    for folder in folders:
        found += [str(path) for path in Path(folder).rglob("*") if path.is_file() and canaries_in(path.read_bytes())]
    found += [name for name, text in texts.items() if canaries_in(text.encode())]
    return found


def of_process(process):
    """What other processes of the machine can read of one: its arguments and its environment."""
    folder = Path(f"/proc/{process.pid}")
    if not folder.exists():
        return {}
    return {name: (folder / name).read_bytes().decode(errors="replace") for name in ("cmdline", "environ")}


def test_no_key_anywhere_after_the_proxy_lived_through_everything(home, fake, tmp_path):
    with running_proxy(home, "--verbose") as proxy:
        live_through_everything(fake, proxy.port, LOCAL_KEY)
        seen = of_process(proxy.process)
        proxy.process.send_signal(signal.SIGABRT)
        proxy.process.wait(10)
        said = proxy.said()

    assert search([home.path, tmp_path], {"stderr": said, **seen}) == []


@pytest.mark.timeout(120)
def test_no_key_in_mitmproxys_flows_logs_and_dumps(home, fake, tmp_path, free_port):
    """`mitmdump -s addon/main.py`, very verbose, with its flows written to a file."""
    dump = tmp_path / "flows.mitm"
    with home.vault() as vault:
        _, client_key = vault.add_client_key("canary")
    command = [
        str(BIN / "mitmdump"), "-s", str(ROOT / "addon" / "main.py"), "--listen-host", "127.0.0.1", "--listen-port", str(free_port),
        "-w", str(dump), "-v", "--set", "flow_detail=4", "--set", f"confdir={tmp_path / 'mitm'}", "--set", "store_streamed_bodies=true",
        "--set", "proxy_debug=true",
    ]  # fmt: skip
    log = tmp_path / "mitmdump.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=home.environ(), stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            await_ready(free_port)
            live_through_everything(fake, free_port, client_key.reveal())
            seen = of_process(process)
        finally:
            stop(process)

    assert dump.stat().st_size > 10_000
    assert search([home.path, tmp_path], seen) == []
    assert client_key.reveal().encode() not in dump.read_bytes(), "the client's key is replaced before a flow is seen"


def await_ready(port, seconds=20.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with (
            contextlib.suppress(OSError),
            contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=1)) as connection,
        ):
            connection.request("GET", "/ready")
            if connection.getresponse().status == 200:
                return
        time.sleep(0.05)
    pytest.fail(f"nothing serves on {port}")


def test_the_vault_file_shows_nothing_of_an_account(home):
    """No label, no organization, no key, no note in clear; written here, read in another process."""
    with Vault.open(home.vault_file, Secret(MASTER_KEY)) as vault:
        vault.edit("healthy", organization="org-visible", notes="a visible note", tags=("visible-tag",))
    read = "from codex_manager.core.secret import Secret; from codex_manager.vault.store import Vault; import sys, pathlib;"
    read += f"print(Vault.open(pathlib.Path(sys.argv[1]), Secret({MASTER_KEY!r})).account('healthy').organization)"
    done = subprocess.run(
        [sys.executable, "-c", read, str(home.vault_file)], capture_output=True, text=True, timeout=30, check=True
    )

    assert done.stdout.strip() == "org-visible"
    raw = home.vault_file.read_bytes().lower()
    hidden = ["visible", "healthy", "limited", "revoked", "sk-", MASTER_KEY, *KEYS.values()]
    assert [text for text in hidden if text.lower().encode() in raw] == []


# What is kept of a request, and what the commands and pages tell.

SECRETS = {
    "account": "sk-proj-account-7c1f0d9a4be2467f8d1c",
    "admin": "sk-admin-5be0a91c77d24a0f9e63",
    "local": "sk-local-2d94e7ab013f4c6a8f55",
}
COMMANDS = (
    ("explain", "--last"), ("explain", "--last", "--json"), ("usage",), ("usage", "--json"), ("usage", "--csv", "--by", "client"),
    ("usage", "--by", "account"), ("status",), ("status", "--json"), ("resource", "list"), ("resource", "list", "--json"),
    ("resource", "find", "{file}", "--json"), ("resource", "find", "{file}", "--probe", "--json"), ("list", "--json"),
    ("simulate", "--model", "gpt-4o-mini", "--json"), ("simulate", "--replay", "1h", "--json"), ("refresh", "--json"),
    ("config", "show"),
)  # fmt: skip


@pytest.mark.timeout(120)
def test_no_key_and_no_token_in_what_is_kept_and_told(fake, isolated_home, monkeypatch):
    """The ledger with its journal beside it, `explain`, `usage`, `status` and their like, /metrics, the control pages."""
    monkeypatch.setenv("CAM_MASTER_KEY", MASTER_KEY)
    fake.account(SECRETS["account"], organization="org-kept")
    fake.admin(SECRETS["admin"], "org-kept")
    one = account("kept", SECRETS["account"], admin_key=Secret(SECRETS["admin"]), daily_limit_usd=5.0)
    others = [account(label, key) for label, key in KEYS.items()]
    home = make_home(
        isolated_home, [one, *others], f"proxy:\n  openai_base_url: {fake.base_url}\nmetrics:\n  open: true\n"
    )
    home.environment = {POLLING: "true", "CODEX_MANAGER__PROXY__API_KEY": SECRETS["local"]}
    with home.vault() as vault:
        _, client_key = vault.add_client_key("canary")
    secrets = {**KEYS, **SECRETS, "client": client_key.reveal()}

    with running_proxy(home, "--verbose") as proxy:
        file = states(proxy, SECRETS["local"])
        assert wait_for(lambda: console.run("resource", "find", file).status == 0, 10, 0.1)
        live_through_everything(fake, proxy.port, client_key.reveal())
        secrets["control token"] = token = (home.path / "proxy.token").read_text().strip()
        told = {" ".join(words): as_run(words, file) for words in COMMANDS}
        told["/metrics"] = told_by(proxy.port, "/metrics")
        told["/health"] = told_by(proxy.port, "/health")
        told["control"] = told_by(proxy.port, "/codex-manager/api/v1/status", token)
        kept = {str(path): path.read_bytes() for path in home.path.rglob("*") if path.is_file()}
        proxy.process.kill()
        proxy.process.wait(10)
        told["stderr"] = proxy.said()
    kept |= {f"{path}, after": path.read_bytes() for path in home.path.rglob("*") if path.is_file()}

    assert {"ledger.db", "ledger.db-wal", "ledger.db-shm"} <= {Path(name).name for name in kept}
    assert len(told["/metrics"]) > 2000
    assert "canary" in told["usage --csv --by client"], "the client is named, by its name"
    assert any(seen.key == SECRETS["admin"] for seen in fake.log), "the admin key was used"
    found = [
        f"{what} key in {where}"
        for where, text in {**kept, **{name: text.encode() for name, text in told.items()}}.items()
        for what, secret in secrets.items()
        # the middle: a beginning and an end may be shown, as OpenAI does
        if secret[10:-5].encode() in text and not (what == "control token" and "proxy.token" in where)
    ]
    assert found == []


def states(proxy, key):
    """Things of one account, reasoning that comes back, and requests about what is nowhere; the id of a file."""
    with openai.OpenAI(api_key=key, base_url=proxy.base_url, timeout=20, max_retries=0) as sdk:
        file = sdk.files.create(file=("a.jsonl", b"{}\n"), purpose="batch")
        first = sdk.responses.create(model="o4-mini", input="hi", include=["reasoning.encrypted_content"])
        back: Any = [item.to_dict() for item in first.output]
        sdk.responses.create(model="o4-mini", input=back)
        sdk.responses.create(model="o4-mini", input="hi", conversation=sdk.conversations.create().id)
        list(sdk.files.list())
        for nowhere in (lambda: sdk.files.retrieve("file-nowhere"), lambda: sdk.files.retrieve(SECRETS["account"])):
            with pytest.raises(openai.NotFoundError):
                nowhere()
        return file.id


def as_run(words, file):
    done = console.run(*(word.format(file=file) for word in words))
    assert "internal error" not in done.err, f"{words}: {done.err}"
    return done.out + done.err


def told_by(port, path, token=None):
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"} if token else {})
        seen = connection.getresponse()
        assert seen.status in {200, 503}, f"{path}: {seen.status}"
        return str(seen.headers) + seen.read().decode()
