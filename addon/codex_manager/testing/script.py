"""Who gets which step: per-key scripts, standing answers, and filters by path and model.

Law: a script's next step goes to the first request that fits; without one the newest fitting standing rule answers;
without that the request is simply good. Choosing is synchronous, so concurrent requests share no step.
"""

import fnmatch

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from codex_manager.testing.journal import Seen
from codex_manager.testing.step import Step, Toxic


__all__ = ["Chooser", "Script"]

type Chooser = Callable[[Seen], Step | Toxic]
"""A standing rule may decide anew for each request."""

GOOD = Step(name="ok")


def as_step(step: Step | Toxic) -> Step:
    """A toxic alone is what happens to a good answer."""
    return step if isinstance(step, Step) else GOOD | step


@dataclass(slots=True, eq=False)
class Rule:
    """Fits requests of one key (None: any), and of one path and model where given; both may have wildcards."""

    key: str | None
    path: str | None
    model: str | None
    steps: deque[Step] = field(default_factory=deque)
    standing: Step | Chooser | None = None
    cycle: bool = False

    def fits(self, seen: Seen, model: str | None) -> bool:
        return (
            (self.key is None or self.key == seen.key)
            and (self.path is None or fnmatch.fnmatchcase(seen.path, self.path))
            and (self.model is None or (model is not None and fnmatch.fnmatchcase(model, self.model)))
        )


class Script:
    """All rules in the order they were made."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []

    def play(
        self,
        key: str | None,
        steps: Sequence[Step | Toxic],
        *,
        path: str | None,
        model: str | None,
        cycle: bool = False,
    ) -> None:
        """Queue steps, each for one request; with `cycle` they begin again at the end."""
        self._rules.append(Rule(key, path, model, deque(as_step(step) for step in steps), cycle=cycle))

    def stand(self, key: str | None, step: Step | Toxic | Chooser, *, path: str | None, model: str | None) -> None:
        """Answer every fitting request so, until `clear` or a newer rule."""
        standing = as_step(step) if isinstance(step, Step | Toxic) else step
        self._rules.append(Rule(key, path, model, standing=standing))

    def clear(self, key: str | None = None) -> None:
        """Forget the rules of one key, or all."""
        self._rules = [rule for rule in self._rules if key is not None and rule.key != key]

    def left(self, key: str | None = None) -> int:
        """Scripted steps that nobody has taken yet."""
        return sum(len(rule.steps) for rule in self._rules if not rule.cycle and (key is None or rule.key == key))

    def take(self, seen: Seen, model: str | None) -> Step:
        """The step for a complete request."""
        rule = self._find(seen, model)
        if rule is None:
            return GOOD
        if rule.steps:
            step = rule.steps.popleft()
            if rule.cycle:
                rule.steps.append(step)
            elif not rule.steps:
                self._rules.remove(rule)
            return step
        return rule.standing if isinstance(rule.standing, Step) else self._decide(rule.standing, seen)

    def take_named(self, seen: Seen) -> Step | None:
        """The step of a rule that names this very path; None without one."""
        rules = [rule for rule in self._rules if rule.path is not None and rule.fits(seen, None)]
        return self.take(seen, None) if rules else None

    def take_early(self, seen: Seen) -> Step | None:
        """The step for a request of which only the head is here, if that step wants no more than the head."""
        rule = self._find(seen, None)
        step = None if rule is None else rule.steps[0] if rule.steps else rule.standing
        return self.take(seen, None) if isinstance(step, Step) and step.travel.early else None

    def _find(self, seen: Seen, model: str | None) -> Rule | None:
        fitting = [rule for rule in self._rules if rule.fits(seen, model)]
        queued = next((rule for rule in fitting if rule.steps), None)
        return queued or next((rule for rule in reversed(fitting) if rule.standing is not None), None)

    @staticmethod
    def _decide(standing: Chooser | None, seen: Seen) -> Step:
        return GOOD if standing is None else as_step(standing(seen))
