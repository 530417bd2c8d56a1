"""The page `/metrics` answers with: our sums and the state of the accounts, as Prometheus reads them.

Knows prometheus_client, and is imported when the first page is asked for. Law: reads plain values that change no more, so
that it can run in a thread while requests go on; names and labels stay from release to release (docs/usage.md lists them).
"""

import itertools

from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from codex_manager import __version__
from codex_manager.proxy.metrics import Histogram, Sums
from codex_manager.proxy.moment import BREAKER_STATES, INCIDENTS, STATES, Moment


__all__ = ["page"]

PREFIX = "codex_manager_"
OPENMETRICS = "application/openmetrics-text;version=1.0.0"
PROCESS = ProcessCollector(registry=None)  # not in the registry that all of a process share


def page(sums: Sums, moment: Moment, accept: str) -> tuple[bytes, str]:
    """The page and its content type: Prometheus's text format, or OpenMetrics for who asks for it."""
    wanted = OPENMETRICS if "application/openmetrics-text" in accept else ""
    encode, content_type = choose_encoder(wanted)  # not with the header itself: an odd one makes it raise
    return encode(_Page(sums, moment)), content_type


class _Page(Collector):
    """What is on it, in its order."""

    def __init__(self, sums: Sums, moment: Moment) -> None:
        self._sums = sums
        self._moment = moment

    def collect(self) -> Iterator[Metric]:
        """As the library asks for it."""
        return itertools.chain(_counted(self._sums), _accounts(self._moment), _own(self._moment), PROCESS.collect())


def _counted(sums: Sums) -> Iterator[Metric]:
    yield _counter(
        "requests",
        "Requests that came; `account` is whose answer the client got, empty for an answer of our own.",
        ("account", "endpoint", "model"),
        sums.requests,
    )
    yield _counter(
        "errors",
        "Requests whose client got an error, or left before the end, by class.",
        ("account", "endpoint", "class"),
        sums.errors,
    )
    yield _counter(
        "failovers",
        "Failed attempts after which another account was asked, by the account that failed.",
        ("account", "class"),
        sums.failovers,
    )
    yield _counter(
        "retries", "Failed attempts after which the same account was asked again.", ("account", "class"), sums.retries
    )
    yield _counter(
        "tokens",
        "Tokens by kind; kinds do not overlap, so that their sum is what was used.",
        ("account", "model", "kind"),
        sums.tokens,
    )
    yield _counter(
        "spent_usd",
        "US dollars, from usage the upstream reported or from estimates.",
        ("account", "model", "basis"),
        sums.spent,
    )
    yield _counter(
        "unpriced_requests",
        "Requests for models without a known price, booked at the dearest of their family.",
        ("model",),
        sums.unpriced,
    )
    yield _counter("client_requests", "Requests by local key.", ("client",), sums.client_requests)
    yield _counter("client_spent_usd", "US dollars by local key.", ("client",), sums.client_spent)
    yield _histograms(
        "request_duration_seconds",
        "From the request to the end of its answer, for requests that went well.",
        "endpoint",
        sums.durations,
    )
    yield _histograms(
        "time_to_first_token_seconds",
        "From the request to the first byte of a streamed answer's body.",
        "model",
        sums.first_bytes,
    )


def _accounts(moment: Moment) -> Iterator[Metric]:
    accounts = moment.accounts
    yield _states("account_state", "1 for what an account is doing now.", STATES, {a.label: a.state for a in accounts})
    yield _gauge(
        "account_available",
        "Whether an account can serve now.",
        ("account",),
        (((a.label,), float(a.available)) for a in accounts),
    )
    yield _gauge(
        "account_requests_in_flight",
        "Attempts on their way, by account.",
        ("account",),
        (((a.label,), a.in_flight) for a in accounts),
    )
    yield _gauge(
        "account_retry_seconds",
        "Until an account that is out is asked again, where that is known.",
        ("account",),
        (((a.label,), a.retry_s) for a in accounts if a.retry_s is not None),
    )
    yield _states(
        "breaker_state",
        "1 for where an account's circuit breaker stands.",
        BREAKER_STATES,
        {a.label: a.breaker for a in accounts},
    )
    yield _gauge(
        "cooldown_seconds",
        "How long a rate limit still keeps an account from a model.",
        ("account", "model"),
        moment.cooldowns.items(),
    )
    yield _gauge(
        "account_limit_used_ratio",
        "Share used of an account's tightest spending limit, money set aside for requests on their way included.",
        ("account",),
        (((a.label,), a.used) for a in accounts if a.used is not None),
    )
    yield _gauge(
        "client_limit_used_ratio",
        "The same by local key.",
        ("client",),
        (((name,), used) for name, used in moment.clients.items()),
    )


def _own(moment: Moment) -> Iterator[Metric]:
    yield _one("requests_in_flight", "Attempts on their way.", moment.in_flight)
    yield _one("requests_waiting", "Requests that wait for an account to recover.", moment.waiting)
    yield _one("vault_locked", "Whether the vault is locked.", moment.locked)
    yield _states(
        "incident", "1 while accounts fail alike, so that none is to blame.", INCIDENTS, {None: moment.incident}
    )
    if moment.dropped is not None:
        dropped = CounterMetricFamily(
            PREFIX + "ledger_dropped_rows", "Records that could not be written to the ledger, such as on a full disk."
        )
        dropped.add_metric((), moment.dropped)
        yield dropped
    if moment.queued is not None:
        yield _one("ledger_queued_rows", "Records on their way to the ledger.", moment.queued)
    yield _one("start_time_seconds", "When this proxy began to serve, in Unix time.", moment.started_at)
    yield _gauge("build_info", "Always 1; the label says which version serves.", ("version",), [((__version__,), 1)])


type Rows = Iterable[tuple[tuple[str, ...], float]]


def _counter(name: str, about: str, labels: tuple[str, ...], values: Mapping[tuple[str, ...], float]) -> Metric:
    family = CounterMetricFamily(PREFIX + name, about, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family


def _gauge(name: str, about: str, labels: tuple[str, ...], values: Rows) -> Metric:
    family = GaugeMetricFamily(PREFIX + name, about, labels=labels)
    for key, value in values:
        family.add_metric(key, value)
    return family


def _one(name: str, about: str, value: float) -> Metric:
    return _gauge(name, about, (), [((), float(value))])


def _states(name: str, about: str, states: tuple[str, ...], now: Mapping[str | None, str | None]) -> Metric:
    """A series for each state, so that the one that ended goes to 0 and not stale."""
    account = () if None in now else ("account",)
    return _gauge(
        name,
        about,
        (*account, "state"),
        (
            ((label, state) if label is not None else (state,), float(state == current))
            for label, current in now.items()
            for state in states
        ),
    )


def _histograms(name: str, about: str, label: str, found: Mapping[str, Histogram]) -> Metric:
    family = HistogramMetricFamily(PREFIX + name, about, labels=(label,))
    for value, histogram in found.items():
        running = itertools.accumulate(histogram.counts)
        bounds = [*map(floatToGoString, histogram.bounds), "+Inf"]
        family.add_metric((value,), list(zip(bounds, running, strict=True)), histogram.total)
    return family
