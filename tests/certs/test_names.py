"""Only names that a certificate may carry, written one way."""

import pytest

from codex_manager_certs.errors import AuthorityError
from codex_manager_certs.names import canonical, canonical_hosts, covers


@pytest.mark.parametrize(
    ("given", "name"),
    [("api.openai.com", "api.openai.com"), ("API.OpenAI.com.", "api.openai.com"), ("xn--bcher-kva.example", "xn--bcher-kva.example")],
)  # fmt: skip
def test_names_are_written_one_way(given, name):
    assert canonical(given) == name


@pytest.mark.parametrize(
    "given",
    ["", ".", "127.0.0.1", "::1", "[::1]", "*.openai.com", "bücher.example", "a..b", "-a.example", "a" * 64 + ".com", "a b", "a/b",
     "api.openai.com:443", "https://api.openai.com", "a\n.com", ".".join(["a" * 60] * 5)],
)  # fmt: skip
def test_what_is_no_name_is_refused_in_one_sentence(given):
    with pytest.raises(AuthorityError) as error:
        canonical(given)
    assert "\n" not in str(error.value)
    assert error.value.hint


def test_an_authority_for_nothing_is_refused():
    with pytest.raises(AuthorityError, match="no host to intercept"):
        canonical_hosts([])


@pytest.mark.parametrize(
    ("host", "is_covered"),
    [("api.openai.com", True), ("API.openai.com.", True), ("below.api.openai.com", True), ("openai.com", False),
     ("xapi.openai.com", False), ("api.openai.com.example.org", False), ("127.0.0.1", False), ("", False)],
)  # fmt: skip
def test_names_below_are_covered_and_neighbours_are_not(host, is_covered):
    assert covers({"api.openai.com"}, host) is is_covered
