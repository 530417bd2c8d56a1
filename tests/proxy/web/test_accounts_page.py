"""The accounts on the page: what is shown of them, what each button does to the vault, and what never leaves it."""

import html
import json
import os
import re
import subprocess
import sys

import pytest

from tests.proxy.web.page_rig import visiting
from tests.support import MASTER_KEY, account
from tornado import httpclient

from codex_manager.config.paths import Paths
from codex_manager.core.secret import Secret
from codex_manager.proxy.web.accounts_page import LIST_TOPIC, TOPIC, topics
from codex_manager.proxy.web.accounts_routes import ACCOUNTS
from codex_manager.proxy.web.language import language
from codex_manager.testing import FakeOpenAI
from codex_manager.vault.store import Vault


WORK, HOME, NEW = "sk-work-canary-0123456789", "sk-home-canary-0123456789", "sk-new-canary-9876543210"
ADMIN = "sk-admin-canary-0123456789"
CANARIES = (WORK, HOME, NEW, ADMIN)
OFF = "metering: {enabled: false}\n"
"""For tests that are not about money: it spares the prices."""
BLANK = dict.fromkeys(
    (
        "organization", "project", "base_url", "models", "daily_limit_usd", "monthly_limit_usd", "priority", "weight", "tags", "notes",
    ),
    "",
)  # fmt: skip
"""A form in which nothing was typed; browsers do not send boxes that are not ticked."""


@pytest.fixture
def paths(tmp_path):
    return Paths(tmp_path, tmp_path)


@pytest.fixture
def two():
    return [account("Work", WORK, daily_limit_usd=5.0, tags=("<b>",)), account("Home", HOME, admin_key=Secret(ADMIN))]


def stored(paths):
    """What is in the file, by label."""
    with Vault.open(paths.vault_file, Secret(MASTER_KEY)) as vault:
        return {each.label: each for each in vault.accounts()}, vault.pinned_account(), vault.client_keys()


def wrong(text):
    """Field -> the sentence beside it."""
    return {n: html.unescape(said) for n, said in re.findall(r'id="wrong-(\w+)"[^>]*>([^<]+)<', text)}


def was(text):
    """What a form remembers of itself."""
    found = re.search(r'name="was" value="([^"]*)"', text)
    assert found
    return html.unescape(found[1])


async def upload(visitor, data, **fields):
    parts = [f'--b\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n'.encode() for n, v in fields.items()]
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.json"\r\n\r\n'
    answer = await httpclient.AsyncHTTPClient(force_instance=True).fetch(
        f"{visitor.url}/codex/accounts/import", raise_error=False, method="POST",
        body=b"".join([*parts, head, data, b"\r\n--b--\r\n"]), request_timeout=20,
        headers={
            "Content-Type": "multipart/form-data; boundary=b", "HX-Request": "true",
            "Cookie": "; ".join(f"{n}={v}" for n, v in visitor.cookies.items()),
            "X-XSRFToken": visitor.cookies["_mitmproxy_xsrf"],
        },
    )  # fmt: skip
    return answer.code, answer.body.decode()


def mark(text):
    found = re.search(r'name="shown" value="(\w+)"', text)
    assert found
    return found[1]


async def test_without_accounts_the_page_says_how_to_begin(paths):
    async with visiting(paths, (), OFF) as visitor:
        page = await visitor.text("/codex/accounts")
        assert "Add the first account" in page
        sheet = await visitor.text("/codex/accounts/new")
        values = BLANK | {"label": "First", "api_key": NEW, "enabled": "1"}
        answer = await visitor.ask("/codex/accounts/new", values)
        assert answer.code == 200
        assert answer.headers["HX-Trigger"] == "sheet-done"
        assert answer.headers["HX-Retarget"] == "#accounts"
        assert "First was added." in answer.body.decode()
        assert [each.label for each in visitor.runtime.accounts or ()] == ["First"], "in force when it is answered"
    assert 'type="password"' in sheet
    accounts, *_ = stored(paths)
    assert accounts["First"].api_key == Secret(NEW)


