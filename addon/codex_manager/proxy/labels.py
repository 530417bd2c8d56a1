"""Names for the labels of metrics, of which there are never more than a few, whatever clients send.

Prometheus keeps a series for each combination of labels for weeks, and a client can write anything where the model goes. So
a name gets a label of its own only once an upstream has served it, up to a limit; everything else is `other`.
"""

import re

from collections.abc import Iterable
from functools import lru_cache
from typing import Final


__all__ = ["LONGEST", "NONE", "OTHER", "Names", "model_family"]

NONE: Final = ""
"""An empty label is no label to Prometheus: the request named no model, or no account served it."""
OTHER: Final = "other"
LONGEST: Final = 80
"""Characters; OpenAI's model names have at most 40, labels of accounts are the user's own."""

DATE = re.compile(r"-(?:20\d\d-\d\d-\d\d|\d{4})(?=$|-preview$)")
"""The date of a snapshot: `gpt-4o-2024-08-06`, `gpt-3.5-turbo-0125`, `gpt-4-0125-preview`."""


class Names:
    """The names that have a label of their own. Mutable state: the table of them."""

    def __init__(self, limit: int, known: Iterable[str] = ()) -> None:
        """`known` have one from the beginning, beyond the limit."""
        self._names = dict.fromkeys(known)
        self._limit = limit + len(self._names)

    def label(self, name: str, *, learn: bool) -> str:
        """Its label. `learn`: it is real, so that it may have one of its own from now on."""
        if name in self._names:
            return name
        if learn and len(self._names) < self._limit and len(name) <= LONGEST:
            self._names[name] = None
            return name
        return OTHER


@lru_cache(maxsize=512)
def model_family(model: str) -> str:
    """A model without what distinguishes its snapshots and tunings: `gpt-4o-2024-08-06` and `ft:gpt-4o:acme::x` lose their ends."""
    if model.startswith("ft:"):
        return f"ft:{DATE.sub('', model.split(':', 2)[1])}"
    return DATE.sub("", model)
