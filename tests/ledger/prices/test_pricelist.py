"""Every name has a price: the user's own, the listed one, or the dearest of its family, and it says which."""

import random
import string
import threading

from decimal import Decimal

import pytest

from codex_manager.core.pricing import Cost, PriceOverride
from codex_manager.core.usage import Usage
from codex_manager.ledger.prices import DEAREST, Prices
from codex_manager.ledger.prices import pricelist as module


M = 1_000_000
NOVEMBER = 1_793_534_400.0  # 2026-11-01 UTC


@pytest.fixture(scope="module")
def loaded():
    return Prices.load(clock=lambda: NOVEMBER)


@pytest.fixture
def prices(loaded):
    return loaded.replaced({})


def test_a_listed_model(prices):
    usage = Usage(input=2 * M, cached=M, output=M, model="gpt-5-2025-08-07", tier="default")
    assert prices.cost("gpt-5", usage) == Cost(Decimal("11.375"))
    quote = prices.quote("gpt-5")
    assert (quote.known, quote.family, quote.overridden) == (True, "", False)
    assert quote.source == prices.library.source


def test_what_served_counts_before_what_was_asked_for(prices):
    assert prices.cost("gpt-5", Usage(output=M, model="gpt-5-nano-2025-08-07")).usd == Decimal("0.4")
    assert prices.cost("gpt-5", Usage(output=M, model="")).usd == 10
    assert prices.cost("no-such-thing", Usage(output=M, model="gpt-5")) == Cost(Decimal(10))


def test_a_long_context_costs_more_for_all_its_tokens(prices):
    assert prices.cost("gpt-5.4", Usage(input=272_000, output=M)).usd == Decimal("15.68")
    assert prices.cost("gpt-5.4", Usage(input=272_001, output=M)).usd == Decimal("22.5") + Decimal("1.360005")


@pytest.mark.parametrize(
    ("name", "family", "output_usd"),
    [
        ("gpt-5.7-sol", "gpt-5", 180),  # gpt-5.4-pro
        ("gpt-7", "gpt", 180),
        ("o5-mini", "o", 600),  # o1-pro
        ("text-embedding-4", "text-embedding", 0),
        ("llama-9", "every model", 600),
        ("", "every model", 600),
        (None, "every model", 600),
        ("\x00\n💰", "every model", 600),
        ("gpt-" + "9" * 10_000, "gpt", 180),
        ("ft:", "ft", 16),
        ("ft:gpt-5-mini-2025-08-07:acme::x", "gpt-5-mini-2025-08-07", 12),
        ("ft:ft:ft", "ft", 96),
        ("sora-3", "sora", 0),
    ],
)
def test_an_unlisted_model_is_as_dear_as_the_dearest_of_its_family(prices, name, family, output_usd):
    cost = prices.cost(name, Usage(output=M))
    assert not cost.known
    assert cost.usd == output_usd
    assert prices.quote(name or "").family == family


def test_a_family_has_its_other_units_too(prices):
    assert prices.cost("sora-3", Usage(seconds=10)) == Cost(Decimal(5), known=False)
    assert prices.cost("dall-e-4", Usage(images=1)) == Cost(Decimal("0.12"), known=False)
    assert prices.cost("whisper-2", Usage(seconds=60)) == Cost(Decimal("0.006"), known=False)
    assert prices.cost("tts-2", Usage(characters=M)) == Cost(Decimal(30), known=False)


def test_nothing_unlisted_is_cheaper_than_any_listed_one_of_its_family(prices):
    usage = Usage(input=300_000, cached=10, cache_write=10, output=50, output_audio=20, input_audio=5)
    for name in prices.names():
        sibling = prices.cost(f"{name}-what-nobody-knows", usage)
        assert sibling.usd >= prices.cost(name, usage).usd, name


def test_a_snapshot_that_is_not_listed_costs_what_its_model_does(prices):
    assert prices.cost("gpt-5.4-2031-01-01", Usage(output=M)) == Cost(Decimal(15))


def test_an_answer_under_a_meaningless_name_costs_what_was_asked_for_but_is_not_known(prices):
    assert prices.cost("gpt-5", Usage(output=M, model="deployment-17")) == Cost(Decimal(10), known=False)
    assert prices.cost("gpt-5", Usage(output=M, model="gpt-5.9-sol")) == Cost(Decimal(180), known=False)


def test_moderation_is_free_and_known(prices):
    assert prices.cost("omni-moderation-latest", Usage(input=M, output=M)) == Cost(Decimal(0))


