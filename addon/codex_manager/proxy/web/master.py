"""The master behind `codex-manager web`: our listener and bridge, and of mitmproxy's own what its page needs.

Knows mitmweb's addons and signals. Law: no script can be loaded and nothing a page says can run a program: whoever holds the page's
token can look and manage, not execute. What nobody looks at is not prepared: without an open page a flow costs no JSON.
"""

from mitmproxy import flow, log, optmanager
from mitmproxy.addons import (
    anticache,
    anticomp,
    block,
    blocklist,
    comment,
    core,
    eventstore,
    export,
    intercept,
    mapremote,
    modifybody,
    modifyheaders,
    proxyserver,
    view,
)
from mitmproxy.tools.web import app, webaddons

from codex_manager.proxy.dispatch import LeanMaster
from codex_manager.proxy.web.auth import Token
from codex_manager.proxy.web.powers import PageOptions, leave_allowed


__all__ = ["InspectionMaster"]


class InspectionMaster(LeanMaster):
    """`proxyserver` is our listener, once `attach` was told. Its owner runs the loop and the web server."""

    options: PageOptions

    def __init__(self, opts: PageOptions, flows: view.View) -> None:
        super().__init__(opts)
        self.view = flows
        self.events = eventstore.EventStore()
        self.token = Token()
        self.proxyserver: proxyserver.Proxyserver

    def attach(self, listener: proxyserver.Proxyserver, *before: object, after: tuple[object, ...] = ()) -> None:
        """Add everything, in the order in which hooks run: `before`, mitmproxy's own, the list of flows, `after`."""
        self.proxyserver = listener
        self.addons.add(
            listener,
            *before,
            core.Core(),
            webaddons.WebAddon(),
            self.token,
            block.Block(),
            blocklist.BlockList(),
            anticache.AntiCache(),
            anticomp.AntiComp(),
            comment.Comment(),
            export.Export(),
            mapremote.MapRemote(),
            modifybody.ModifyBody(),
            modifyheaders.ModifyHeaders(),
            intercept.Intercept(),
            self.view,
            self.events,
            *after,
        )
        leave_allowed(self.commands.commands)
        self._connect()

    def _connect(self) -> None:
        """Tell open pages what changes."""
        self.view.sig_view_add.connect(self._added)
        self.view.sig_view_update.connect(self._updated)
        self.view.sig_view_remove.connect(self._removed)
        self.view.sig_view_refresh.connect(self._refreshed)
        self.events.sig_add.connect(self._said)
        self.events.sig_refresh.connect(self._events_cleared)
        self.options.changed.connect(self._options_changed)

    def _added(self, flow: flow.Flow) -> None:
        if app.ClientConnection.connections:
            app.ClientConnection.broadcast_flow("flows/add", flow)

    def _updated(self, flow: flow.Flow) -> None:
        if app.ClientConnection.connections:
            app.ClientConnection.broadcast_flow("flows/update", flow)

    def _removed(self, flow: flow.Flow, index: int) -> None:  # noqa: ARG002 - the signal's
        app.ClientConnection.broadcast(type="flows/remove", payload=flow.id)

    def _refreshed(self) -> None:
        app.ClientConnection.broadcast_flow_reset()

    def _said(self, entry: log.LogEntry) -> None:
        app.ClientConnection.broadcast(type="events/add", payload=app.logentry_to_json(entry))

    def _events_cleared(self) -> None:
        app.ClientConnection.broadcast(type="events/reset")

    def _options_changed(self, updated: set[str]) -> None:
        app.ClientConnection.broadcast(type="options/update", payload=optmanager.dump_dicts(self.options, updated))
