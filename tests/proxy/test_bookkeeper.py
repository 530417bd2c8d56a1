"""Every record reaches the ledger, whatever becomes of the counting beside it."""

import logging

from decimal import Decimal

from tests.proxy.test_metrics import record

from codex_manager.core.pricing import Cost
from codex_manager.core.record import Reservation
from codex_manager.core.usage import Usage
from codex_manager.ledger import Ledger, Reader
from codex_manager.proxy.bookkeeper import Bookkeeper
from codex_manager.proxy.domains import Domains
from codex_manager.proxy.metrics import Metrics


RESERVED = Reservation(
    id="1",
    time=0.0,
    account_id="id-work",
    account="work",
    client="default",
    endpoint="responses",
    model="o3",
    usd=Decimal(2),
)


def test_before_there_is_a_ledger_it_counts():
    metrics = Metrics()
    book = Bookkeeper(metrics)
    book.reserved(RESERVED)
    book.released("1")
    book.record(record())
    book.settle_object("resp_1", Usage(input=1), Cost(Decimal(1)))
    assert sum(metrics.sums.requests.values()) == 1


def test_the_ledger_gets_everything(tmp_path):
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        book = Bookkeeper(Metrics())
        book.use(ledger, Domains({}, ledger.learn_domain))
        book.reserved(RESERVED)
        first = book.record(
            record(id="1", domain="org-a/proj_a", open=True, object_id="resp_1", cost=Decimal(2), usage=Usage(input=9))
        )
        assert book.record(record(id="2")) == first + 1
        book.settle_object("resp_1", Usage(input=5), Cost(Decimal(3), known=False))
    with Reader.open(tmp_path / "ledger.db") as reader:
        settled = reader.request("1")
        assert settled is not None
        assert (settled.cost, settled.priced, settled.open, settled.usage) == (Decimal(3), False, False, Usage(input=5))
        assert reader.request("2") is not None
        (domain,) = reader.domains().values()
        assert (domain.organization, domain.project) == ("org-a", "proj_a")


def test_counting_that_breaks_costs_no_record(tmp_path, caplog, monkeypatch):
    def broken(*_):
        raise ValueError("sk-secret")

    metrics = Metrics()
    monkeypatch.setattr(metrics, "count", broken)
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        book = Bookkeeper(metrics)
        book.use(ledger, Domains({}, ledger.learn_domain))
        assert book.record(record(id="1")) > 0
    with Reader.open(tmp_path / "ledger.db") as reader:
        assert reader.request("1") is not None
    assert [entry.levelno for entry in caplog.records] == [logging.ERROR]
    assert "sk-secret" not in caplog.text
