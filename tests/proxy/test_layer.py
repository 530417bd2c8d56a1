"""Our HTTP layer takes the place of mitmproxy's, wherever in a stack that is."""

import pytest

from mitmproxy import options
from mitmproxy.connection import Client
from mitmproxy.proxy import commands, events, layers, tunnel
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import HTTPMode
from mitmproxy.proxy.layers.modes import HttpProxy

from codex_manager.proxy.bridge import Bridge
from codex_manager.proxy.layer import ClosedLayer, CodexHttpLayer, replace_http_layer


BRIDGE = Bridge(None, connections=dict, hears=lambda _: True, routed=frozenset, forward=True)


@pytest.fixture
def context():
    client = Client(peername=("127.0.0.1", 1), sockname=("127.0.0.1", 2), timestamp_start=0)
    return Context(client, options.Options())


def test_a_bare_http_layer_is_replaced_in_the_stack(context):
    below = HttpProxy(context)
    ours = replace_http_layer(layers.HttpLayer(context, HTTPMode.regular), BRIDGE)
    assert type(ours) is CodexHttpLayer
    assert ours.mode is HTTPMode.regular
    assert context.layers == [below, ours]


def test_the_http_layer_above_tls_is_replaced(context):
    stack = tunnel.LayerStack()
    stack /= layers.ServerTLSLayer(context)
    stack /= layers.ClientTLSLayer(context)
    stack /= layers.HttpLayer(context, HTTPMode.transparent)
    chosen = replace_http_layer(stack[0], BRIDGE)
    assert chosen is stack[0]
    assert [type(one) for one in context.layers] == [layers.ServerTLSLayer, layers.ClientTLSLayer, CodexHttpLayer]
    assert isinstance(chosen, layers.ServerTLSLayer)
    assert isinstance(chosen.child_layer, layers.ClientTLSLayer)
    assert chosen.child_layer.child_layer is context.layers[2]


def test_other_layers_stay(context):
    chosen = layers.TCPLayer(context)
    assert replace_http_layer(chosen, BRIDGE) is chosen
    assert context.layers == [chosen]


def test_a_closed_layer_closes(context):
    (command,) = ClosedLayer(context).handle_event(events.Start())
    assert isinstance(command, commands.CloseConnection)
    assert list(ClosedLayer(context).handle_event(events.ConnectionClosed(context.client))) == []
