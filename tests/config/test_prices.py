"""Prices of one's own in the file: any model's name, checked like every other setting."""

import dataclasses

from decimal import Decimal

import pytest
import yaml

from codex_manager.config import edit, load
from codex_manager.config.catalogue import plain_values
from codex_manager.config.errors import ConfigError
from codex_manager.config.paths import Paths
from codex_manager.config.prices import EXAMPLE, ModelPrices
from codex_manager.core.pricing import PriceOverride


@pytest.fixture
def paths(tmp_path):
    return Paths(tmp_path / "home", tmp_path / "home")


def given(paths, text):
    paths.make_dirs()
    paths.config_file.write_text(text)


def refused(paths, text) -> str:
    given(paths, text)
    with pytest.raises(ConfigError) as caught:
        load.load(paths, {})
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_there_are_none_at_first(paths):
    assert load.load(paths, {}).prices.overrides() == {}


def test_they_are_exactly_what_was_typed(paths):
    given(paths, "prices:\n  gpt-5: {input: 1.25, output: 10}\n  'ft:gpt-4.1:acme::x':\n    cached_input: 0.0000001\n")
    assert load.load(paths, {}).prices.overrides() == {
        "gpt-5": PriceOverride(input=Decimal("1.25"), output=Decimal(10)),
        "ft:gpt-4.1:acme::x": PriceOverride(cached_input=Decimal("0.0000001")),
    }


def test_what_can_be_priced_is_the_same_on_both_sides():
    assert list(ModelPrices.model_fields) == [field.name for field in dataclasses.fields(PriceOverride)]
    assert ModelPrices.model_validate(yaml.safe_load(EXAMPLE)).input == 1.25


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("prices: 5\n", "line 1: prices is a section and needs its settings indented below it"),
        ("prices:\n  gpt-5: 3\n", f"line 2: prices.gpt-5 must be prices, such as {EXAMPLE}, not 3"),
        ("prices:\n  gpt-5:\n", f"line 2: prices.gpt-5 must be prices, such as {EXAMPLE}"),
        ("prices:\n  gpt-5: {}\n", f"line 2: prices.gpt-5 must give at least one price, such as {EXAMPLE}"),
        ("prices:\n  gpt-5: {inptu: 1}\n", "line 2: prices.gpt-5 has a price of something unknown; did you mean input?"),
        ("prices:\n  gpt-5: {zz: 1}\n", "line 2: prices.gpt-5 has a price of something unknown; there are input, cached_"),
        ("prices:\n  gpt-5: {5: 1}\n", "line 2: prices.gpt-5 has a price of something unknown; there are input, cached_"),
        ("prices:\n  gpt-5: {input: -1}\n",
         "line 2: prices.gpt-5: input must be a number of US dollars from 0 to 1000000, not -1"),
        ("prices:\n  gpt-5: {input: 1e30}\n", "line 2: prices.gpt-5: input must be a number of US dollars from 0 to 1000000"),
        ("prices:\n  gpt-5: {input: .nan}\n", "line 2: prices.gpt-5: input must be a number of US dollars from 0 to 1000000"),
        ("prices:\n  gpt-5: {input: .inf}\n", "line 2: prices.gpt-5: input must be a number of US dollars from 0 to 1000000"),
        ("prices:\n  gpt-5: {input: true}\n", "line 2: prices.gpt-5: input must be a number of US dollars from 0"),
        ("prices:\n  gpt-5: {input: [1]}\n", "line 2: prices.gpt-5: input must be a number of US dollars from 0"),
        ("prices:\n  'gpt 5': {input: 1}\n", "line 2: prices.gpt 5 is no name of a model"),
        ("prices:\n  'gpt-5*': {input: 1}\n", "line 2: prices.gpt-5* is a pattern; prices are given by the names of models"),
        ("prices:\n  '': {input: 1}\n", "line 2: prices. is no name of a model"),
        ("prices:\n  a: {input: 1}\n  a: {input: 2}\n", "line 3: prices.a is already on line 2"),
        ("prices:\n  [a, b]: {input: 1}\n", "line 2: "),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence_with_its_line(paths, text, sentence):
    assert refused(paths, text).startswith(f"config.yaml {sentence}")


def test_a_key_in_the_wrong_place_is_not_repeated(paths):
    key = "sk-proj-0123456789abcdef"
    for text in (
        f"prices:\n  {key}: 1\n",
        f"prices:\n  m: {key}\n",
        f"prices:\n  m: {{input: {key}}}\n",
        f"prices:\n  m: {{{key}: 1}}\n",
    ):
        assert key not in refused(paths, text)


@pytest.mark.parametrize(
    "model", ["gpt-5.4", "gpt-5", "4.1", "ft:gpt-4.1:acme::x", "null", "o3", "it's", "a: b".replace(" ", "")]
)
@pytest.mark.parametrize(
    "before",
    ["", "# mine\n", "prices:\n", "prices: {}\n", "prices:\n  # gpt-5: nothing\n  other: {image: 1} # why\n\nui:\n  theme: dark\n",
     "prices: {other: {image: 1}}\n"],
)  # fmt: skip
def test_they_can_be_set_and_unset_without_losing_anything(paths, model, before):
    given(paths, before)
    loaded = edit.set_text(paths, f"prices.{model}", "{input: 0.00001, output: 2}", {})
    assert loaded.origins[f"prices.{model}"] == "file"
    assert loaded.config.prices.overrides()[model] == PriceOverride(input=Decimal("0.00001"), output=Decimal(2))
    edit.set_text(paths, f"prices.{model}", "{image: 3}", {})
    config = load.load(paths, {})
    assert config.prices.overrides()[model] == PriceOverride(image=Decimal(3))
    assert plain_values(config)[f"prices.{model}"] == {"image": 3.0}
    assert ("other" in config.prices.overrides()) == ("other" in before)
    edit.unset(paths, f"prices.{model}", {})
    assert model not in load.load(paths, {}).prices.overrides()
    text = paths.config_file.read_text()
    assert all(comment in text for comment in ("# mine", "# gpt-5: nothing", "# why") if comment in before)


def test_a_block_of_lines_can_be_replaced(paths):
    given(paths, "prices:\n  gpt-5:\n    input: 1\n    output: 2\n  gpt-6:\n    input: 3\n")
    edit.set_text(paths, "prices.gpt-5", "{input: 9}", {})
    assert load.load(paths, {}).prices.plain() == {"gpt-5": {"input": 9.0}, "gpt-6": {"input": 3.0}}


@pytest.mark.parametrize("text", ["5", "{inptu: 1}", "{}", "null", "[1", "{input: -1}"])
def test_what_is_no_price_leaves_the_file_as_it_was(paths, text):
    given(paths, "ui:\n  theme: dark\n")
    with pytest.raises(ConfigError):
        edit.set_text(paths, "prices.gpt-5", text, {})
    assert paths.config_file.read_text() == "ui:\n  theme: dark\n"
