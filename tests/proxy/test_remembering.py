"""What was learned before a restart still holds after it, and a restart in a storm does not start the storm again."""

import asyncio
import concurrent.futures
import http.client
import json
import time

from dataclasses import replace

import pytest

from tests.proxy.runtime_rig import KEY, ask, code, in_force, new_home, running, warnings
from tests.support import LOCAL_KEY, account, make_home, running_proxy, wait_for

from codex_manager.core.bindings import Binding
from codex_manager.core.owners import Owner
from codex_manager.core.persist import Mark
from codex_manager.core.resources import Learned
from codex_manager.core.secret import Secret
from codex_manager.ledger import BindingsKept, Clerk, MarksKept, Reader
from codex_manager.proxy import remembering
from codex_manager.testing import FakeOpenAI, answers, in_thread
from codex_manager.vault.upkeep import unlock


LIMITED = answers.rate_limited(retry_after=60.0)


@pytest.fixture
async def home(tmp_path):
    async with new_home(tmp_path) as home:
        home.fake.account("sk-one", organization="org-a", project="proj_a")
        home.fake.account("sk-two", organization="org-b", project="proj_b")
        home.create("sk-one", "sk-two")
        yield home


def marks(home):
    with Reader.open(home.paths.ledger_file) as reader:
        return {mark.kind for mark in reader.marks()}


async def test_limited_accounts_are_not_asked_again_after_a_restart(home):
    for key in ("sk-one", "sk-two"):
        home.fake.always(key, LIMITED)
    async with running(home) as runtime:
        assert await code(runtime) == (429, "rate_limit_exceeded")

        async def written():
            return marks(home) == {"scope"}

        await in_force(written)  # without waiting for the end
    before = len(home.fake.log)
    async with running(home) as runtime:
        status, document = await ask(runtime)
        assert (status, document["error"]["code"]) == (429, "rate_limit_exceeded")
        again = float(document["error"]["message"].partition("try again in ")[2].partition("s")[0])
        assert 40 < again <= 60
        report = runtime._engine.report()
        assert {each.state for each in report.accounts} == {"limited"}
    assert len(home.fake.log) == before


async def test_bad_keys_and_empty_purses_hold_until_the_account_is_edited(home):
    home.fake.always("sk-one", answers.invalid_key())
    home.fake.always("sk-two", answers.insufficient_quota())
    async with running(home) as runtime:
        assert (await code(runtime))[0] == 429
    home.fake.clear("sk-one")
    before = len(home.fake.log)
    async with running(home) as runtime:
        assert await code(runtime) == (429, "insufficient_quota")
        assert len(home.fake.log) == before
        with home.vault() as vault:
            vault.update(vault.account("One").replace(notes="a new key, perhaps"))

        async def served():
            return await code(runtime) == (200, None)

        await in_force(served)


async def test_what_healed_is_forgotten_on_disk_too(home):
    home.configure("routing: {max_inline_wait_s: 0}")
    home.fake.always(None, answers.rate_limited(retry_after=6.0))
    async with running(home) as runtime:
        assert (await code(runtime))[0] == 429
        for (_, model), scope in runtime._engine.state.scopes.items():
            assert model == "gpt-4o"
            scope.cooling.lift()
        home.fake.clear(None)
        assert await code(runtime) == (200, None)
    assert marks(home) == set()


async def test_owners_and_homes_of_conversations_come_back(home):
    async with running(home) as runtime:
        engine = runtime._engine
        wall, now = engine.clock.time(), engine.clock.monotonic()
        engine.state.owners.note([Learned("file-1", "files"), Learned("file-2", "files")], "org-a/proj_a", "a", wall)
        engine.state.owners.forget("file-2")
        engine.state.bindings.chosen("session", engine.candidates[0].account.id, "org-a", now)
    async with running(home) as runtime:
        engine = runtime._engine
        assert engine.state.owners.owner("file-1") == Owner("org-a/proj_a", "a", "files", strong=True, seen=wall)
        assert engine.state.owners.owner("file-2") is None
        found = engine.state.bindings.get("session", engine.clock.monotonic())
        assert found is not None
        assert found.home == engine.candidates[0].account.id
        assert abs(found.seen - now) < 5.0
        engine.state.owners.forget("file-1")
    async with running(home) as runtime:
        assert runtime._engine.state.owners.owner("file-1") is None