def test_a_price_of_ones_own(loaded):
    prices = loaded.replaced({
        "gpt-5": PriceOverride(output=Decimal(7)),
        "GPT-4.1-mini": PriceOverride(input=Decimal("0.1")),
        "ft:gpt-4.1": PriceOverride(output=Decimal(2)),
        "gpt-5.4": PriceOverride(input=Decimal(1)),
    })  # fmt: skip
    assert prices.cost("gpt-5", Usage(input=M, output=M)) == Cost(Decimal("8.25"))
    assert prices.cost("x", Usage(output=M, model="gpt-5-2025-08-07")) == Cost(Decimal(7))
    assert prices.cost("gpt-5", Usage(output=M, tier="priority")) == Cost(Decimal("17.5"))
    assert prices.cost("gpt-5", Usage(output=M, tier="batch")) == Cost(Decimal("3.5"))
    assert prices.cost("gpt-4.1-mini", Usage(input=2 * M, cached=M)) == Cost(Decimal("0.2"))
    assert prices.cost("ft:gpt-4.1-2025-04-14:acme::x", Usage(output=M)) == Cost(Decimal(2))
    assert prices.cost("gpt-5.4", Usage(input=M)) == Cost(Decimal(1))  # the same for a long context
    assert prices.cost("gpt-5-mini", Usage(output=M)) == Cost(Decimal(2))
    quote = prices.quote("gpt-5")
    assert (quote.overridden, quote.known, quote.source) == (True, True, "config.yaml")
    assert loaded.cost("gpt-5", Usage(output=M)) == Cost(Decimal(10))  # who asks the old ones gets the old ones


def test_a_price_of_ones_own_for_what_is_not_listed(loaded):
    prices = loaded.replaced({
        "local-llama": PriceOverride(input=Decimal(0), output=Decimal("0.5")),
        "gpt-9": PriceOverride(input=Decimal(3)),
        "sonic": PriceOverride(minute=Decimal("0.3")),
    })  # fmt: skip
    assert prices.cost("local-llama", Usage(input=M, cached=M, output=M, input_audio=5)) == Cost(Decimal("0.5"))
    assert prices.cost("local-llama", Usage(seconds=99, images=9)) == Cost(Decimal(0))
    half_known = prices.cost("gpt-9", Usage(input=M, cached=M, output=M))
    assert half_known == Cost(Decimal(3 + 180 if half_known.usd < 200 else 3 + 270), known=False)
    assert prices.cost("sonic", Usage(seconds=60)) == Cost(Decimal("0.3"))


def test_a_price_that_was_overridden_for_the_name_asked_for_counts_whoever_served(loaded):
    prices = loaded.replaced({"my-alias": PriceOverride(input=Decimal(1), output=Decimal(1))})
    assert prices.cost("my-alias", Usage(output=M, model="gpt-5")).usd == 1


def test_a_new_price_of_the_list_takes_over_on_its_day():
    """o3 became cheaper on 2025-06-10 UTC."""
    now = [1_749_513_599.0]
    prices = Prices.load(clock=lambda: now[0])
    assert prices.cost("o3", Usage(output=M)).usd == 40
    now[0] += 1
    assert prices.cost("o3", Usage(output=M)).usd == 8


def test_names_without_end_do_not_fill_the_memory(prices, monkeypatch):
    monkeypatch.setattr(module, "_MOST_KEPT", 50)
    choice = random.Random(4)
    for _ in range(200):
        name = "".join(choice.choices(string.printable, k=choice.randrange(30)))
        assert prices.cost(name, Usage(input=1)).usd > 0
    assert len(prices._answers) <= 50


def test_threads_may_ask_at_once(prices):
    answers = []

    def ask() -> None:
        answers.append([prices.cost(name, Usage(output=M)).usd for name in prices.names()])

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(answers) == 4
    assert all(answer == answers[0] for answer in answers)


def test_before_they_are_loaded_nothing_is_dearer(prices):
    usages = [
        Usage(input=M, cached=M // 2, output=M, output_audio=9), Usage(seconds=60), Usage(images=2), Usage(characters=M),
        Usage(calls=()),
    ]  # fmt: skip
    for usage in usages:
        for name in prices.names():
            assert DEAREST.cost(name, usage).usd >= prices.cost(name, usage).usd, (name, usage)
            assert not DEAREST.cost(name, usage).known


@pytest.mark.bench
def test_how_long_a_question_takes(prices, capsys):
    import timeit

    usage = Usage(input=1000, cached=400, output=50, model="gpt-5.4-2026-03-05", tier="default")
    again = min(timeit.repeat(lambda: prices.cost("gpt-5.4", usage), number=10_000, repeat=7)) / 10_000
    names = iter([f"gpt-9-{number}" for number in range(2000)])
    fresh = min(timeit.repeat(lambda: prices.cost(next(names), usage), number=100, repeat=7)) / 100
    with capsys.disabled():
        print(f"\na price asked for before {again * 1e6:.1f} us (aim: 5), of a name never seen {fresh * 1e6:.0f} us")
    assert again > 0
