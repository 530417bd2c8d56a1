"""The last so many things in a row, each with a number, for somebody who comes again and asks for what is new.

Law: bounded, and whoever was away too long is told how much they have missed.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice


__all__ = ["Numbered", "Slice"]


@dataclass(frozen=True, slots=True)
class Slice[T]:
    """A part of the row, the oldest first."""

    items: tuple[T, ...]
    first: int
    """Number of the first of them."""
    last: int
    """Number of the last thing there has been; ask for what comes after it."""
    missed: int
    """How many came after those that were known and are not among these."""

    def __iter__(self) -> Iterator[tuple[int, T]]:
        return iter(enumerate(self.items, self.first))


class Numbered[T]:
    """Mutable state: the last things, and how many there have been."""

    __slots__ = ("_items", "count")

    def __init__(self, most: int) -> None:
        self._items: deque[T] = deque(maxlen=most)
        self.count = 0

    def add(self, item: T) -> None:
        """One more; the oldest may have to go."""
        self.count += 1
        self._items.append(item)

    def clear(self) -> None:
        """Forget them; the numbers go on."""
        self._items.clear()

    def after(self, number: int, limit: int) -> Slice[T]:
        """What came after this number, of that the newest `limit`. A number that has not been yet is from another run, so it is 0."""
        if number > self.count:
            number = 0
        new = self.count - number
        given = min(new, limit, len(self._items))
        items = tuple(islice(reversed(self._items), given))[::-1]
        return Slice(items, self.count - given + 1, self.count, new - given)
