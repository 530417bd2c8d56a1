"""`@value`: a frozen dataclass to the type checker, an ordinary one at run time.

A frozen dataclass sets each field through `object.__setattr__`: 5 µs for twenty fields against 1 µs (CPython 3.13). That
is paid several times with every request, so the few types that are made so often are held to never changing by mypy
alone. Equal by value and hashable, as a frozen one.
"""

import dataclasses

from typing import TYPE_CHECKING, Any


__all__ = ["value"]

if TYPE_CHECKING:
    from dataclasses import dataclass as value
else:

    def value(**options: Any) -> Any:
        """As `dataclass(frozen=True, …)`."""
        return dataclasses.dataclass(**(options | {"frozen": False, "unsafe_hash": True}))
