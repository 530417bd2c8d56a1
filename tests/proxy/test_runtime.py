"""One door to everything: what is admitted is carried, what breaks is a 503, and what changes on disk is in force within 2 s."""

import asyncio
import json
import logging
import sys

import pytest

from argon2.profiles import CHEAPEST
from tests.proxy.runtime_rig import (
    BOUND,
    CHAT,
    IN_FORCE_S,
    KEY,
    ask,
    code,
    in_force,
    incoming,
    new_home,
    running,
    warnings,
)

from codex_manager.config.errors import ConfigError
from codex_manager.core.secret import Secret
from codex_manager.proxy.incoming import Admission, Limits
from codex_manager.testing import answers
from codex_manager.vault.errors import VaultCorruptError, WrongKeyError
from codex_manager.vault.store import Vault, new_account
from codex_manager.vault.upkeep import unlock


@pytest.fixture
async def home(tmp_path):
    async with new_home(tmp_path, "sk-one", "sk-two") as home:
        yield home


# The door ------------------------------------------------------------------------------------------------------------


async def test_what_is_admitted_is_carried_with_an_accounts_key(home):
    home.create("sk-one")
    async with running(home) as runtime:
        status, document = await ask(runtime)
        assert (status, document["object"]) == (200, "chat.completion")
        assert home.fake.counts() == {"sk-one": 1}
        assert home.fake.log[0].header("host") == f"127.0.0.1:{home.fake.port}"
        assert home.fake.violations() == []


async def test_what_is_refused_reaches_nobody(home):
    home.create("sk-one")
    async with running(home) as runtime:
        assert await code(runtime, incoming(key="sk-proj-foreign")) == (401, "invalid_api_key")
        assert await code(runtime, incoming(target="/foo")) == (404, "unknown_url")
        assert home.fake.log == []


async def test_health_counts_and_ready_decides(home):
    home.create("sk-one", "sk-two")
    async with running(home) as runtime:
        status, health = await ask(runtime, incoming("GET", "/health"))
        assert (status, health["status"], health["accounts"], health["available"]) == (200, "ok", 2, 2)
        assert await ask(runtime, incoming("GET", "/ready")) == (200, {"status": "ready"})
        assert (await ask(runtime, incoming("POST", "/ready")))[0] == 405


async def test_models_are_the_union(home):
    home.create("sk-one", "sk-two")
    async with running(home) as runtime:
        status, document = await ask(runtime, incoming("GET", "/v1/models"), b"")
        assert status == 200
        assert len({model["id"] for model in document["data"]}) == len(document["data"]) > 5
        assert home.fake.counts() == {"sk-one": 1, "sk-two": 1}
        assert (await ask(runtime, incoming("GET", "/v1/models/gpt-4o"), b""))[1]["id"] == "gpt-4o"


async def test_before_the_start_and_after_the_end_everything_is_refused(home):
    home.create("sk-one")
    runtime = await asyncio.to_thread(home.open)
    assert (await ask(runtime))[0] == 503
    await runtime.start(BOUND)
    admitted = runtime.admit(incoming())
    assert isinstance(admitted, Admission)
    await runtime.close()
    await runtime.close()
    assert (await ask(runtime))[0] == 503
    assert (await runtime.carry(admitted, CHAT)).status == 503
    assert home.fake.log == []


@pytest.mark.parametrize("part", ["_gate", "_engine", "_models"])
async def test_whatever_breaks_behind_the_door_is_a_503(home, part, monkeypatch, caplog):
    """Fault injection: each part raises from whatever it is asked."""

    class Broken:
        def __getattr__(self, name):
            raise RuntimeError("broken on purpose, with sk-one in its text")

    home.create("sk-one")
    async with running(home) as runtime:
        with monkeypatch.context() as patch:
            patch.setattr(runtime, part, Broken())
            request = incoming("GET", "/v1/models") if part == "_models" else incoming()
            status, document = await ask(runtime, request)
        assert status == 503
        assert "sk-one" not in json.dumps(document)
        assert home.fake.log == []
        assert any("refused" in text for text in warnings(caplog))
        assert (await ask(runtime))[0] == 200


