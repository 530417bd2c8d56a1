"""Model scopes: wildcards, exclusions, and refusals that name the pattern."""

import fnmatch
import time

import pytest

from hypothesis import given
from hypothesis import strategies as st

from codex_manager.core.models import allows, check_scope


@pytest.mark.parametrize(
    ("scope", "model", "allowed"),
    [
        ([], "gpt-4o", True),
        ([], None, True),
        (["gpt-4o"], None, True),
        (["!*o*"], None, True),
        (["gpt-4o"], "gpt-4o", True),
        (["gpt-4o"], "gpt-4o-mini", False),
        (["gpt-4o*"], "gpt-4o-mini", True),
        (["gpt-4o*"], "xgpt-4o", False),
        (["*4o*"], "gpt-4o-mini", True),
        (["GPT-4o"], "gpt-4O", True),
        (["gpt-?o"], "gpt-4o", True),
        (["gpt-?o"], "gpt-o", False),
        (["gpt-?o"], "gpt-44o", False),
        (["gpt-4o", "o3"], "o3", True),
        (["gpt-4o", "o3"], "o4-mini", False),
        (["!gpt-4o"], "gpt-4o", False),
        (["!gpt-4o"], "o3", True),
        (["!gpt-4o*", "!o3"], "gpt-5", True),
        (["gpt-4o*", "!gpt-4o-audio*"], "gpt-4o-mini", True),
        (["gpt-4o*", "!gpt-4o-audio*"], "gpt-4o-audio-preview", False),
        (["!gpt-4o-audio*", "gpt-4o*"], "gpt-4o-audio-preview", False),
        (["gpt-4o*", "!gpt-4o-audio*"], "o3", False),
        (["gpt-4o"], "ft:gpt-4o:org::id", False),
        (["ft:gpt-4o:org::id"], "ft:gpt-4o:org::id", True),
        (["ft:gpt-4o*:acme::*"], "ft:gpt-4o-2024-08-06:acme::Ab12", True),
        (["ft:gpt-4o*:acme::*"], "ft:gpt-4o-2024-08-06:other::Ab12", False),
        (["*"], "", True),
        (["*", "!*-preview"], "o1-preview", False),
        (["gpt-4.1"], "gpt-4x1", False),
        (["gpt-[45]"], "gpt-4", False),
        (["a*b*c"], "a--b--b--c", True),
        (["a*b*c"], "a--c--b", False),
        (["gpt**4*"], "gpt-4", True),
        (["*"], "two\nlines", True),
    ],
)
def test_a_scope_allows(scope, model, allowed):
    assert allows(scope, model) is allowed
    assert allows(tuple(scope), model) is allowed


@given(st.text("ab*?", max_size=8), st.text("ab", max_size=8))
def test_wildcards_mean_what_they_mean_in_a_shell(pattern, model):
    assert allows([pattern], model) is fnmatch.fnmatchcase(model, pattern)


def test_many_stars_are_not_slow():
    """A pattern of stars on a name that nearly fits is the classic way to make a wildcard search take years."""
    began = time.perf_counter()
    assert not allows(["a*" * 90 + "b"], "a" * 255)
    assert time.perf_counter() - began < 1


@pytest.mark.parametrize(
    "scope", [[], ["gpt-4o*"], ["!gpt-4o"], ["*", "!o1*"], ["ft:gpt-4o:org::id"], ["gpt-4o", "!gpt-4o-mini"]]
)
def test_a_sensible_scope_passes(scope):
    check_scope(scope)


@pytest.mark.parametrize(
    ("scope", "sentence"),
    [
        ([""], "the model pattern '' names no model"),
        (["gpt-4o", "!"], "the model pattern '!' names no model"),
        (["  "], "the model pattern '  ' names no model"),
        (["!!gpt"], "the model pattern '!!gpt' has more than one '!'"),
        (["gpt-4o,o3"], "the model pattern 'gpt-4o,o3' contains a comma; give each pattern by itself"),
        (["gpt 4o"], "the model pattern 'gpt 4o' contains a space or an invisible character"),
        (["gpt\x00"], "the model pattern 'gpt\\x00' contains a space or an invisible character"),
        (["gpt-[45]"], "the model pattern 'gpt-[45]' contains brackets; only * and ? are wildcards"),
        (["a" * 201], f"the model pattern '{'a' * 40}…' is longer than 200 characters"),
        (["!*"], "the model patterns leave no model over"),
        (["gpt-4o", "!*"], "the model patterns leave no model over"),
        (["gpt-4o", "!GPT-4o"], "the model patterns leave no model over"),
    ],
)
def test_a_scope_nobody_can_have_meant_is_refused_with_a_sentence(scope, sentence):
    with pytest.raises(ValueError) as caught:
        check_scope(scope)
    assert str(caught.value) == sentence
