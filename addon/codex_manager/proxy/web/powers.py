"""What the page may have mitmproxy do: an allow-list of its commands and options.

mitmweb lets whoever holds its token run every command and set every option. Among those are ones that write files anywhere (`cut.save`,
`export.file`, `options.save`), read any file (`map_local`, `view.flows.load`, `modify_body` with `@`), start programs (`cut.clip`) or switch off
checks (`validate_inbound_headers`, `ssl_insecure`); a token that leaked would be a shell. Law: what is not named here cannot be done from the
page, so that what a later mitmproxy adds stays out until somebody has looked at it.
"""

from collections.abc import MutableMapping
from typing import Any, Final

from mitmproxy import exceptions, options


__all__ = ["COMMANDS", "OPTIONS", "OWN_COMMANDS", "PageOptions", "leave_allowed"]

OWN_COMMANDS: Final = "codex."
"""Ours begin so; what they may do is decided where they are."""
COMMANDS: Final = frozenset({
    "eventstore.clear", "export", "export.formats", "flow.comment", "flow.decode", "flow.encode", "flow.encode.options", "flow.encode.toggle",
    "flow.kill", "flow.mark", "flow.mark.toggle", "flow.resume", "flow.revert", "flow.set", "flow.set.options", "inject.websocket",
    "proxyserver.active_connections", "replay.client", "replay.client.count", "replay.client.stop", "set", "view.clear", "view.clear_unmarked",
    "view.filter.set", "view.flows.create", "view.flows.duplicate", "view.flows.remove", "view.flows.resolve", "view.focus.go", "view.focus.next",
    "view.focus.prev", "view.order", "view.order.options", "view.order.reverse", "view.order.set", "view.properties.inbounds",
    "view.properties.length", "view.properties.marked", "view.properties.marked.toggle", "view.settings.getval", "view.settings.setval",
    "view.settings.setval.toggle",
})  # fmt: skip
OPTIONS: Final = frozenset({
    "anticache", "anticomp", "block_list", "console_focus_follow", "content_view_lines_cutoff", "intercept", "intercept_active", "map_remote",
    "modify_body", "modify_headers", "showhost", "view_filter", "view_order", "view_order_reversed", "web_columns",
})  # fmt: skip
READ_FILES: Final = frozenset({"modify_body", "modify_headers"})
"""Their replacement may be `@` and the name of a file."""


class PageOptions(options.Options):
    """mitmproxy's options; once `seal`ed, only what the page may set can be set, whichever way it is tried."""

    def __init__(self) -> None:
        self.__dict__["_sealed"] = False  # mitmproxy takes attributes for options
        super().__init__()

    def seal(self) -> None:
        """Everything is set up; what comes now comes from the page."""
        self.__dict__["_sealed"] = True

    def update(self, **values: Any) -> None:
        """Set some.

        Raises:
            OptionsError: one of them is not for the page; none was set.
            KeyError: one of them is unknown; the others were set.
        """
        super().update(**values)  # type: ignore[no-untyped-call]  # mitmproxy's own is untyped

    def update_known(self, **values: Any) -> dict[str, Any]:
        """Set some; the unknown ones are returned.

        Raises:
            OptionsError: one of them is not for the page; none was set.
        """
        if self.__dict__["_sealed"]:
            for name, value in values.items():
                if name in self and name not in OPTIONS:
                    raise exceptions.OptionsError(f"codex-manager does not let the page change {name}")
                if name in READ_FILES and any(_reads_a_file(one) for one in value or ()):
                    raise exceptions.OptionsError(f"codex-manager does not let {name} read files")
        unknown: dict[str, Any] = super().update_known(**values)  # type: ignore[no-untyped-call]  # mitmproxy's own is untyped
        return unknown


def leave_allowed(commands: MutableMapping[str, Any]) -> None:
    """Take out what the page may not run."""
    for name in [name for name in commands if name not in COMMANDS and not name.startswith(OWN_COMMANDS)]:
        del commands[name]


def _reads_a_file(text: object) -> bool:
    """`[/filter]/subject/replacement`, its first character being what separates; mitmproxy says what else may be wrong with it."""
    separator, rest = str(text)[:1], str(text)[1:]
    return bool(separator) and rest.split(separator, 2)[-1].startswith("@")