async def test_a_foreign_admission_is_never_carried(home):
    home.create("sk-one")
    async with running(home) as runtime:
        request = incoming()
        answer = await runtime.carry(
            Admission(incoming=request, client="-", headers=request.headers, foreign=True), CHAT
        )
        assert answer.status == 503
        assert home.fake.log == []


# Starting ------------------------------------------------------------------------------------------------------------


async def test_without_a_vault_it_starts_and_serves_once_there_is_one(home, caplog):
    caplog.set_level(logging.INFO)
    async with running(home) as runtime:
        assert await code(runtime) == (503, "no_available_accounts")
        assert (await ask(runtime, incoming("GET", "/ready")))[1]["reason"] == "no_available_accounts"
        assert (await ask(runtime, incoming("GET", "/health")))[1]["status"] == "degraded"
        assert "codex-manager add" in caplog.text
        home.create("sk-one")

        async def serving():
            return (await ask(runtime))[0] == 200

        await in_force(serving)


async def test_a_vault_that_appears_under_another_key_is_said_once(home, caplog):
    async with running(home) as runtime:
        with Vault.create(home.paths.vault_file, Secret("another key"), profile=CHEAPEST):
            pass
        await asyncio.sleep(1.2)
        said = warnings(caplog)[-1]
        assert said.endswith("no account can serve until then")
        assert warnings(caplog).count(said) == 1
        assert await code(runtime) == (503, "no_available_accounts")


async def test_what_changes_between_opening_and_starting_is_not_missed(home):
    """The listener is bound in between, which can take as long as it takes."""
    home.create("sk-one")
    runtime = await asyncio.to_thread(home.open)
    with home.vault() as vault:
        vault.add(new_account("Two", Secret("sk-two")))
    home.configure(response_headers=False)
    try:
        await runtime.start(BOUND)

        async def seen():
            health = (await ask(runtime, incoming("GET", "/health")))[1]
            return health["accounts"] == 2 and not runtime.response_headers

        await in_force(seen)
    finally:
        await runtime.close()


async def test_a_wrong_master_key_ends_the_start_with_status_3(home):
    home.create("sk-one")
    home.environ |= {"CAM_MASTER_KEY": "wrong"}
    with pytest.raises(WrongKeyError) as caught:
        home.open()
    assert caught.value.exit_code == 3


async def test_a_damaged_vault_ends_the_start_with_one_sentence(home):
    home.paths.vault_file.write_bytes(b"no vault at all" * 500)
    with pytest.raises(VaultCorruptError) as caught:
        home.open()
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 1


async def test_a_wrong_configuration_ends_the_start_with_file_line_and_key(home):
    home.configure(retries=3)
    with pytest.raises(ConfigError, match=r"config.yaml.*3.*proxy.retries"):
        home.open()


@pytest.mark.parametrize("where", ["127.0.0.1", "localhost", "0.0.0.0"])
async def test_a_base_url_that_leads_back_here_ends_the_start(home, where):
    """The listener may be bound elsewhere than configured, so the configuration alone cannot know."""
    home.create("sk-one")
    home.configure(openai_base_url=f"http://{where}:18080" if where != "0.0.0.0" else "https://0.0.0.0:18080")
    runtime = await asyncio.to_thread(home.open)
    with pytest.raises(ConfigError, match="leads back to this proxy"):
        await runtime.start(BOUND)
    await runtime.close()


async def test_an_account_that_leads_back_here_is_left_out(home, caplog):
    home.create("sk-one")
    with home.vault() as vault:
        vault.add(new_account("Loop", Secret("sk-loop"), base_url="http://localhost:18080"))
    async with running(home) as runtime:
        assert (await ask(runtime, incoming("GET", "/health")))[1]["accounts"] == 1
        assert sum("'Loop' is this proxy itself" in text for text in warnings(caplog)) == 1


