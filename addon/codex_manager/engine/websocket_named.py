"""What a `response.create` on a socket names, and what its answer shows: ownership as over HTTP (engine.ownership), but nobody
is asked for what is not known. What a socket remembers without keeping it is known to nobody else, and would be looked for with
every turn.
"""

from typing import TYPE_CHECKING

from codex_manager.core.openai_error import ErrorAnswer
from codex_manager.core.resources import learner_for, references
from codex_manager.core.routing import Facts
from codex_manager.core.socket_events import Create
from codex_manager.core.state import Lease
from codex_manager.engine.learning import Learning
from codex_manager.engine.messages import Request
from codex_manager.engine.ownership import Named, named_in
from codex_manager.engine.question import Question
from codex_manager.engine.tab import Tab
from codex_manager.engine.websocket_frames import Message


if TYPE_CHECKING:
    from codex_manager.engine.engine import Engine


__all__ = ["NamedFrame"]

END = b"\n\n"
"""Between two frames nothing is unfinished."""


class NamedFrame:
    """One frame of the client's, and the answer to it."""

    __slots__ = ("_asked", "_engine", "_learning", "_named")

    def __init__(self, engine: "Engine", text: str, create: Create, facts: Facts, tab: Tab) -> None:
        body = text.encode("utf-8", "surrogatepass")
        named = references("", body, "application/json")
        request = Request(method="POST", target="/v1/responses", headers=(), body=body)
        self._engine = engine
        self._asked = Question(request, None, None, "stateless", facts, tab, named, create.store)
        self._named: Named | None = named_in(engine, self._asked)
        self._learning: Learning | None = None

    def placed(self, facts: Facts) -> Facts | ErrorAnswer:
        """The facts with where the turn may go, as far as that is known."""
        return facts if self._named is None else self._named.known(facts)

    def gives_way(self, facts: Facts) -> bool:
        """The origin of its reasoning cannot serve: it is left out, if it may be. To be placed anew then."""
        return self._named is not None and self._named.gives_way(facts)

    @property
    def message(self) -> Message:
        """The frame as it goes out."""
        body = self._asked.request.body
        assert isinstance(body, bytes)
        return Message(body.decode("utf-8", "surrogatepass"))

    def sent(self, lease: Lease) -> None:
        """An account works for it."""
        learner = learner_for("POST", "/v1/responses", stored=self._asked.store)
        self._learning = None if learner is None else Learning(self._engine, learner, lease)

    def heard(self, text: str) -> None:
        """A frame of the answer."""
        if self._learning is not None:
            self._learning.feed(text.encode("utf-8", "surrogatepass") + END)

    def served(self, lease: Lease) -> None:
        """The answer came to its end."""
        if self._named is not None:
            self._named.served(lease)
