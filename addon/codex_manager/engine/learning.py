"""Notes what an answer shows to be in its account, while its bytes pass by (core.resources, core.owners).

Law: what a piece of an answer shows is known before the client has that piece, so that it can be asked for at once. Never
raises; the bytes are read by whoever taps them anyway.
"""

import logging

from collections.abc import Mapping
from typing import TYPE_CHECKING

from codex_manager.core.errors import type_and_place
from codex_manager.core.resources import Learned, Learner, deleted, ids_in_path, learner_for
from codex_manager.core.state import Lease
from codex_manager.engine.question import Question


if TYPE_CHECKING:
    from codex_manager.engine.engine import Engine


__all__ = ["Learning", "learning_of"]

log = logging.getLogger(__name__)


def learning_of(
    engine: "Engine", asked: Question, lease: Lease, status: int, headers: Mapping[str, str]
) -> "Learning | None":
    """Who learns from a good answer with these headers (lower-case names); None when it shows nothing.

    What was deleted is forgotten here.
    """
    if not 200 <= status < 300:
        return None
    request = asked.request
    path = request.target.partition("?")[0]
    standing, owners = lease.standing, engine.state.owners
    if request.method == "DELETE" and (name := deleted("DELETE", path, status)) is not None:
        owners.missing(name, standing.domain, engine.clock.time())
        return None
    if (place := headers.get("location")) is not None:  # a realtime call is told nowhere else
        made = [Learned(name, family) for family, name in ids_in_path(place)]
        owners.note(made, standing.domain, lease.account_id, engine.clock.time())
    learner = learner_for(request.method, request.target, stored=asked.store)
    return None if learner is None else Learning(engine, learner, lease)


class Learning:
    """One answer; feed it what is decoded."""

    __slots__ = ("_account_id", "_engine", "_learner", "_standing")

    def __init__(self, engine: "Engine", learner: Learner, lease: Lease) -> None:
        self._engine = engine
        self._learner: Learner | None = learner
        self._standing = lease.standing
        self._account_id = lease.account_id

    def feed(self, data: bytes) -> None:
        """The next piece."""
        if self._learner is None:
            return
        try:
            self._learner.feed(data)
            if found := self._learner.take():
                engine = self._engine
                engine.state.owners.note(found, self._standing.domain, self._account_id, engine.clock.time())
        except Exception as error:  # noqa: BLE001 - learning never fails a request
            log.error("an answer's ids could not be read: %s", type_and_place(error))  # noqa: TRY400 - a message may quote it
            self._learner = None
