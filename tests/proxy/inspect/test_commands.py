"""The commands as mitmproxy's command bar calls them: words in, words out."""

import asyncio
import logging
import threading

from pathlib import Path

import pytest

from mitmproxy import exceptions
from mitmproxy.addons import view
from mitmproxy.test import taddons, tflow
from tests.accounts import desk_rig

from codex_manager.core.errors import CodexManagerError
from codex_manager.proxy.inspect import commands
from codex_manager.proxy.inspect.commands import Commands


ID = "0198c0ffee00" + "ab" * 10
STATUS = {
    "locked": False, "strategy": "least_utilized", "switched_to": None, "available": 1, "in_flight": 2, "waiting": 1,
    "accounts": [
        {"label": "Work", "state": "ready", "reason": None, "retry_at": None, "used": 0.41},
        {"label": "Personal", "state": "resting", "reason": "rate limited", "retry_at": "2026-11-21T12:00:00Z", "used": None},
    ],
}  # fmt: skip


class Inside:
    """What the commands reach."""

    def __init__(self):
        self.desk = desk_rig.desk()
        self.reloads = 0
        self.now = STATUS

    def status(self):
        return self.now

    def explain(self, request_id):
        if request_id != ID:
            raise CodexManagerError(f"no request {request_id}", hint="look elsewhere")
        return "request  it"

    async def reload(self):
        self.reloads += 1


@pytest.fixture
def inside(isolated_home, monkeypatch):
    monkeypatch.setenv("CAM_MASTER_KEY", desk_rig.MASTER_KEY)
    desk_rig.two()
    return Inside()


@pytest.fixture
def call(inside, monkeypatch):
    monkeypatch.setattr(commands, "HOLDS_UP_S", 10.0)
    addon = Commands(lambda: inside)
    with taddons.context(addon, view.View()) as context:
        yield lambda line: context.master.commands.execute(line)
        addon.done()


def test_status(call, inside):
    assert call("codex.status") == (
        "strategy least_utilized, 1 of 2 accounts can serve, 2 requests on their way, 1 waiting\n"
        "Work: ready, 41 % of its limit used\n"
        "Personal: resting, rate limited, until 2026-11-21T12:00:00Z"
    )
    inside.now = {**STATUS, "switched_to": "Work"}
    assert "switched to Work" in call("codex.status")
    inside.now = {**STATUS, "locked": True}
    assert call("codex.status").startswith("the vault is locked")


async def test_switch_enable_and_disable(call, inside):
    assert call("codex.switch work") == "all requests go to Work from now on"
    accounts, pinned = inside.desk.listed()
    assert pinned == next(account.id for account in accounts if account.label == "Work")
    assert call("codex.switch --auto") == "the strategy chooses again"
    assert inside.desk.listed()[1] is None
    assert call("codex.disable Personal") == "Personal is kept from serving"
    assert [account.enabled for account in inside.desk.listed()[0]] == [False, True]
    assert call("codex.enable Personal") == "Personal may serve"
    assert all(account.enabled for account in inside.desk.listed()[0])
    await asyncio.sleep(0)
    assert inside.reloads == 4


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("codex.switch Wrok", "there is no account 'Wrok'; did you mean 'Work'?"),
        ("codex.enable nobody", "there is no account 'nobody'"),
        ("codex.explain 00000000000000000000000000000000", "no request 0{32}; look elsewhere"),
        ("codex.explain @focus", "give the id of a request, or one flow, such as @focus"),
        ("codex.explain nonsense(", "give the id of a request, or one flow, such as @focus"),
        ("codex.switch", "mismatch"),
    ],
)
async def test_what_cannot_be_done_is_a_sentence(call, inside, line, sentence):
    with pytest.raises(exceptions.CommandError, match=sentence):
        call(line)
    assert inside.reloads == 0


async def test_an_error_nobody_expects_is_no_traceback(call, inside, caplog):
    inside.desk = None
    with pytest.raises(exceptions.CommandError, match="its log says where"):
        call("codex.switch Work")
    assert "AttributeError" in caplog.text
    assert "Traceback" not in caplog.text


def test_explain_by_id_and_by_flow(inside, monkeypatch):
    with taddons.context(Commands(lambda: inside), flows := view.View()) as context:
        assert context.master.commands.execute(f"codex.explain {ID.upper()}") == "request  it"
        flow = tflow.tflow()
        flow.metadata["codex_manager"] = {"request_id": ID}
        flows.add([flow])
        assert context.master.commands.execute("codex.explain @focus") == "request  it"
        flow.metadata["codex_manager"] = 7
        with pytest.raises(exceptions.CommandError, match="had no part in this flow"):
            context.master.commands.execute("codex.explain @focus")


async def test_reload(call, inside, caplog):
    caplog.set_level(logging.INFO)
    assert call("codex.reload") == "looking at configuration and vault; the log says what changed"
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert inside.reloads == 1
    assert "has looked at configuration and vault" in caplog.text


async def test_a_reload_that_fails_is_logged(call, inside, caplog):
    async def broken():
        raise OSError("sk-secret")

    inside.reload = broken
    call("codex.reload")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert "OSError" in caplog.text
    assert "sk-secret" not in caplog.text


@pytest.mark.parametrize("fails", [False, True])
async def test_what_takes_long_goes_on_without_the_loop(inside, caplog, fails):
    """The loop is not held up, and the log says what came of it."""
    go = threading.Event()

    class Slow:
        def find(self, label):
            assert go.wait(10)
            if fails:
                raise CodexManagerError("it is gone")
            return inside_desk.find(label)

        def enable(self, account_id, on):
            return inside_desk.enable(account_id, on)

    inside_desk, inside.desk = inside.desk, Slow()
    caplog.set_level(logging.INFO)
    addon = Commands(lambda: inside)
    with taddons.context(addon) as context:
        said = context.master.commands.execute("codex.disable Work")
        assert said == "it takes a moment; the log says what comes of it"
        go.set()
        expected = "codex-manager: it is gone" if fails else "codex-manager: Work is kept from serving"
        async with asyncio.timeout(10):
            while expected not in caplog.text:
                await asyncio.sleep(0.01)
        addon.done()
    assert inside.reloads == (0 if fails else 1)


def test_nothing_to_command():
    with (
        taddons.context(Commands(lambda: None)) as context,
        pytest.raises(exceptions.CommandError, match="codex-manager is not running"),
    ):
        context.master.commands.execute("codex.status")


def test_every_command_says_what_it_does():
    """mitmproxy shows the docstring beside the command."""
    with taddons.context(Commands(lambda: None)) as context:
        ours = {name: each for name, each in context.master.commands.commands.items() if name.startswith("codex.")}
    assert sorted(ours) == [
        "codex.disable", "codex.enable", "codex.explain", "codex.reload", "codex.status", "codex.switch",
    ]  # fmt: skip
    assert all(each.help for each in ours.values())


def test_every_command_is_documented():
    page = (Path(__file__).parents[3] / "docs" / "inspection.md").read_text(encoding="utf-8")
    with taddons.context(Commands(lambda: None)) as context:
        ours = [name for name in context.master.commands.commands if name.startswith("codex.")]
    assert [name for name in ours if f"`{name}" not in page] == []
