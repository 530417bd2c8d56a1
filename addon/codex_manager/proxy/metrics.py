"""What requests did since the proxy started, in sums: fed by records, read by `/metrics`.

Knows records; knows nothing of Prometheus (exposition) and keeps nothing on disk: Prometheus expects counters to begin at 0
with a process. Law: counting takes microseconds; the number of series is bounded whatever clients send, and every table
by `MOST_SERIES` besides.
"""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from itertools import pairwise
from typing import Final

from codex_manager.core.endpoint import FAMILIES
from codex_manager.core.failure import FailureClass
from codex_manager.core.openai_error import ADVICE
from codex_manager.core.record import Attempt, Record
from codex_manager.core.usage import Usage
from codex_manager.proxy.labels import NONE, OTHER, Names, model_family


__all__ = ["DURATION_S", "FIRST_BYTE_S", "MOST_SERIES", "Histogram", "Metrics", "Sums"]

MOST_SERIES: Final = 5_000
"""A table: 50 models on 20 accounts over 5 endpoints. All of them on one page take 0.1 s to write, in a thread."""
MODELS: Final = 50
ACCOUNTS: Final = 200
CLIENTS: Final = 200
ENDPOINTS: Final = 50

DURATION_S: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0)
"""From an embedding to a reasoning model that thinks for minutes."""
FIRST_BYTE_S: Final = (0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0)

FAILURES: Final = frozenset({*map(str, FailureClass), *ADVICE, "gone", "bad_request", "internal_error"})
"""What `Record.failure` and `Attempt.failure` may say."""
ALWAYS: Final = FAMILIES | {
    "chat/completions", "responses/compact", "images/generations", "images/edits", "audio/speech", "audio/transcriptions",
    "audio/translations",
}  # fmt: skip
"""Endpoints that have a label before the first of their requests went well."""


class Series(dict[tuple[str, ...], float]):
    """A sum for each combination of labels; once there are too many, one for all the rest."""

    def add(self, labels: tuple[str, ...], amount: float = 1) -> None:
        if labels not in self and len(self) >= MOST_SERIES:
            labels = (OTHER,) * len(labels)
        self[labels] = self.get(labels, 0) + amount


@dataclass(slots=True)
class Histogram:
    """How many took up to so many seconds."""

    bounds: tuple[float, ...]
    counts: list[int] = field(default_factory=list)
    """One more than there are bounds: the last counts what took longer than all of them."""
    total: float = 0.0

    def __post_init__(self) -> None:
        self.counts = self.counts or [0] * (len(self.bounds) + 1)

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.total += seconds

    def copy(self) -> "Histogram":
        return Histogram(self.bounds, list(self.counts), self.total)


@dataclass(slots=True)
class Sums:
    """Everything that is counted; the names in the comments are those of the labels."""

    requests: Series = field(default_factory=Series)  # account, endpoint, model
    errors: Series = field(default_factory=Series)  # account, endpoint, class
    failovers: Series = field(default_factory=Series)  # account, class
    retries: Series = field(default_factory=Series)  # account, class
    tokens: Series = field(default_factory=Series)  # account, model, kind
    spent: Series = field(default_factory=Series)  # account, model, basis
    unpriced: Series = field(default_factory=Series)  # model
    client_requests: Series = field(default_factory=Series)  # client
    client_spent: Series = field(default_factory=Series)  # client
    durations: dict[str, Histogram] = field(default_factory=dict)  # endpoint
    first_bytes: dict[str, Histogram] = field(default_factory=dict)  # model

    def copy(self) -> "Sums":
        """The same sums, which count no further: for a reader in another thread."""
        copied = Sums()
        for each in fields(self):
            table = getattr(self, each.name)
            if isinstance(table, Series):
                setattr(copied, each.name, Series(table))
            else:
                setattr(copied, each.name, {label: histogram.copy() for label, histogram in table.items()})
        return copied


class Metrics:
    """Mutable state: the sums, and which names have a label. Belongs to one event loop."""

    def __init__(self) -> None:
        self.sums = Sums()
        self._accounts = Names(ACCOUNTS)
        self._clients = Names(CLIENTS)
        self._endpoints = Names(ENDPOINTS, ALWAYS)
        self._models = Names(MODELS)

    def count(self, record: Record) -> None:
        """Add one record."""
        sums = self.sums
        served = record.account is not None and 0 < record.status < 400
        account = self.account(record.account)
        model = self.model(record.model, learn=served)
        if "attempt_of" not in record.detail:  # what a lost attempt may have cost is no request of its own
            endpoint = self._endpoint(record.endpoint, learn=served)
            sums.requests.add((account, endpoint, model))
            client = self._clients.label(record.client, learn=True)
            sums.client_requests.add((client,))
            if record.failure:
                sums.errors.add((account, endpoint, _failure(record.failure)))
            elif served:
                self._time(record, endpoint, model)
            if len(record.attempts) > 1:
                self._moved(record.attempts)
        if record.usage is not None:
            self._tokens(account, model, record.usage)
        if record.cost:
            usd = float(record.cost)
            sums.spent.add((account, model, "estimated" if record.estimated else "reported"), usd)
            sums.client_spent.add((self._clients.label(record.client, learn=True),), usd)
            if not record.priced:
                sums.unpriced.add((model,))

    def account(self, label: str | None) -> str:
        """The label for an account's label."""
        return NONE if label is None else self._accounts.label(label, learn=True)

    def model(self, name: str | None, *, learn: bool = False) -> str:
        """The label for a model."""
        return NONE if name is None else self._models.label(model_family(name), learn=learn)

    def _endpoint(self, name: str, *, learn: bool) -> str:
        label = self._endpoints.label(name, learn=learn)
        return self._endpoints.label(name.partition("/")[0], learn=False) if label == OTHER else label

    def _time(self, record: Record, endpoint: str, model: str) -> None:
        if record.websocket:
            return  # an answer on a socket has no request to begin with
        _histogram(self.sums.durations, endpoint, DURATION_S).observe(record.duration_s)
        if record.streamed and record.first_byte_s is not None:
            _histogram(self.sums.first_bytes, model, FIRST_BYTE_S).observe(record.first_byte_s)

    def _moved(self, attempts: Iterable[Attempt]) -> None:
        for failed, following in pairwise(attempts):
            table = self.sums.retries if failed.account_id == following.account_id else self.sums.failovers
            table.add((self.account(failed.label), _failure(failed.failure)))

    def _tokens(self, account: str, model: str, usage: Usage) -> None:
        """Kinds do not overlap, so that their sum is what was used."""
        table = self.sums.tokens
        fresh = usage.input - usage.cached - usage.cache_write
        for kind, count in (
            ("input", fresh),
            ("cached_input", usage.cached),
            ("cache_write", usage.cache_write),
            ("output", usage.output - usage.reasoning),
            ("reasoning", usage.reasoning),
        ):
            if count > 0:
                table.add((account, model, kind), count)


def _histogram(table: dict[str, Histogram], label: str, bounds: tuple[float, ...]) -> Histogram:
    found = table.get(label)
    if found is None:
        found = table[label] = Histogram(bounds)
    return found


def _failure(word: str) -> str:
    return word if word in FAILURES else OTHER
