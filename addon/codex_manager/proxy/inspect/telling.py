"""What is written into a flow about who answered it: comment, mark and metadata, first when it begins and again when it is over.

Knows mitmproxy's flows and the plain answer. Made only where somebody looks at flows.
Law: what a user wrote stays; only a comment and a mark of our own are ever replaced. `metadata` gets plain values, because it is
saved with the flow, and nothing secret is among them.
"""

from mitmproxy import connection, http

from codex_manager.core.endpoint import name_of
from codex_manager.engine.messages import Answer
from codex_manager.proxy.inspect.comment import MARKS, comment_of, mark_of


__all__ = ["Telling"]

KEY = "codex_manager"
"""In `flow.metadata`."""


class Telling:
    """One flow's. Mutable state: the comment that is ours."""

    __slots__ = ("_answer", "_client", "_comment", "_flow")

    def __init__(self, flow: http.HTTPFlow, answer: Answer, client: str | None) -> None:
        """`client` is the name of the local key."""
        self._flow = flow
        self._answer = answer
        self._client = client
        self._comment = flow.comment if KEY not in flow.metadata else ""

    def begin(self, sent_at: float) -> None:
        """The answer begins: who gives it."""
        flow, answer = self._flow, self._answer
        if answer.upstream_address is not None:
            server = connection.Server(address=answer.upstream_address, peername=answer.upstream_address)
            server.timestamp_start = sent_at
            flow.server_conn = server
        flow.metadata[KEY] = self._facts()
        self._say()

    def end(self) -> None:
        """The answer is over: what it used. It may also have come from somebody else than it began to."""
        facts = self._flow.metadata.get(KEY)
        if isinstance(facts, dict):
            facts |= self._facts()
        self._say()

    def _say(self) -> None:
        flow, answer = self._flow, self._answer
        if flow.comment == self._comment:
            flow.comment = self._comment = comment_of(answer)
        if (not flow.marked or flow.marked in MARKS) and (mark := mark_of(answer)):
            flow.marked = mark

    def _facts(self) -> dict[str, str | int | float]:
        answer = self._answer
        facts: dict[str, str | int | float] = {"strategy": answer.strategy, "retries": answer.retries}
        if answer.account_id is not None:
            facts |= {"account_id": answer.account_id, "account": answer.account_label or ""}
        if answer.request_id:
            facts["request_id"] = answer.request_id
        if answer.failure:
            facts["failure"] = answer.failure
        if self._client is not None:
            facts["client"] = self._client
            facts["endpoint"] = name_of(self._flow.request.path.partition("?")[0])
        return facts | answer.facts
