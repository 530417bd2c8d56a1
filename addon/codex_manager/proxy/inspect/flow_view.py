"""mitmproxy's list of flows as our page wants it: without what the proxy says of itself, tunnels hidden, cheap to keep.

Knows mitmproxy's view. It says less often what changed: mitmproxy's tells its pages six times of every request, this one when
it comes and, some moments later, what became of it.
Law: everything else is as in mitmproxy's own, its options, commands and signals included; the filter is the user's to change
(`view_filter`).
"""

import asyncio

from collections.abc import Callable, Sequence
from typing import Any, Final

from mitmproxy import addonmanager, flow, flowfilter, http
from mitmproxy.addons.view import View

from codex_manager.proxy.gate import CONTROL_PREFIX, LOCAL_PATHS, METRICS_PATH


__all__ = ["HIDDEN", "FlowView"]

HIDDEN: Final = "!~tcp"
"""Tunnels to hosts that are not ours are TCP flows without content."""
MOMENT_S: Final = 0.1
"""What happens to a flow within this time is told at once; nobody reads faster."""
OWN: Final = LOCAL_PATHS | {METRICS_PATH}


class FlowView(View):
    """The addon `view` of our master. Mutable state, beside mitmproxy's: the flows of which something is to be told."""

    def __init__(self) -> None:
        super().__init__()
        self.name = "view"
        self.on_add: Callable[[Sequence[flow.Flow]], None] = _nobody
        """Told of flows that come past the hooks (`ring.Ring.added`)."""
        self._changed: dict[str, flow.Flow] = {}
        self._timer: asyncio.TimerHandle | None = None

    def load(self, loader: addonmanager.Loader) -> None:
        """The options of mitmproxy's own, with a filter from the start."""
        super().load(loader)  # type: ignore[no-untyped-call]  # mitmproxy's own is untyped
        loader.master.options.update(view_filter=HIDDEN)
        self.set_filter(flowfilter.parse(HIDDEN))

    # Each of these is followed by `update`, which says the same.
    response = error = None  # type: ignore[assignment]  # a hook that nobody serves here
    tcp_message = tcp_error = tcp_end = None  # type: ignore[assignment]  # methods of mitmproxy's view that must not be heard

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """A request comes."""
        if not _is_our_own(flow):
            super().add([flow])

    def tcp_start(self, flow: flow.Flow) -> None:
        """A tunnel stands."""
        super().add([flow])

    def add(self, flows: Sequence[flow.Flow]) -> None:
        """Flows that somebody opens, duplicates, or makes."""
        super().add(flows)
        self.on_add(flows)

    def update(self, flows: Sequence[flow.Flow]) -> None:
        """Something has changed; told soon."""
        store, changed = self._store, self._changed
        for each in flows:
            if each.id in store:
                changed[each.id] = each
        if changed and self._timer is None:
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:  # outside the loop nobody waits for anything
                self.tell()
            else:
                self._timer = loop.call_later(MOMENT_S, self.tell)

    def tell(self) -> None:
        """Say now what has changed."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        changed, self._changed = self._changed, {}
        super().update(list(changed.values()))


def _is_our_own(flow: http.HTTPFlow) -> bool:
    """Asked of this listener about itself: `/health`, `/metrics`, what commands and pages ask."""
    path = flow.request.path.partition("?")[0]
    if path.startswith(CONTROL_PREFIX):
        return True
    return path in OWN and flow.request.port in {flow.client_conn.sockname[1], 80}


def _nobody(flows: Sequence[flow.Flow]) -> Any:
    """Told."""