async def test_a_row_says_who_it_is_and_how_it_does_and_its_parts_move_by_themselves(paths, two, monkeypatch):
    two[1] = two[1].replace(models=("gpt-4o*",), enabled=False)
    async with visiting(paths, two) as visitor:
        page = await visitor.text("/codex/accounts")
        for text in ("…6789", "gpt-4o*", "&lt;b&gt;", "$5.00", ">disabled<", ">ready<", "1 of 2 can serve"):
            assert text in page, text
        assert "<b>" not in page
        rendered = {}
        monkeypatch.setattr(visitor.face.hub, "topic", lambda name, render: rendered.update({name: render}))
        topics(visitor.face._surroundings)
        parts = rendered[TOPIC](language("en"))
        assert set(parts) == {"", two[0].id, two[1].id}
        for each in two:
            for part in ("state", "spent", "flight"):
                assert f'id="{part}-{each.id}"' in page
                assert f'id="{part}-{each.id}" hx-swap-oob="true"' in parts[each.id]
        before = rendered[LIST_TOPIC](language("en"))
        shape = re.search(r'name="shape" value="(\w+)"', page)
        assert shape
        assert shape[1] in before
        assert (await visitor.ask(f"/codex/accounts/list?shape={shape[1]}")).code == 204
        await visitor.text(f"/codex/accounts/{two[1].id}/enable", {})
        assert rendered[LIST_TOPIC](language("en")) != before, "rows come and go when what is stored has changed"
        assert ">Home<" in await visitor.text(f"/codex/accounts/list?shape={shape[1]}")


async def test_all_mistakes_of_a_form_are_told_at_once_and_nothing_typed_comes_back(paths, two):
    async with visiting(paths, two, OFF) as visitor:
        bad = {"label": "", "api_key": f"{NEW} x", "daily_limit_usd": "-1", "weight": "much", "base_url": "ftp://x"}
        answer = await visitor.ask("/codex/accounts/new", BLANK | bad)
        text = answer.body.decode()
        assert (answer.code, answer.headers["HX-Reswap"]) == (422, "none")
        assert wrong(text).keys() == bad.keys()
        assert NEW not in text
        assert 'id="wrong-notes"' in text, "what was said before is taken back"
        for values, field in (
            ({"label": "WORK", "api_key": NEW}, "label"),
            ({"label": "x", "api_key": WORK}, "api_key"),
        ):
            assert wrong(await visitor.text("/codex/accounts/new", BLANK | values, 422)).keys() == {field}
    assert stored(paths)[0].keys() == {"Work", "Home"}


async def test_openai_is_asked_about_a_key_first_if_that_is_wanted(paths, two):
    async with FakeOpenAI() as fake:
        fake.account(WORK, organization="org-w")
        config = f"proxy: {{openai_base_url: {fake.base_url}}}\n{OFF}"
        async with visiting(paths, two, config) as visitor:
            values = BLANK | {"label": "New", "api_key": NEW, "enabled": "1"}
            refused = wrong(await visitor.text("/codex/accounts/new", values | {"check": "1"}, 422))
            assert "OpenAI refuses this key" in refused["api_key"]
            assert "New was added." in await visitor.text("/codex/accounts/new", values)
            work, home = (each.id for each in two)
            assert "OpenAI accepts the key. It belongs to org-w." in await visitor.text(
                f"/codex/accounts/{work}/check", {}
            )
            assert "OpenAI refuses the key." in await visitor.text(f"/codex/accounts/{home}/check", {})
            said = await visitor.text(f"/codex/accounts/{work}/usage", {})
            assert "tells this key nothing about money" in said


async def test_an_edit_changes_what_was_changed_in_the_form_and_nothing_else(paths, two):
    async with visiting(paths, two, OFF) as visitor:
        edit = f"/codex/accounts/{two[1].id}/edit"
        form = await visitor.text(edit)
        assert "…6789" in form
        values = json.loads(was(form))
        with Vault.open(paths.vault_file, Secret(MASTER_KEY)) as vault:
            vault.edit("Home", priority=7)  # in another tab
        del values["enabled"]
        text = await visitor.text(edit, values | {"label": "House", "notes": "two\r\nlines", "was": was(form)})
        assert "House was changed." in text
        house = stored(paths)[0]["House"]
        assert (house.priority, house.notes, house.enabled) == (7, "two\nlines", False)
        assert (house.api_key, house.admin_key) == (Secret(HOME), Secret(ADMIN)), "an empty field keeps the stored key"
        form = await visitor.text(edit)
        again = json.loads(was(form)) | {"was": was(form)}
        del again["enabled"]
        assert "Nothing was changed in House." in await visitor.text(edit, again)
        moved = again | {"base_url": "https://elsewhere.example"}
        assert "together with the key only" in wrong(await visitor.text(edit, moved, 422))["base_url"]
        await visitor.text(edit, again | {"forget_admin_key": "1", "api_key": NEW})
    house = stored(paths)[0]["House"]
    assert (house.api_key, house.admin_key, house.base_url) == (Secret(NEW), None, None)


