"""Things that live in one organization and project: files, stored responses, batches, vector stores.

Law: found only by keys of the domain that made them, as at OpenAI; for anyone else they do not exist.
"""

import itertools

from typing import Any

from codex_manager.testing.accounts import FakeAccount


__all__ = ["STAGES", "Shelf", "public"]

STAGES = "_stages"
"""Of a thing that is not finished: functions that make what it will be, the last of which stays."""


class Shelf:
    """All resources of a server, by kind and id. Ids are unique over all accounts."""

    def __init__(self) -> None:
        self._things: dict[tuple[str, str], tuple[tuple[str, str], Any]] = {}
        self._numbers = itertools.count(1)

    def next_number(self) -> int:
        """Makes ids unique."""
        return next(self._numbers)

    def put(self, kind: str, name: str, account: FakeAccount, thing: Any) -> None:
        self._things[kind, name] = (account.domain, thing)

    def find(self, kind: str, name: str, account: FakeAccount) -> Any | None:
        domain, thing = self._things.get((kind, name), (None, None))
        return thing if domain == account.domain else None

    def look(self, kind: str, name: str, account: FakeAccount) -> Any | None:
        """The thing as somebody finds it who comes back for it: one stage further, while it has stages."""
        thing = self.find(kind, name, account)
        if thing is not None and thing.get(STAGES):
            thing.update(thing[STAGES].pop(0)())
        return thing

    def holder(self, kind: str, name: str) -> Any | None:
        """The thing whoever asks."""
        return self._things.get((kind, name), (None, None))[1]

    def domain(self, kind: str, name: str) -> tuple[str, str] | None:
        """The organization and project it is in; None when it is nowhere."""
        return self._things[kind, name][0] if (kind, name) in self._things else None

    def remove(self, kind: str, name: str) -> None:
        del self._things[kind, name]

    def all(self, kind: str, account: FakeAccount) -> list[Any]:
        """What one account sees of a kind, in the order in which it was made."""
        return [thing for (of, _), (domain, thing) in self._things.items() if of == kind and domain == account.domain]


def public(thing: dict[str, Any]) -> dict[str, Any]:
    """What may be shown: names with an underscore are the server's own."""
    return {name: value for name, value in thing.items() if not name.startswith("_")}
