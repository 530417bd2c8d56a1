"""The list of flows as a ring: what is over gives way, the oldest first, once there is too much of it.

An addon that comes after the view. Knows mitmproxy's view and flows, and two limits that may change at any time.
Theory of operation. A flow is `open` from the moment the view has it until it is over; then it is `over`, with its size.
Whenever one is over, the oldest of those leave until both limits hold. A flow that turns out to be busy still, because a
user holds it or its last bytes are on their way, goes to the end of the queue and is asked again later.
Law: a flow that is live or intercepted is never removed, so it is never killed. A flow that is over costs one look when it
comes and one when it goes, whatever the number of flows; its size is measured once, or again when it ends again (a replay).
"""

import itertools

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final

from mitmproxy import ctx, flow, http, tcp, udp
from mitmproxy.addons.view import View
from mitmproxy.websocket import WebSocketMessage

from codex_manager.proxy.inspect.flow_view import FlowView
from codex_manager.proxy.inspect.limits import RingLimits


__all__ = ["FLOW", "Ring", "size_of"]

FLOW: Final = 8 * 1024
"""Bytes a flow takes without its bodies: request, response and connection objects, headers, its place in the list.
tests/proxy/inspect/test_ring.py measures it."""
PATIENCE: Final = 16
"""So many busy ones in a row are looked at before the search is put off to the next flow that ends."""


class Ring:
    """See the module's docstring. Mutable state: which flows are open, which are over, and how large these are."""

    def __init__(self, limits: Callable[[], RingLimits]) -> None:
        self.name = "codex_manager_ring"
        self._limits = limits
        self._open: OrderedDict[str, flow.Flow] = OrderedDict()
        self._over: OrderedDict[str, tuple[flow.Flow, int]] = OrderedDict()
        self._bytes = 0
        self._view: View | None = None

    def __repr__(self) -> str:
        return f"<Ring {len(self._open)} open, {len(self._over)} over, {self._bytes} bytes>"

    @property
    def bytes(self) -> int:
        """What the flows that are over take."""
        return self._bytes

    @property
    def flows(self) -> int:
        """How many there are, open ones included."""
        return len(self._open) + len(self._over)

    # --- what the view says ---

    def follow(self, view: View) -> None:
        """Keep this view within the limits. Without it, the master's view is found when the first flow comes."""
        self._view = view
        if isinstance(view, FlowView):
            view.on_add = self.added
        view.sig_store_remove.connect(self._removed)
        view.sig_store_refresh.connect(self._cleared)
        for known in list(view._store.values()):  # noqa: SLF001 - the view has no other way to name flows its filter hides
            self._came(known)

    def _removed(self, flow: flow.Flow) -> None:
        self._forget(flow.id)

    def _cleared(self) -> None:
        assert self._view is not None
        kept = self._view._store  # noqa: SLF001 - as above
        for name in [*self._open, *self._over]:
            if name not in kept:
                self._forget(name)

    # --- what the flows say ---

    def running(self) -> None:
        """The master has its addons."""
        self._find()

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        self._came(flow)

    def tcp_start(self, flow: tcp.TCPFlow) -> None:
        self._came(flow)

    def udp_start(self, flow: udp.UDPFlow) -> None:
        self._came(flow)

    def response(self, flow: http.HTTPFlow) -> None:
        if flow.websocket is None or flow.websocket.timestamp_end is not None:
            self._ended(flow)

    def error(self, flow: http.HTTPFlow) -> None:
        self._ended(flow)

    def websocket_end(self, flow: http.HTTPFlow) -> None:
        self._ended(flow)

    def tcp_end(self, flow: tcp.TCPFlow) -> None:
        self._ended(flow)

    def tcp_error(self, flow: tcp.TCPFlow) -> None:
        self._ended(flow)

    def udp_end(self, flow: udp.UDPFlow) -> None:
        self._ended(flow)

    def udp_error(self, flow: udp.UDPFlow) -> None:
        self._ended(flow)

    def added(self, flows: Sequence[flow.Flow]) -> None:
        """The view was given flows past the hooks: opened from a file, duplicated, made by hand."""
        for each in flows:
            self._came(each)

    # --- inside ---

    def _find(self) -> View | None:
        if self._view is None and isinstance(view := ctx.master.addons.get("view"), View):
            self.follow(view)
        return self._view

    def _came(self, flow: flow.Flow) -> None:
        view = self._view or self._find()
        if view is None or flow.id not in view._store or flow.id in self._over:  # noqa: SLF001 - as above
            return
        if flow.live:
            self._open[flow.id] = flow
        else:  # from a file: over already
            self._ended(flow)

    def _ended(self, flow: flow.Flow) -> None:
        self._forget(flow.id)
        view = self._view or self._find()
        if view is None or flow.id not in view._store:  # noqa: SLF001 - as above
            return
        size = size_of(flow)
        self._over[flow.id] = flow, size
        self._bytes += size
        self._make_room(view)

    def _forget(self, name: str) -> None:
        self._open.pop(name, None)
        if (known := self._over.pop(name, None)) is not None:
            self._bytes -= known[1]

    def _make_room(self, view: View) -> None:
        limits = self._limits()
        self._evict(view, limits)
        if self.flows > limits.flows and self._swept():
            self._evict(view, limits)

    def _evict(self, view: View, limits: RingLimits) -> None:
        patience = min(PATIENCE, len(self._over))
        while self._over and (self.flows > limits.flows or self._bytes > limits.bytes):
            name = next(iter(self._over))
            oldest = self._over[name][0]
            if not oldest.live and not oldest.intercepted:
                view.remove([oldest])  # which tells `_removed`
                self._forget(name)
                continue
            self._over.move_to_end(name)
            patience -= 1
            if patience <= 0:
                return

    def _swept(self) -> bool:
        """Among the open ones may be some whose end no hook told: a stream of ours that failed runs none."""
        found = False
        for name in list(itertools.islice(self._open, PATIENCE)):
            lost = self._open[name]
            if lost.live or lost.intercepted:
                self._open.move_to_end(name)
                continue
            found = True
            self._forget(name)
            self._over[name] = lost, (size := size_of(lost))
            self._bytes += size
        return found


def size_of(flow: flow.Flow) -> int:
    """Bytes a flow keeps, its constant included."""
    size = FLOW
    if isinstance(flow, http.HTTPFlow):
        size += len(flow.request.raw_content or b"")
        if flow.response is not None:
            size += len(flow.response.raw_content or b"")
        if flow.websocket is not None:
            size += _messages(flow.websocket.messages)
    elif isinstance(flow, tcp.TCPFlow | udp.UDPFlow):
        size += _messages(flow.messages)
    return size


MESSAGE: Final = 256
"""Bytes a message takes beside its content."""


def _messages(messages: Sequence[WebSocketMessage | tcp.TCPMessage | udp.UDPMessage]) -> int:
    return sum(MESSAGE + len(message.content) for message in messages)
