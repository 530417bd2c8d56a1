"""What a field of an account may hold: a table of values, and sentences that show neither secrets nor walls of input."""

import pytest

from codex_manager.accounts.fields import CHECKS, FieldError, check
from codex_manager.core.secret import Secret
from codex_manager.core.telling.quoting import shorten


GOOD = [
    ("label", "  Work  ", "Work"),
    ("label", "arbeit 🚀", "arbeit 🚀"),
    ("label", "e\u0301te\u0301", "été"),
    ("label", "x" * 64, "x" * 64),
    ("api_key", " sk-personal-... \n", Secret("sk-personal-...")),
    ("api_key", Secret("sk-abc"), Secret("sk-abc")),
    ("admin_key", "", None),
    ("admin_key", None, None),
    ("organization", "org-abc", "org-abc"),
    ("organization", "", None),
    ("project", None, None),
    ("base_url", "https://eu.api.openai.com/v1/", "https://eu.api.openai.com"),
    ("base_url", "http://127.0.0.1:9000", "http://127.0.0.1:9000"),
    ("base_url", "", None),
    ("models", ("gpt-5*, !gpt-5-pro", "o3"), ("gpt-5*", "!gpt-5-pro", "o3")),
    ("models", "", ()),
    ("models", None, ()),
    ("daily_limit_usd", "12.50", 12.5),
    ("daily_limit_usd", "none", None),
    ("monthly_limit_usd", None, None),
    ("monthly_limit_usd", 100, 100.0),
    ("priority", "-3", -3),
    ("priority", None, 0),
    ("weight", "0.5", 0.5),
    ("weight", None, 1.0),
    ("enabled", False, False),
    ("tags", ["a", "b,a"], ("a", "b")),
    ("notes", "two\nlines", "two\nlines"),
]

BAD = [
    ("label", ""),
    ("label", "   "),
    ("label", "x" * 65),
    ("label", "x" * 10_240),
    ("label", "-work"),
    ("label", "a\x00b"),
    ("label", "a\nb"),
    ("label", "a\u202eb"),
    ("label", "\ud800"),
    ("label", 7),
    ("label", None),
    ("api_key", ""),
    ("api_key", "sk with space"),
    ("api_key", "sk-\x00"),
    ("api_key", "sk-ключ"),
    ("api_key", "sk-abc\r\nX-Evil: 1"),
    ("api_key", "sk-***abc"),
    ("api_key", "k" * 5000),
    ("api_key", {"a": 1}),
    ("organization", "org abc"),
    ("organization", "org-\x07"),
    ("organization", "o" * 257),
    ("base_url", "ftp://host"),
    ("base_url", "http://example.org"),
    ("base_url", "https://user:pass@example.org"),
    ("base_url", "https://example.org?x=1"),
    ("base_url", "nonsense"),
    ("models", [1]),
    ("models", {"a": 1}),
    ("daily_limit_usd", "0"),
    ("daily_limit_usd", "-1"),
    ("daily_limit_usd", "nan"),
    ("daily_limit_usd", "inf"),
    ("daily_limit_usd", True),
    ("monthly_limit_usd", "ten"),
    ("monthly_limit_usd", "1e300"),
    ("priority", "1.5"),
    ("priority", "9" * 400),
    ("weight", "0"),
    ("weight", []),
    ("enabled", "yes"),
    ("tags", "t" * 65),
    ("tags", [str(n) for n in range(33)]),
    ("notes", "n" * 4097),
    ("notes", "\x1b[31m"),
]


@pytest.mark.parametrize(("field", "value", "stored"), GOOD)
def test_a_good_value_is_stored_as(field, value, stored):
    assert check(field, value) == stored


@pytest.mark.parametrize(
    ("field", "value"), BAD, ids=lambda value: shorten(str(value), 20).encode("ascii", "replace").decode()
)
def test_a_bad_value_is_one_short_printable_sentence(field, value):
    with pytest.raises(FieldError) as caught:
        check(field, value)
    sentence = str(caught.value)
    assert sentence.isprintable()
    assert not sentence.endswith(".")
    assert len(sentence) < 250
    if field == "api_key" and isinstance(value, str) and value:
        assert value.strip() not in sentence


def test_every_settable_field_of_an_account_has_a_check():
    """Only the id and the times are the vault's own."""
    import dataclasses

    from codex_manager.core.account import Account

    fields = {field.name for field in dataclasses.fields(Account)}
    assert fields - set(CHECKS) == {"id", "created_at", "updated_at", "last_used_at"}


@pytest.mark.parametrize("field", ["daily_limit_usd", "organization", "label", "weight"])
def test_a_key_in_the_wrong_place_is_not_quoted(field):
    with pytest.raises(FieldError) as caught:
        check(field, "- sk-proj-0123456789abcdef")
    assert "0123456789" not in str(caught.value)
