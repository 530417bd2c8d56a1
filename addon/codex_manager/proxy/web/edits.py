"""Some of mitmweb's pages for flows, made to say what is wrong instead of failing: opening a dump, editing a flow, reading its bodies.

mitmweb clears the list before it knows whether a file is a dump at all, and takes any JSON for a comment or a mark; a mark that is no text breaks
the list for everybody. Law: what is refused has changed nothing.
"""

from io import BytesIO
from typing import Any, Final

from mitmproxy import exceptions, flow, io
from mitmproxy.tools.web import app


__all__ = ["Content", "ContentView", "EditFlow", "OpenDump"]

TEXTS: Final = frozenset({"comment", "marked", "method", "scheme", "host", "path", "http_version", "msg"})
LISTS: Final = frozenset({"headers", "trailers"})
MOST_PORT: Final = 65535
MOST_DIGITS: Final = 9


class OpenDump(app.DumpFlows):
    """`/flows/dump`."""

    async def post(self) -> None:
        """Show the flows of a file instead of those that are there."""
        try:
            flows: list[flow.Flow] = list(io.FlowReader(BytesIO(self.filecontents)).stream())
        except exceptions.FlowReadException:
            raise app.APIError(400, "This is no file of flows that mitmproxy can read.") from None
        except Exception:  # noqa: BLE001 - whatever its parsers stumble over
            raise app.APIError(400, "This file of flows is broken.") from None
        self.view.clear()
        for one in flows:
            await self.master.load_flow(one)


class EditFlow(app.FlowHandler):
    """`/flows/ID`."""

    def put(self, flow_id: str) -> None:
        """Change what may be changed of it; all or nothing."""
        _check(self.json, "")
        edited = self.flow
        try:
            super().put(flow_id)
        except app.APIError:
            raise
        except Exception:  # noqa: BLE001 - whatever setting a wrong value raises
            edited.revert()
            raise app.APIError(400, "These are no values for a flow.") from None


class Content(app.FlowContent):
    """`/flows/ID/request/content.data` and its like."""

    def get(self, flow_id: str, message: str) -> None:
        """The body, for a file."""
        if getattr(self._message(message), "raw_content", None) is None:
            raise app.APIError(404, "There is no content, or it was not kept.")
        super().get(flow_id, message)  # type: ignore[no-untyped-call]  # mitmproxy's own is untyped

    def post(self, flow_id: str, message: str) -> None:
        """Exchange the body."""
        self._message(message)
        super().post(flow_id, message)  # type: ignore[no-untyped-call]  # mitmproxy's own is untyped

    def _message(self, name: str) -> object:
        found: object = getattr(self.flow, name, None)
        if found is None or name == "messages":
            raise app.APIError(404, "There is no such message in this flow.")
        return found


class ContentView(app.FlowContentView):
    """`/flows/ID/request/content/VIEW` and its like."""

    def get(self, flow_id: str, message: str, content_view: str) -> None:
        """The body, as this view shows it."""
        if message != "messages" and getattr(self.flow, message, None) is None:
            raise app.APIError(404, "There is no such message in this flow.")
        if not all(_is_number(lines) for lines in self.get_query_arguments("lines")):
            raise app.APIError(400, "lines has to be a number.")
        super().get(flow_id, message, content_view)


def _check(values: Any, inside: str) -> None:
    """Types and ranges that mitmweb takes for granted.

    Raises:
        APIError: one of them is wrong.
    """
    if not isinstance(values, dict):
        raise app.APIError(400, f"{inside or 'A change'} has to be an object.")
    for name, value in values.items():
        if name in {"request", "response"} and not inside:
            _check(value, name)
        elif name in TEXTS or (name == "content" and value is not None):
            if not isinstance(value, str) or not _encodable(value):
                raise app.APIError(400, f"{name} has to be text.")
        elif name in LISTS:
            pairs = value if isinstance(value, list) else [None]
            if not all(
                isinstance(p, list) and len(p) == 2 and all(isinstance(t, str) and _encodable(t) for t in p)
                for p in pairs
            ):
                raise app.APIError(400, f"{name} have to be pairs of text.")
        elif name in {"port", "code"} and not _is_port(value):
            raise app.APIError(400, f"{name} has to be a number.")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= MOST_DIGITS


def _is_port(value: object) -> bool:
    return _is_number(str(value)) and int(str(value)) <= MOST_PORT


def _encodable(text: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in text)
