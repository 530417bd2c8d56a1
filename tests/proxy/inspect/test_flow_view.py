"""The list of flows: none of our own pages, tunnels hidden until somebody asks, one word a moment about each flow."""

import asyncio

import pytest

from mitmproxy.test import taddons, tflow

from codex_manager.proxy.inspect import flow_view
from codex_manager.proxy.inspect.flow_view import FlowView


@pytest.fixture
def view():
    made = FlowView()
    with taddons.context(made):
        yield made


def asked(path, port=8080):
    flow = tflow.tflow()
    flow.request.path, flow.request.port = path, port
    flow.client_conn.sockname = ("127.0.0.1", 8080)
    return flow


@pytest.mark.parametrize(
    ("path", "port", "shown"),
    [
        ("/v1/chat/completions", 8080, True),
        ("/health", 8080, False),
        ("/healthz?x", 8080, False),
        ("/ready", 80, False),
        ("/metrics", 8080, False),
        ("/codex-manager/api/status", 8080, False),
        ("/codex-manager/x", 443, False),
        ("/health", 443, True),
        ("/metrics", 9090, True),
        ("/healthy", 8080, True),
    ],
)
def test_our_own_pages_are_not_in_the_list(view, path, port, shown):
    view.requestheaders(asked(path, port))
    assert len(view._store) == len(view) == shown


def test_tunnels_are_hidden_until_the_user_wants_to_see_them(view):
    tunnel, request = tflow.ttcpflow(messages=False), asked("/v1/models")
    view.tcp_start(tunnel)
    view.requestheaders(request)
    assert list(view) == [request]
    with taddons.context(view, loadcore=False) as tctx:
        tctx.options.update(view_filter=None)
        view.configure({"view_filter"})
        assert set(map(id, view)) == {id(tunnel), id(request)}
        tctx.options.update(view_filter="~tcp")
        view.configure({"view_filter"})
        assert list(view) == [tunnel]


async def test_the_master_starts_with_the_filter():
    view = FlowView()
    with taddons.context(view) as tctx:
        assert tctx.options.view_filter == "!~tcp"
        assert tctx.options.default("view_filter") is None


async def test_what_happens_within_a_moment_is_told_once(view, monkeypatch):
    monkeypatch.setattr(flow_view, "MOMENT_S", 0.01)
    told = []
    view.sig_view_update.connect(remember := lambda flow: told.append(flow))
    flows = [asked("/v1/a"), asked("/v1/b")]
    for flow in flows:
        view.requestheaders(flow)
        for _ in range(5):
            view.update([flow])
    assert told == []
    async with asyncio.timeout(5):
        while len(told) < 2:
            await asyncio.sleep(0.005)
    await asyncio.sleep(0.02)
    assert told == flows
    del remember


async def test_one_that_is_gone_by_then_is_not_told(view, monkeypatch):
    monkeypatch.setattr(flow_view, "MOMENT_S", 0.0)
    told = []
    view.sig_view_update.connect(remember := lambda flow: told.append(flow))
    flow = asked("/v1/a")
    view.requestheaders(flow)
    view.update([flow])
    view.remove([flow])
    view.update([flow])
    await asyncio.sleep(0.02)
    assert told == []
    del remember


def test_every_hook_of_mitmproxys_own_that_is_left_out_is_followed_by_update(view):
    for name in ("response", "error", "tcp_message", "tcp_error", "tcp_end"):
        assert getattr(view, name) is None
    assert callable(view.update)
