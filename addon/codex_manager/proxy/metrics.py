"""What requests did since the proxy started, in sums: fed by records, read by `/metrics`.

Knows records; knows nothing of Prometheus (exposition) and keeps nothing on disk: Prometheus expects counters to begin at 0
with a process. Law: counting takes microseconds; the number of series is bounded whatever clients send, and every table
by `MOST_SERIES` besides.

Theory of operation. Nearly all requests are answered well at the first try. Those of one account, endpoint, model and client
are added up on a line, and lines go into the sums when somebody reads these.
"""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from decimal import Decimal
from itertools import pairwise
from typing import Final

from codex_manager.core.endpoint import FAMILIES
from codex_manager.core.failure import FailureClass
from codex_manager.core.openai_error import ADVICE
from codex_manager.core.pricing import ZERO
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


KINDS: Final = ("input", "cached_input", "cache_write", "output", "reasoning")
"""Of tokens. They do not overlap, so that their sum is what was used."""


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


class _Line:
    """What requests with the same labels did since the sums were read last."""

    __slots__ = (
        "account", "cache_write", "cached", "client", "durations", "endpoint", "first_bytes", "input", "model", "output",
        "reasoning", "requests", "usd",
    )  # fmt: skip

    def __init__(self, account: str, endpoint: str, model: str, client: str, durations: Histogram) -> None:
        self.account, self.endpoint, self.model, self.client = account, endpoint, model, client
        self.durations = durations
        self.first_bytes: Histogram | None = None
        """There is none before the first answer that is streamed."""
        self.requests = self.input = self.cached = self.cache_write = self.output = self.reasoning = 0
        self.usd: Decimal = ZERO


class Metrics:
    """Mutable state: the sums, the lines that are not in them yet, and which names have a label. Belongs to one event loop."""

    def __init__(self) -> None:
        self._sums = Sums()
        self._lines: dict[tuple[str, str, str | None, str], _Line] = {}
        """By what a record says: account, endpoint, model, client."""
        self._accounts = Names(ACCOUNTS)
        self._clients = Names(CLIENTS)
        self._endpoints = Names(ENDPOINTS, ALWAYS)
        self._models = Names(MODELS)

    @property
    def sums(self) -> Sums:
        """All that was counted so far."""
        for line in self._lines.values():
            if line.requests:
                self._add(line)
        return self._sums

    def count(self, record: Record) -> None:
        """Add one record."""
        usage, account = record.usage, record.account
        if (
            record.failure
            or account is None
            or not 0 < record.status < 400
            or usage is None
            or record.estimated
            or record.websocket
            or not record.priced
            or len(record.attempts) > 1
            or "attempt_of" in record.detail
        ):
            self._count(record)
            return
        line = self._lines.get((account, record.endpoint, record.model, record.client)) or self._line(account, record)
        line.requests += 1
        line.input += usage.input
        line.output += usage.output
        if usage.cached:
            line.cached += usage.cached
        if usage.cache_write:
            line.cache_write += usage.cache_write
        if usage.reasoning:
            line.reasoning += usage.reasoning
        line.usd += record.cost
        durations = line.durations
        durations.counts[bisect_left(DURATION_S, record.duration_s)] += 1
        durations.total += record.duration_s
        if record.streamed and record.first_byte_s is not None:
            if line.first_bytes is None:
                line.first_bytes = _histogram(self._sums.first_bytes, line.model, FIRST_BYTE_S)
            line.first_bytes.observe(record.first_byte_s)

    def _line(self, account: str, record: Record) -> _Line:
        """A line for such records. All of these names are real, so that their labels stay what they are."""
        if len(self._lines) >= MOST_SERIES:
            for line in self._lines.values():
                self._add(line)
            self._lines.clear()
        endpoint = self._endpoint(record.endpoint, learn=True)
        line = _Line(
            self.account(account),
            endpoint,
            self.model(record.model, learn=True),
            self._clients.label(record.client, learn=True),
            _histogram(self._sums.durations, endpoint, DURATION_S),
        )
        self._lines[account, record.endpoint, record.model, record.client] = line
        return line

    def _add(self, line: _Line) -> None:
        """Put a line into the sums, and begin it anew."""
        sums, account, model, usd = self._sums, line.account, line.model, float(line.usd)
        sums.requests.add((account, line.endpoint, model), line.requests)
        sums.client_requests.add((line.client,), line.requests)
        self._tokens(
            account,
            model,
            (line.input - line.cached - line.cache_write, line.cached, line.cache_write,
             line.output - line.reasoning, line.reasoning),
        )  # fmt: skip
        if usd:
            sums.spent.add((account, model, "reported"), usd)
            sums.client_spent.add((line.client,), usd)
        line.requests = line.input = line.cached = line.cache_write = line.output = line.reasoning = 0
        line.usd = ZERO

    def _count(self, record: Record) -> None:
        """Add a record of any kind."""
        sums = self._sums
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
            self._tokens(account, model, _kinds(record.usage))
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
        _histogram(self._sums.durations, endpoint, DURATION_S).observe(record.duration_s)
        if record.streamed and record.first_byte_s is not None:
            _histogram(self._sums.first_bytes, model, FIRST_BYTE_S).observe(record.first_byte_s)

    def _moved(self, attempts: Iterable[Attempt]) -> None:
        for failed, following in pairwise(attempts):
            table = self._sums.retries if failed.account_id == following.account_id else self._sums.failovers
            table.add((self.account(failed.label), _failure(failed.failure)))

    def _tokens(self, account: str, model: str, counts: tuple[int, ...]) -> None:
        table = self._sums.tokens
        for kind, count in zip(KINDS, counts, strict=True):
            if count > 0:
                table.add((account, model, kind), count)


def _kinds(usage: Usage) -> tuple[int, ...]:
    """Its tokens by KINDS."""
    fresh = usage.input - usage.cached - usage.cache_write
    return fresh, usage.cached, usage.cache_write, usage.output - usage.reasoning, usage.reasoning


def _histogram(table: dict[str, Histogram], label: str, bounds: tuple[float, ...]) -> Histogram:
    found = table.get(label)
    if found is None:
        found = table[label] = Histogram(bounds)
    return found


def _failure(word: str) -> str:
    return word if word in FAILURES else OTHER
