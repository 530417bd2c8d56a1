"""What somebody typed is quoted short, printable and without keys."""

from codex_manager.core.telling.quoting import shorten


def test_a_quote_of_input_is_short_and_printable():
    assert shorten("\x1b[31mred\x00") == "\\x1b[31mred\\x00"
    assert shorten("x" * 100) == "x" * 40 + "…"


def test_a_key_is_masked_also_where_the_quote_ends():
    assert shorten("/home/me/sk-proj-0123456789.json") == "/home/me/sk-….json"
    assert shorten("/home/me/desk-top-0123456789.json") == "/home/me/desk-top-0123456789.json"
    assert shorten("x" * 38 + " sk-proj-" + "k" * 4000) == "x" * 38 + " s…"
