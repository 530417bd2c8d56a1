"""No answer and no frame of the page carries a secret: accounts' keys, admin keys, local keys, the master key (docs/security.md, promise 1).

Canaries are planted; accounts serve, fail over and are edited, keys are made, flows are replayed, edited, dumped and exported; all the while every page,
fragment, JSON and view is fetched and every message pushed to open pages is kept. Then all of it is searched, in clear and in the ways views write bytes.
"""

import contextlib
import html
import re
import threading
import urllib.parse

import openai
import pytest

from tests.e2e.conftest import KEYS
from tests.e2e.test_leaks import live_through_everything
from tests.support import MASTER_KEY, POLLING, account, make_home, wait_for
from tests.web_support import Site, addresses, running_web
from websockets.sync.client import connect

from codex_manager.core.secret import Secret


pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

SECRETS = {
    "account": "sk-proj-account-7c1f0d9a4be2467f8d1c",
    "admin": "sk-admin-5be0a91c77d24a0f9e63",
    "local": "sk-local-2d94e7ab013f4c6a8f55",
    "added on the page": "sk-proj-added-91be4d3c5a7f40e2b8aa",
    "exchanged on the page": "sk-proj-changed-0f4e77d1c2964bb39d10",
    "refused": "sk-proj-typo-44aa17e0cc5d4f0b8e2f",
    "passphrase": "a passphrase of an export, 8842",
    "master": MASTER_KEY,
}


class Ears(threading.Thread):
    """Keeps what an open page is told."""

    def __init__(self, site: Site, path: str) -> None:
        super().__init__(daemon=True)
        self.heard: list[bytes] = []
        self._socket = connect(
            f"ws://{site.host}{path}",
            additional_headers={"Authorization": f"Bearer {site.token}"},
            max_size=None,
            open_timeout=10,
        )
        self.start()

    def run(self) -> None:
        with contextlib.suppress(Exception):
            for message in self._socket:
                self.heard.append(message.encode() if isinstance(message, str) else message)

    def stop(self) -> None:
        self._socket.close()
        self.join(10)


def test_no_secret_in_any_answer_or_frame(fake, isolated_home):
    for name in ("account", "added on the page", "exchanged on the page"):
        fake.account(SECRETS[name], organization=f"org-{name.split()[0]}")
    fake.admin(SECRETS["admin"], "org-account")
    one = account("kept", SECRETS["account"], admin_key=Secret(SECRETS["admin"]), daily_limit_usd=5.0)
    others = [account(label, key) for label, key in KEYS.items()]
    home = make_home(
        isolated_home, [one, *others], f"proxy:\n  openai_base_url: {fake.base_url}\nmetrics:\n  open: true\n"
    )
    home.environment = {POLLING: "true", "CODEX_MANAGER__PROXY__API_KEY": SECRETS["local"]}
    with home.vault() as vault:
        _, client_key = vault.add_client_key("canary")
    secrets = {**KEYS, **SECRETS, "client": client_key.reveal()}
    seen: dict[str, bytes] = {}

    with running_web(home, "--verbose") as site:
        secrets["control token"] = (home.path / "proxy.token").read_text().strip()
        pushed = {path: Ears(site, path) for path in ("/updates", *topics(site))}
        site.ask("PUT", "/options", {"view_filter": ""})
        live_through_everything(fake, site.proxy.port, client_key.reveal())
        sdk(site, SECRETS["local"])
        look(site, seen, "in traffic")
        secrets["made on the page"] = manage(site, seen, one.id)
        flows = site.ask("GET", "/flows").json()
        assert len(flows) > 20
        for flow in (flows[0], flows[-1]):
            put(seen, f"replay {flow['id']}", site.ask("POST", f"/flows/{flow['id']}/replay"))
            put(seen, f"copy {flow['id']}", site.ask("POST", f"/flows/{flow['id']}/duplicate"))
        assert wait_for(lambda: len(site.ask("GET", "/flows").json()) >= len(flows) + 4, 15, 0.2)
        look(site, seen, "after changes")
        site.command("view.focus.go", "0")
        commands = [
            name
            for name in site.ask("GET", "/commands").json()
            if name.startswith(("codex.", "view.properties", "proxyserver"))
        ]
        assert len([name for name in commands if name.startswith("codex.")]) >= 6
        for name in commands:
            arguments = {"codex.explain": ["@focus"]}.get(name, ["kept"] if name.startswith("codex.") else [])
            put(seen, f"command {name}", site.ask("POST", f"/commands/{name}", {"arguments": arguments}))
        for form in site.command("export.formats")["value"]:
            put(seen, f"export {form}", site.ask("POST", "/commands/export", {"arguments": [form, "@focus"]}))
            assert b"[codex-manager]" in seen[f"export {form}"] or "response" in form, form
        for ears in pushed.values():
            ears.stop()
    seen |= {f"pushed on {path}": b"\n".join(ears.heard) for path, ears in pushed.items()}
    seen["stderr"] = site.proxy.said().encode()

    assert all(seen[f"pushed on {path}"] for path in pushed), "each page was told something"
    assert any(" messages " in name for name in seen), "a socket among it"
    assert len(seen) > 150, "much was looked at"
    assert sum(map(len, seen.values())) > 1_000_000
    secrets["page's token"] = site.token
    print(
        f"searched {len(seen)} answers and streams of frames, {sum(map(len, seen.values())) / 1e6:.1f} MB, for {len(secrets)} secrets"
    )
    assert found_in(seen, secrets) == []


