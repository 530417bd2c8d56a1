"""How much models mostly say, so that a request that names no limit for its answer can have money set aside.

Law: bounded, whatever names clients use; learned only from answers whose usage the upstream itself reported.
"""

import math

from bisect import bisect_left, insort
from collections import deque
from typing import Final


__all__ = ["DEFAULT_OUTPUT", "OutputHabits"]

DEFAULT_OUTPUT: Final = 4096
"""Tokens; for a model not seen often enough. The longest answer of OpenAI's first chat models, and longer than most."""
SHARE: Final = 0.95
"""The 95th percentile: one request in twenty may say more than was set aside for it (semantics §5)."""
ENOUGH: Final = 20
"""Answers from which on a 95th percentile is not just the largest."""
MOST_ANSWERS: Final = 200
"""The last so many count, so that a change of habit shows."""
MOST_MODELS: Final = 256


class _Habit:
    """Output tokens of the last answers, in order of time and of size."""

    __slots__ = ("expected", "recent", "sizes")

    def __init__(self) -> None:
        self.recent: deque[int] = deque()
        self.sizes: list[int] = []
        self.expected = DEFAULT_OUTPUT

    def saw(self, tokens: int) -> None:
        if len(self.recent) == MOST_ANSWERS:
            oldest = self.recent.popleft()
            del self.sizes[bisect_left(self.sizes, oldest)]
        self.recent.append(tokens)
        insort(self.sizes, tokens)
        usual = self.sizes[math.ceil(SHARE * len(self.sizes)) - 1]
        self.expected = usual if len(self.sizes) >= ENOUGH else max(DEFAULT_OUTPUT, usual)


class OutputHabits:
    """By model. Mutable state: the habits, the model used last at the end."""

    def __init__(self) -> None:
        self._habits: dict[str, _Habit] = {}

    def expected(self, model: str | None) -> int:
        """Output tokens that an answer of this model probably does not exceed."""
        habit = self._habits.get(model) if model is not None else None
        return DEFAULT_OUTPUT if habit is None else habit.expected

    def saw(self, model: str | None, tokens: int) -> None:
        """An answer of this model had so many output tokens, as the upstream said."""
        if model is None:
            return
        habit = self._habits.pop(model, None)
        if habit is None:
            habit = _Habit()
            if len(self._habits) >= MOST_MODELS:
                del self._habits[next(iter(self._habits))]
        self._habits[model] = habit
        habit.saw(max(tokens, 0))