async def test_the_sessions_certificates_are_not_used_and_that_is_said(home, caplog):
    caplog.set_level(logging.INFO)
    home.create("sk-one")
    home.environ |= {"SSL_CERT_FILE": "/nowhere/ca.pem"}
    async with running(home):
        assert caplog.text.count("uses upstream.ca_file, not SSL_CERT_FILE") == 1


# While it runs -------------------------------------------------------------------------------------------------------


async def test_a_changed_configuration_is_in_force_in_time(home):
    home.create("sk-one")
    async with running(home) as runtime:
        assert runtime.response_headers
        assert runtime.limits == Limits()
        home.configure(
            "limits:\n  max_headers: 50", response_headers=False, api_key="sk-mine", allowed_hosts=["ai.lan"]
        )

        async def changed():
            return not runtime.response_headers

        await in_force(changed, within=IN_FORCE_S)
        assert runtime.limits.header_count == 50
        assert await code(runtime) == (401, "invalid_api_key")
        assert (await ask(runtime, incoming(key="sk-mine")))[0] == 200


async def test_a_bad_edit_changes_nothing_and_is_said_once(home, caplog):
    home.create("sk-one")
    async with running(home) as runtime:
        home.configure("routing:\n  strategy: random", api_key="sk-mine")
        await asyncio.sleep(1.2)
        (said,) = warnings(caplog)
        assert "config.yaml line 5: routing.strategy" in said
        assert said.endswith("the configuration from before stays in force")
        assert (await ask(runtime))[0] == 200
        home.configure("routing:\n  strategy: priority", api_key="sk-mine")

        async def changed():
            return runtime.config.routing.strategy == "priority"

        await in_force(changed)


async def test_an_edit_that_would_loop_is_kept_out(home, caplog):
    home.create("sk-one")
    async with running(home) as runtime:
        home.configure(openai_base_url="http://localhost:18080")

        async def said():
            return any("leads back to this proxy" in text for text in warnings(caplog))

        await in_force(said)
        assert (await ask(runtime))[0] == 200


async def test_another_bind_address_is_said_to_need_a_restart(home, caplog):
    home.create("sk-one")
    async with running(home):
        home.configure(bind_addr="127.0.0.1:18999")

        async def said():
            return any("127.0.0.1:18999" in text and "start the proxy again" in text for text in warnings(caplog))

        await in_force(said)


ADD = """
import sys
from pathlib import Path
from codex_manager.core.secret import Secret
from codex_manager.vault.store import Vault, new_account
with Vault.open(Path(sys.argv[1]), Secret(sys.argv[2])) as vault:
    vault.add(new_account("Two", Secret("sk-two")))
"""


async def test_an_account_added_by_another_process_serves_in_time(home):
    home.create("sk-one")
    async with running(home) as runtime:
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", ADD, str(home.paths.vault_file), KEY)
        assert await asyncio.wait_for(process.wait(), 20) == 0

        async def seen():
            return (await ask(runtime, incoming("GET", "/health")))[1]["accounts"] == 2

        await in_force(seen, within=IN_FORCE_S)
        home.fake.always("sk-one", answers.insufficient_quota())
        assert (await ask(runtime))[0] == 200
        assert home.fake.counts("sk-two") == 1


async def test_a_removed_account_is_used_no_more(home):
    home.create("sk-one", "sk-two")
    async with running(home) as runtime:
        with home.vault() as vault:
            vault.remove("One")

        async def seen():
            return (await ask(runtime, incoming("GET", "/health")))[1]["accounts"] == 1

        await in_force(seen)
        for _ in range(4):
            await ask(runtime)
        assert home.fake.counts() == {"sk-two": 4}


async def test_a_pinned_account_serves_everything(home):
    home.create("sk-one", "sk-two")
    async with running(home) as runtime:
        with home.vault() as vault:
            vault.pin(vault.account("Two").id)

        async def pinned():
            return runtime._engine.settings.pinned_account is not None

        await in_force(pinned)
        for _ in range(4):
            await ask(runtime)
        assert home.fake.counts() == {"sk-two": 4}