def put(seen, name, answer):
    assert answer.status < 500 or name.startswith(("replay", "command")), (name, answer.status, answer.body[:300])
    seen[name] = str(answer.headers).encode() + answer.body


def topics(site):
    """What the pages are connected to."""
    found = set()
    for path in ("/codex", "/codex/accounts", "/codex/settings", "/codex/about"):
        found |= set(re.findall(r'ws-connect="([^"]+)"', site.ask("GET", path).body.decode()))
    assert found
    return sorted(html.unescape(path) for path in found)


def look(site, seen, when):
    """Everything that can be asked for without changing anything, links and views included."""
    todo = [*addresses(), "/codex/accounts", "/codex/settings", "/codex/about"]
    done = set()
    while todo:
        path = todo.pop()
        if path in done or path.startswith(("/codex/static", "/static")):
            continue
        done.add(path)
        answer = site.ask("GET", path)
        put(seen, f"{when}: {path}", answer)
        if path.startswith("/codex"):
            linked = re.findall(r'(?:href|hx-get|data-get)="(/[^"#]*)"', answer.body.decode("utf-8", "replace"))
            todo += [html.unescape(one) for one in linked if len(done) < 400]
    views = site.ask("GET", "/state").json()["contentViews"]
    flows = site.ask("GET", "/flows").json()
    assert {"openai conversation", "codex-manager decision"} <= {view.lower() for view in views}
    for number, flow in enumerate(flows):
        if flow.get("websocket"):
            for view in views:
                path = f"/flows/{flow['id']}/messages/content/{urllib.parse.quote(view)}"
                put(seen, f"{when}: {flow['id']} messages {view}", site.ask("GET", path))
        some = (
            views
            if number % 10 == 0
            else [view for view in views if view.lower().startswith(("auto", "raw", "openai", "codex"))]
        )
        for side in ("request", "response"):
            put(
                seen, f"{when}: {flow['id']} {side} data", site.ask("GET", f"/flows/{flow['id']}/{side}/content.data")
            ) if flow.get(side) else None
            for view in some if flow.get(side) else ():
                path = f"/flows/{flow['id']}/{side}/content/{urllib.parse.quote(view)}"
                put(seen, f"{when}: {flow['id']} {side} {view}", site.ask("GET", path))


def sdk(site, key):
    """Streams, lists and a failure, as the named default client."""
    with openai.OpenAI(api_key=key, base_url=site.proxy.base_url, timeout=20, max_retries=0) as client:
        with contextlib.suppress(openai.APIError):
            client.models.list()
        with client.responses.connect() as socket:
            socket.response.create(model="gpt-5", input="hi over a socket")
            next(event for event in socket if event.type in {"response.completed", "response.failed", "error"})
        for model in ("gpt-5", "gpt-4o-mini"):
            with contextlib.suppress(openai.APIError):
                list(
                    client.chat.completions.create(
                        model=model, messages=[{"role": "user", "content": "hi"}], stream=True
                    )
                )
            with contextlib.suppress(openai.APIError):
                client.responses.create(model=model, input="hi")


