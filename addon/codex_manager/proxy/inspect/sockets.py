"""What the answers on a WebSocket have used, added up in its flow while it is open: tokens, cost, and the model that was asked.

An addon that is told of records. Each answer on a socket is a record of its own (`ID.1`, `ID.2` …), and the flow is one.
Law: keeps no flow alive; a comment of the user's stays.
"""

import weakref

from typing import Final

from mitmproxy import ctx, flow, hooks, http

from codex_manager.core.record import Record
from codex_manager.proxy.inspect.comment import MARKS, mark_for, used
from codex_manager.proxy.inspect.recent import Recent
from codex_manager.proxy.inspect.telling import KEY


__all__ = ["Sockets"]

SUMS: Final = ("input_tokens", "output_tokens", "usd")


class Sockets:
    """Mutable state: the flows by their request's id, and what was added to the comment of each."""

    def __init__(self, recent: Recent) -> None:
        self.name = "codex_manager_sockets"
        self._flows: weakref.WeakValueDictionary[str, flow.Flow] = weakref.WeakValueDictionary()
        self._comments: weakref.WeakKeyDictionary[flow.Flow, tuple[str, str]] = weakref.WeakKeyDictionary()
        """How it begins, and what was added."""
        recent.listen(self.record)

    def websocket_start(self, flow: http.HTTPFlow) -> None:
        """A socket is open."""
        facts = flow.metadata.get(KEY)
        if isinstance(facts, dict) and (name := facts.get("request_id")):
            self._flows[str(name)] = flow
            self._comments[flow] = flow.comment, ""

    def record(self, record: Record) -> None:
        """An answer is over."""
        name, _, number = record.id.partition(".")
        known = self._flows.get(name) if record.websocket and number else None
        facts = known.metadata.get(KEY) if known is not None else None
        if known is None or not isinstance(facts, dict):
            return
        facts["answers"] = facts.get("answers", 0) + 1
        if record.model:
            facts["model"] = record.model
        if record.usage is not None:
            counted = (record.usage.input, record.usage.output, float(record.cost))
            for key, more in zip(SUMS, counted, strict=True):
                facts[key] = facts.get(key, 0) + more
            if record.estimated:
                facts["estimated"] = 1
        self._say(known, facts)
        ctx.master.addons.trigger(hooks.UpdateHook([known]))

    def _say(self, known: flow.Flow, facts: dict[str, str | int | float]) -> None:
        begins, before = self._comments.get(known, ("", ""))
        if not begins or not known.comment.startswith(begins + before):
            return
        rest = known.comment[len(begins + before) :]
        added = "".join(f" · {part}" for part in used(facts))
        known.comment = begins + added + rest
        self._comments[known] = begins, added
        if (not known.marked or known.marked in MARKS) and (mark := mark_for(facts)):
            known.marked = mark
