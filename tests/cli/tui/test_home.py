"""Where the page's values come from: vault and ledger without a proxy, the proxy's own pages with one."""

import contextlib
import threading
import time

import openai
import pytest

from tests.support import MASTER_KEY, account, make_home, running_proxy, wait_for

from codex_manager.config.paths import Paths
from codex_manager.core.secret import Secret
from codex_manager.testing import FakeOpenAI, in_thread
from codex_manager.testing.answers import ok, rate_limited
from codex_manager.vault import upkeep
from codex_manager.vault.errors import WrongKeyError
from codex_manager_cli.tui.deeds import Deeds, ProxyError
from codex_manager_cli.tui.home import Home
from codex_manager_cli.tui.keyholder import Keyholder


KEYS = {label: f"sk-{label}-0123456789abcdef" for label in ("work", "home")}


@contextlib.contextmanager
def looked_at(home, environ=None):
    paths = Paths.locate({"CODEX_MANAGER_HOME": str(home.path)})
    keyholder = Keyholder(paths.vault_file, home.environ() if environ is None else environ)
    source = Home(paths, keyholder)
    try:
        yield source
    finally:
        source.close()
        keyholder.close()


def test_without_a_proxy_it_is_what_the_vault_has(tmp_path):
    home = make_home(
        tmp_path / "home",
        [account("work", KEYS["work"], daily_limit_usd=5.0, priority=3), account("home", KEYS["home"], enabled=False)],
    )
    with looked_at(home) as source:
        snapshot = source.snapshot()
        assert (snapshot.proxy, snapshot.trouble, snapshot.vault, snapshot.strategy) == (
            None,
            "",
            "open",
            "least_utilized",
        )
        assert [(each.label, each.state) for each in snapshot.accounts] == [("work", "ready"), ("home", "disabled")]
        kept = snapshot.accounts[0].kept
        assert kept is not None
        assert (kept["priority"], kept["key"]) == (3, "…cdef")
        assert KEYS["work"] not in repr(snapshot)
        assert (
            source.traffic().over
            == source.routing().decisions
            == source.figures("day", "account").bars
            == source.log().lines
            == ()
        )
        assert source.story("nobody") == ()


def test_a_vault_that_needs_a_key_is_closed_until_it_is_given(tmp_path):
    home = make_home(tmp_path / "home", [account("work", KEYS["work"])])
    with looked_at(home, {}) as source:
        assert source.snapshot().vault == "closed"
        assert source.snapshot().accounts == ()
        with pytest.raises(WrongKeyError):
            source.keyholder.unlock(Secret("wrong"))
        source.keyholder.unlock(Secret(MASTER_KEY))
        assert [each.label for each in source.snapshot().accounts] == ["work"]
        upkeep.lock(home.vault_file)
        assert source.snapshot().vault == "locked"
        source.keyholder.unlock(Secret(MASTER_KEY))
        assert source.snapshot().vault == "open"
        with home.vault() as vault:
            vault.add(account("home", KEYS["home"]))
        assert len(source.snapshot().accounts) == 2


def test_a_configuration_that_is_wrong_is_said_and_the_rest_is_shown(tmp_path):
    home = make_home(tmp_path / "home", [account("work", KEYS["work"])], "routing: {strategy: best}\n")
    with looked_at(home) as source:
        snapshot = source.snapshot()
        assert len(snapshot.accounts) == 1
        assert any("routing.strategy" in note for note in snapshot.notes)


@pytest.mark.slow
def test_with_a_proxy_it_is_what_that_says_and_afterwards_what_it_left(tmp_path):
    with in_thread(FakeOpenAI()) as fake:
        for label, key in KEYS.items():
            fake.account(key, organization=f"org-{label}")
        config = f"proxy: {{openai_base_url: {fake.base_url}}}\nrouting: {{strategy: priority}}\n"
        home = make_home(
            tmp_path / "home", [account("work", KEYS["work"], priority=9), account("home", KEYS["home"])], config
        )
        with looked_at(home) as source:
            with running_proxy(home) as proxy:
                client = openai.OpenAI(api_key="sk-codex-manager", base_url=proxy.base_url, max_retries=0)
                assert source.traffic().over == ()
                fake.script(KEYS["work"], rate_limited(retry_after=60))
                client.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": "hello"}])
                (line,) = source.traffic().over
                assert (line.account, line.tries, line.tried, line.status) == ("home", 2, (("work", "rate"),), 200)
                snapshot = source.snapshot()
                assert snapshot.proxy is not None
                assert snapshot.proxy.strategy == "priority"
                assert snapshot.accounts[0].state == "limited"
                assert snapshot.accounts[0].retry_at is not None
                assert snapshot.accounts[0].retry_at > time.time() + 30
                assert wait_for(lambda: source.story(line.id))
                assert "2. home" in source.story(line.id)[0]

                fake.always(None, ok(chunks=30, every=0.1))
                stream = threading.Thread(
                    target=lambda: list(client.responses.create(model="gpt-5", input="slowly", stream=True)),
                    daemon=True,
                )
                stream.start()
                assert wait_for(lambda: any(each.bytes and each.by == "answering" for each in source.traffic().running))
                assert any("listening on" in each.text for each in source.log().lines)
                stream.join(20)
                ended = [each.id for each in source.traffic().over]
                assert len(ended) == 1
                assert source.traffic().over == ()
            snapshot = source.snapshot()
            assert snapshot.proxy is None
            assert snapshot.requests_today == 2
            assert {each.id for each in source.traffic().over} >= {line.id, *ended}
            assert [each.account for each in source.routing().decisions] == ["home", "home"]
            assert source.figures("hour", "account").bars[-1].requests == 2


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_proxy_is_started_started_again_and_stopped(tmp_path, free_port, monkeypatch):
    home = make_home(
        tmp_path / "home", [account("work", KEYS["work"])], f"proxy: {{bind_addr: '127.0.0.1:{free_port}'}}\n"
    )
    for name, value in home.environ().items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("CAM_MASTER_KEY")
    with looked_at(home, {}) as source:
        deeds = Deeds(source.paths, source.keyholder)
        source.keyholder.unlock(Secret(MASTER_KEY))
        try:
            assert f"127.0.0.1:{free_port}" in deeds.start()
            first = source.snapshot().proxy
            assert first is not None
            assert not first.locked
            with pytest.raises(ProxyError, match="runs already"):
                deeds.start()
            assert f"127.0.0.1:{free_port}" in deeds.restart()
            second = source.snapshot().proxy
            assert second is not None
            assert second.pid != first.pid
        finally:
            assert "stopped" in deeds.stop()
        assert deeds.stop() == "no proxy runs"
        assert source.snapshot().proxy is None
        log = source.log()
        assert log.fresh
        assert any("listening on" in each.text for each in log.lines)
        assert source.log().lines == ()


@pytest.mark.slow
def test_a_proxy_that_cannot_start_says_why(tmp_path, monkeypatch):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        home = make_home(
            tmp_path / "home", [account("work", KEYS["work"])], f"proxy: {{bind_addr: '127.0.0.1:{port}'}}\n"
        )
        for name, value in home.environ().items():
            monkeypatch.setenv(name, value)
        with looked_at(home) as source, pytest.raises(ProxyError, match="in use") as refused:
            Deeds(source.paths, source.keyholder).start()
        assert refused.value.hint