async def test_named_keys_come_and_go(home):
    home.create("sk-one")
    async with running(home) as runtime:
        with home.vault() as vault:
            _, secret = vault.add_client_key("laptop")

        async def status():
            return (await ask(runtime, incoming(key=secret.reveal())))[0]

        async def works():
            return await status() == 200

        async def works_no_more():
            return await status() == 401

        await in_force(works)
        with home.vault() as vault:
            vault.revoke_client_key("laptop")
        await in_force(works_no_more)


async def test_a_locked_vault_stops_serving_and_an_unlocked_one_serves_again(home):
    """And the keys are gone meanwhile; a named client is told so, not taken for a stranger."""
    home.create("sk-one")
    with home.vault() as vault:
        _, secret = vault.add_client_key("laptop")
    async with running(home) as runtime:
        assert (await ask(runtime))[0] == 200
        with home.vault() as vault:
            vault.lock()

        async def locked():
            return await code(runtime) == (503, "vault_locked")

        await in_force(locked)
        assert await code(runtime, incoming(key=secret.reveal())) == (503, "vault_locked")
        assert (await ask(runtime, incoming("GET", "/ready")))[1]["reason"] == "vault_locked"
        assert runtime._contents.accounts is None
        assert runtime._source._vault is None
        await asyncio.to_thread(unlock, home.paths.vault_file, Secret(KEY))

        async def serving():
            return (await ask(runtime))[0] == 200

        await in_force(serving)


async def test_a_vault_with_a_key_we_do_not_have_changes_nothing_and_is_said_once(home, tmp_path, caplog):
    home.create("sk-one")
    with Vault.create(tmp_path / "other" / "vault.db", Secret("another key"), profile=CHEAPEST):
        pass
    async with running(home) as runtime:
        (tmp_path / "other" / "vault.db").replace(home.paths.vault_file)
        await asyncio.sleep(1.2)
        assert (await ask(runtime))[0] == 200
        (said,) = warnings(caplog)
        assert said.endswith("the accounts from before stay in use")


async def test_a_restored_vault_is_taken_over(home, tmp_path):
    home.create("sk-one")
    with home.vault() as vault:
        vault.backup(tmp_path / "backup.db")
        vault.remove("One")
        vault.add(new_account("Two", Secret("sk-two")))
    async with running(home) as runtime:
        await ask(runtime)
        (tmp_path / "backup.db").replace(home.paths.vault_file)

        async def restored():
            await ask(runtime)
            return home.fake.counts("sk-one") > 0

        await in_force(restored)


async def test_a_vault_that_disappears_changes_nothing(home, tmp_path, caplog):
    home.create("sk-one")
    async with running(home) as runtime:
        home.paths.vault_file.rename(tmp_path / "aside.db")

        async def said():
            return any("there is no vault" in text for text in warnings(caplog))

        await in_force(said)
        assert (await ask(runtime))[0] == 200
        (tmp_path / "aside.db").rename(home.paths.vault_file)
        with home.vault() as vault:
            vault.add(new_account("Two", Secret("sk-two")))

        async def seen():
            return (await ask(runtime, incoming("GET", "/health")))[1]["accounts"] == 2

        await in_force(seen)


async def test_nothing_of_a_secret_is_logged(home, caplog):
    caplog.set_level(logging.DEBUG)
    home.create("sk-one")
    async with running(home) as runtime:
        await ask(runtime)
        await ask(runtime, incoming(key="sk-proj-foreign-key"))
    assert not any(secret in caplog.text for secret in ("sk-one", "sk-proj-foreign-key", KEY))


async def test_the_vault_is_not_written_by_reading_it(home):
    home.create("sk-one")
    before = home.paths.vault_file.read_bytes()
    async with running(home) as runtime:
        await ask(runtime)
    assert home.paths.vault_file.read_bytes() == before