def manage(site, seen, account_id):
    """What people do on the page of accounts; the client key that was made there (its one answer is not searched for it)."""
    form = {"label": "Added", "api_key": SECRETS["added on the page"], "models": "gpt-*", "notes": "from the page"}
    put(seen, "add", site.form("/codex/accounts/new", form))
    put(seen, "add again", site.form("/codex/accounts/new", form))
    wrong = {"label": "", "api_key": SECRETS["refused"], "daily_limit_usd": "x", "base_url": "nonsense"}
    put(seen, "add wrong", site.form("/codex/accounts/new", wrong))
    put(
        seen,
        "edit",
        site.form(f"/codex/accounts/{account_id}/edit", {"api_key": SECRETS["exchanged on the page"], "was": "{}"}),
    )
    elsewhere = {"base_url": "https://evil.example/v1", "was": "{}"}
    put(seen, "edit wrong", site.form(f"/codex/accounts/{account_id}/edit", elsewhere))
    put(seen, "check", site.form(f"/codex/accounts/{account_id}/check", {}))
    put(seen, "usage", site.form(f"/codex/accounts/{account_id}/usage", {}))
    passphrase = {"passphrase": SECRETS["passphrase"], "again": SECRETS["passphrase"], "confirm": site.token}
    put(seen, "export without the token", site.form("/codex/accounts/export", {**passphrase, "confirm": "x"}))
    export = site.form("/codex/accounts/export", passphrase)
    assert export.status == 200, export.body
    assert export.headers["Content-Disposition"].startswith("attachment")
    put(seen, "export", export)
    put(seen, "export wrong", site.form("/codex/accounts/export", {**passphrase, "again": "x"}))
    put(seen, "import", bring(site, export.body, SECRETS["passphrase"]))
    put(seen, "import wrong", bring(site, export.body, "not the passphrase"))
    plain = b'{"accounts": [{"label": "Plain", "api_key": "%s"}]}' % SECRETS["refused"].encode()
    put(seen, "import plain", bring(site, plain, ""))
    made = site.form("/codex/keys/new", {"name": "made-here"})
    assert made.status == 200, made.body
    keys = re.findall(r"sk-[A-Za-z0-9_-]{20,}", made.body.decode())
    assert len(set(keys)) == 1, "shown this once"
    assert made.headers["Cache-Control"] == "no-store"
    for path, values in {
        "/codex/settings/section/proxy": {"proxy.api_key": SECRETS["local"], "api_key": SECRETS["local"]},
        "/codex/settings/strategy": {"routing.strategy": "priority", "strategy": "priority"},
    }.items():
        put(seen, f"save {path}", site.form(path, values))
    return keys[0]


def bring(site, data, passphrase):
    """An upload as a form sends it."""
    edge = "----edge7"
    parts = "".join(
        f'--{edge}\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n{value}\r\n'
        for name, value, more in (
            ("passphrase", passphrase, ""),
            ("wish", "skip", ""),
            ("file", data.decode(), '; filename="a.json"'),
        )
    )
    headers = {**site.bearer, "Content-Type": f"multipart/form-data; boundary={edge}", "HX-Request": "true"}
    return site.ask("POST", "/codex/accounts/import", f"{parts}--{edge}--\r\n".encode(), headers)


def found_in(seen, secrets):
    """In clear, without the ends that may be shown; in hexadecimal, as some views write bytes; quoted for addresses."""
    found = []
    for what, secret in secrets.items():
        middle = secret if what in {"master", "passphrase"} else secret[10:-5]
        forms = {
            middle.encode(),
            middle.encode().hex().encode(),
            urllib.parse.quote_plus(middle).encode(),
            html.escape(middle).encode(),
        }
        found += [f"{what} in {where}" for where, text in seen.items() if any(form in text for form in forms)]
    return found