async def test_marks_of_accounts_wait_for_a_locked_vault(home):
    home.fake.always("sk-one", answers.invalid_key())
    home.fake.always("sk-two", answers.invalid_key())
    async with running(home) as runtime:
        assert await code(runtime) == (403, "no_usable_account")
    with home.vault() as vault:
        vault.lock()
    before = len(home.fake.log)
    async with running(home) as runtime:
        assert await code(runtime) == (503, "vault_locked")
        await asyncio.sleep(2 * remembering.TICK_S)
        assert marks(home) == {"auth"}
        await asyncio.to_thread(unlock, home.paths.vault_file, Secret(KEY))

        async def unlocked():
            return await code(runtime) == (403, "no_usable_account")

        await in_force(unlocked)
    assert len(home.fake.log) == before


async def test_a_clock_that_jumps_a_day_is_harmless(home):
    """Back: nothing rests longer than it would have. Forward: it is over."""
    home.fake.always(None, LIMITED)
    async with running(home) as runtime:
        assert (await code(runtime))[0] == 429
    with Reader.open(home.paths.ledger_file) as reader:
        written = reader.marks()
    for days, state in ((1, "limited"), (-1, "ready")):
        moved = [replace(mark, until=mark.until + days * 86_400) for mark in written]
        Clerk(home.paths.ledger_file).write(MarksKept(moved))
        async with running(home) as runtime:
            for each in runtime._engine.report().accounts:
                assert each.state == state
                assert each.retry_at is None or each.retry_at < time.time() + 61
            for scope in runtime._engine.state.scopes.values():
                scope.cooling.lift()


async def test_nonsense_in_the_ledger_keeps_nobody_from_serving(home, caplog):
    async with running(home):
        pass
    clerk = Clerk(home.paths.ledger_file)
    clerk.write(BindingsKept.of([("s", Binding("x", "y", 0.0, 9e99))]))
    clerk.write(MarksKept([Mark("scope", "org", "no model", 9e99, 9e99), Mark("of another time", "", "", 9e99, 60.0)]))
    async with running(home) as runtime:
        assert await code(runtime) == (200, None)
        runtime._engine.state.owners.drain = None  # whatever breaks

        async def said():
            return any("after a restart" in text for text in warnings(caplog))

        await in_force(said)
        assert await code(runtime) == (200, None)


@pytest.mark.slow
def test_killed_in_a_storm_a_new_process_sends_one_probe_a_scope_at_the_most(isolated_home):
    """All accounts are limited, kill -9 while clients hammer, and start again: silence until the rests end, then a probe each."""

    def hammer(port):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            body = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]})
            connection.request("POST", "/v1/chat/completions", body, {"Authorization": f"Bearer {LOCAL_KEY}"})
            answer = connection.getresponse()
            answer.read()
            return answer.status, float(answer.getheader("retry-after") or 0)
        except OSError:
            return None
        finally:
            connection.close()

    with in_thread(FakeOpenAI()) as fake, concurrent.futures.ThreadPoolExecutor(16) as threads:
        for key in ("sk-one", "sk-two", "sk-three"):
            fake.account(key, organization=f"org-{key[3:]}", project="proj")
            fake.always(key, answers.rate_limited(retry_after=15.0))
        accounts = [account(key[3:], key) for key in ("sk-one", "sk-two", "sk-three")]
        home = make_home(isolated_home, accounts, f"proxy:\n  openai_base_url: {fake.base_url}\n")
        with running_proxy(home) as proxy:
            assert {found[0] for found in threads.map(hammer, [proxy.port] * 32)} == {429}
            began = time.time()
            assert wait_for(lambda: len(_marks(home)) == 3)
            storm = [threads.submit(hammer, proxy.port) for _ in range(64)]
            proxy.process.kill()
            [each.result() for each in storm]
        before = len(fake.log)
        assert before <= 3 * 16, "only what was on its way together"
        with running_proxy(home) as proxy:
            found = list(threads.map(hammer, [proxy.port] * 64))
            left = 15 - (time.time() - began)
            assert {status for status, _ in found} == {429}
            assert all(left - 1 <= after <= 16 for _, after in found)
            assert len(fake.log) == before
            for key in ("sk-one", "sk-two", "sk-three"):
                fake.always(key, LIMITED)
            time.sleep(max(0.0, left + 1))
            found = list(threads.map(hammer, [proxy.port] * 64))
            assert {status for status, _ in found} == {429}
            assert before < len(fake.log) <= before + 3


def _marks(home):
    with Reader.open(home.path / "ledger.db") as reader:
        return reader.marks()
