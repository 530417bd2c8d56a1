"""The hooks our stream yields and our addon serves: what crosses from the sans-io layers to asyncio.

A `StartHook` that blocks pauses only the stream that yielded it; mitmproxy awaits the addon's async method of the same
name and then resumes the stream. Each takes exactly one argument (mitmproxy supports no other number).
"""

from dataclasses import dataclass

from mitmproxy.proxy import commands

from codex_manager.proxy.exchange import Exchange
from codex_manager.proxy.tunnels import Tunnel


__all__ = [
    "CodexSocketFullHook",
    "CodexSocketReadHook",
    "CodexTunnelOpenHook",
    "CodexUploadFullHook",
    "CodexUpstreamReadHook",
    "CodexUpstreamSendHook",
]


@dataclass
class CodexUpstreamSendHook(commands.StartHook):
    """Carry the request; afterwards the exchange has an answer or says why not."""

    exchange: Exchange


@dataclass
class CodexUpstreamReadHook(commands.StartHook):
    """Fetch what comes next of the answer's body, once the client has taken what it was sent."""

    exchange: Exchange


@dataclass
class CodexUploadFullHook(commands.StartHook):
    """Stop reading from the client until the upstream has taken what is waiting. Does not pause the stream."""

    blocking = False
    exchange: Exchange


@dataclass
class CodexSocketReadHook(commands.StartHook):
    """Fetch what a WebSocket has for the client, once the client has taken what it was sent."""

    exchange: Exchange


@dataclass
class CodexSocketFullHook(commands.StartHook):
    """Stop reading from a WebSocket's client until the upstream has taken what is waiting. Pauses nothing else."""

    blocking = False
    exchange: Exchange


@dataclass
class CodexTunnelOpenHook(commands.StartHook):
    """Connect to where a tunnel leads; afterwards it has a server, or says why not."""

    tunnel: Tunnel
