"""The look-up table reaches the methods mitmproxy's own manager would reach."""

import pytest

from mitmproxy import http, options
from mitmproxy.proxy.layers.http._hooks import HttpRequestHook
from mitmproxy.test import tflow

from codex_manager.proxy.dispatch import LeanMaster


class Addon:
    def __init__(self, name, calls):
        self.name = name
        self.calls = calls

    def request(self, flow):
        self.calls.append((self.name, flow))


class AsyncAddon(Addon):
    async def request(self, flow):
        self.calls.append((self.name, flow))


class Crasher(Addon):
    def request(self, flow):
        raise ValueError


class Parent:
    def __init__(self, *addons):
        self.addons = addons


@pytest.fixture
async def master():
    return LeanMaster(options.Options())


async def test_hooks_run_in_order_sync_and_async_and_past_a_crash(master):
    calls: list[object] = []
    master.addons.add(Addon("a", calls), Crasher("b", calls), Parent(AsyncAddon("c", calls)))
    flow = tflow.tflow()
    await master.addons.handle_lifecycle(HttpRequestHook(flow))
    assert calls == [("a", flow), ("c", flow)]


async def test_the_table_follows_added_and_removed_addons(master):
    assert not master.addons.hears("request")
    addon = Addon("a", [])
    master.addons.add(addon)
    assert master.addons.hears("request")
    master.addons.remove(addon)
    assert not master.addons.hears("request")
    master.addons.add(addon)
    master.addons.clear()
    assert not master.addons.hears("request")


async def test_update_is_told_only_to_those_who_listen(master):
    seen = []

    class Viewer:
        def update(self, flows):
            seen.extend(flows)

    master.addons.add(Viewer())
    flow = tflow.tflow()
    assert isinstance(flow, http.HTTPFlow)
    await master.addons.handle_lifecycle(HttpRequestHook(flow))
    assert seen == [flow]
