"""A page in less room stays readable."""

from codex_manager_cli.tui.folding import folded


PAGE = """\
1. home, least_utilized: most room left
   work         this request may cost $0.041, more than is left of its daily limit of $0.02, counts anew tomorrow  -
   client-acme  not for this model (gpt-4o*)                                                                       -
   -> 429 after 0.21 s: rate limited"""


def test_a_long_cell_goes_on_below_itself():
    assert (
        folded(PAGE, 60)
        == """\
1. home, least_utilized: most room left
   work         this request may cost $0.041, more than is
                left of its daily limit of $0.02, counts
                anew tomorrow
   client-acme  not for this model (gpt-4o*)
   -> 429 after 0.21 s: rate limited"""
    )


def test_what_fits_is_as_it_was():
    assert folded(PAGE, 200) == PAGE


def test_a_word_without_end_is_cut_and_an_empty_line_stays():
    assert folded("x" * 25 + "\n\ny", 20).splitlines() == ["x" * 20, "  " + "x" * 5, "", "y"]