async def test_enabling_switching_and_removing_are_in_force_at_once(paths, two):
    work, home = two
    async with visiting(paths, two, OFF) as visitor:

        async def press(path, **form):
            return await visitor.text(f"/codex/accounts/{path}", form)

        assert "Work does not serve any more." in await press(f"{work.id}/disable")
        assert not stored(paths)[0]["Work"].enabled
        assert visitor.runtime.status()["available"] == 1
        assert "disabled: nothing is served" in await press(f"{work.id}/switch")
        assert stored(paths)[1] == work.id
        assert "Everything goes to Work, whatever the strategy says." in await press(f"{work.id}/enable")
        assert visitor.runtime.status()["switched_to"] == "Work"
        assert "chooses again" in await press("automatic")
        assert stored(paths)[1] is None
        answer = await visitor.ask(f"/codex/accounts/{work.id}/remove", {"label": "Home"})
        assert (answer.code, answer.headers["HX-Retarget"]) == (422, "#sheet-notes")
        assert "Work" in stored(paths)[0]
        assert "Work was removed" in await press(f"{work.id}/remove", label="work")
        assert stored(paths)[0].keys() == {"Home"}
        for path in ("enable", "switch", "remove", "edit", "check", "usage"):
            answer = await visitor.ask(f"/codex/accounts/{work.id}/{path}", {"label": "x"})
            assert answer.code == 422
            assert "This account is not there any more: it was removed elsewhere." in answer.body.decode()
        assert home.id in await visitor.text("/codex/accounts")


async def test_an_import_does_what_was_shown_or_shows_it_again(paths, two):
    data = json.dumps([{"label": "Work", "api_key": NEW}, {"label": "Third", "api_key": "sk-third-0123456789", "x": 1}])
    async with visiting(paths, two, OFF) as visitor:
        status, text = await upload(visitor, data.encode(), step="preview", wish="")
        assert status == 422
        assert "already in the vault" in html.unescape(text)
        status, text = await upload(visitor, data.encode(), step="preview", wish="replace")
        assert status == 200
        assert re.findall(r"<dd>(.*?)</dd>", text) == ["Third", "Work", "none", "x"]
        assert NEW not in text
        shown = mark(text)
        with Vault.open(paths.vault_file, Secret(MASTER_KEY)) as vault:
            vault.remove("Work")
        status, text = await upload(visitor, data.encode(), step="import", wish="replace", shown=shown)
        assert "nothing was imported yet" in text
        assert stored(paths)[0].keys() == {"Home"}
        status, text = await upload(visitor, data.encode(), step="import", wish="replace", shown=mark(text))
        assert "Imported: 2 added, 0 replaced, 0 left out." in text
        assert stored(paths)[0]["Work"].api_key == Secret(NEW)
        assert (await upload(visitor, b"\xff\xfe", step="preview"))[0] == 422
        assert (await visitor.ask("/codex/accounts/import", {"step": "preview"})).code == 422


async def test_an_export_needs_its_passphrase_twice_and_the_token_once_more(paths, two):
    async with visiting(paths, two, OFF) as visitor:
        good = {"passphrase": "open sesame", "again": "open sesame", "confirm": visitor.token}
        for wrong in (
            {"again": "two"},
            {"passphrase": "", "again": ""},
            {"confirm": ""},
            {"confirm": "0" * 32},
            {"confirm": "ü"},
        ):
            answer = await visitor.ask("/codex/accounts/export", good | wrong)
            assert answer.code == 422
            assert "Content-Disposition" not in answer.headers
            assert WORK not in answer.body.decode()


@pytest.mark.slow
async def test_an_export_is_a_sealed_file_that_the_page_and_the_command_line_read(paths, two, tmp_path_factory):
    async with visiting(paths, two, OFF) as visitor:
        form = {"passphrase": "open sesame", "again": "open sesame", "confirm": visitor.token}
        answer = await visitor.ask("/codex/accounts/export", form)
        assert answer.code == 200
        assert answer.headers["Content-Disposition"].startswith('attachment; filename="codex-manager-accounts-')
        sealed = answer.body
        assert not any(key.encode() in sealed for key in CANARIES)
        status, text = await upload(visitor, sealed, step="preview", wish="replace")
        assert (status, "its passphrase is needed" in text) == (422, True)
        status, text = await upload(visitor, sealed, step="preview", wish="replace", passphrase="open sesame")
        status, text = await upload(
            visitor, sealed, step="import", wish="replace", passphrase="open sesame", shown=mark(text)
        )
        assert "0 added, 2 replaced" in text
        listed = command(paths, "list", "--json")
    assert [each["label"] for each in json.loads(listed)] == ["Work", "Home"]
    other = tmp_path_factory.mktemp("other")
    (other / "x.json").write_bytes(sealed)
    async with visiting(Paths(other, other)):
        pass
    command(Paths(other, other), "import", str(other / "x.json"), "--passphrase-stdin", told="open sesame\n")
    assert stored(Paths(other, other))[0]["Home"].admin_key == Secret(ADMIN)


def command(paths, *arguments, told=""):
    """The command line, a process of its own."""
    environ = {**os.environ, "CODEX_MANAGER_HOME": str(paths.data_dir), "CAM_MASTER_KEY": MASTER_KEY}
    done = subprocess.run(
        [sys.executable, "-m", "codex_manager_cli", *arguments],
        env=environ, input=told, capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


async def test_a_client_key_is_shown_once_and_opens_the_proxy_until_it_is_revoked(paths, two):
    async with visiting(paths, two, OFF) as visitor:
        assert wrong(await visitor.text("/codex/keys/new", {"name": "", "daily_limit_usd": "x"}, 422)).keys() == {
            "name", "daily_limit_usd",
        }  # fmt: skip
        made = await visitor.text("/codex/keys/new", {"name": "C & I", "daily_limit_usd": "2", "models": ""})
        found = re.search(r'value="(sk-cm-[\w-]+)"', made)
        assert found
        key = found[1]
        assert visitor.runtime.knows_key(key.encode())
        page = await visitor.text("/codex/accounts")
        assert "C &amp; I" in page
        assert "$2.00" in page
        assert key not in page
        form = await visitor.text("/codex/keys/edit?name=C%20%26%20I")
        assert key not in form
        await visitor.text("/codex/keys/edit", {"name": "C & I", "models": "gpt-4o", "was": was(form)})
        ((stored_key),) = stored(paths)[2]
        assert (stored_key.models, stored_key.daily_limit_usd) == (("gpt-4o",), 2)
        assert "is refused from now on" in await visitor.text("/codex/keys/revoke", {"name": "C & I"})
        assert not visitor.runtime.knows_key(key.encode())
        assert "revoked elsewhere" in await visitor.text("/codex/keys/revoke", {"name": "C & I"}, 422)
        assert "revoked elsewhere" in await visitor.text("/codex/keys/edit?name=x", status=422)


async def test_nobody_gets_in_without_the_token_nor_from_another_site_nor_without_the_xsrf_token(paths, two):
    routes = [pattern.replace("([0-9a-f-]{36})", two[0].id).rstrip("?").rstrip("/") for pattern, _ in ACCOUNTS]
    async with visiting(paths, two, OFF) as visitor:
        cookies = dict(visitor.cookies)
        for path in routes:
            for form in (None, {"label": "Work"}):
                visitor.cookies = {"_mitmproxy_xsrf": cookies["_mitmproxy_xsrf"]}
                answer = await visitor.ask(path, form)
                assert answer.code in {403, 405}, path
                assert "Work" not in answer.body.decode()
            visitor.cookies = dict(cookies)
            assert (await visitor.ask(path, {"label": "Work"}, headers={"Sec-Fetch-Site": "cross-site"})).code == 403, (
                path
            )
            visitor.cookies = {n: v for n, v in cookies.items() if n != "_mitmproxy_xsrf"}
            assert (await visitor.ask(path, {"label": "Work"})).code == 403, path
        visitor.cookies = cookies
        assert stored(paths)[0].keys() == {"Work", "Home"}


async def test_no_stored_key_is_in_any_answer(paths, two):
    routes = [pattern.replace("([0-9a-f-]{36})", two[1].id).rstrip("?").rstrip("/") for pattern, _ in ACCOUNTS]
    async with visiting(paths, two, OFF) as visitor:
        for path in routes:
            if "/remove" in path or "/check" in path or "/usage" in path:
                continue  # they end the account or ask the network
            for form in (None, {"label": "x", "was": "{", "name": "default", "enabled": "1"}):
                answer = await visitor.ask(path, form)
                sent = answer.body.decode() + str(list(answer.headers.get_all()))
                assert not [key for key in CANARIES if key in sent], path
                assert " style=" not in sent
                assert "<script>" not in sent
                assert answer.code < 500, path
