"""Shares, counts and money in words; exact for programs."""

from decimal import Decimal

from codex_manager.core.telling.amounts import dollars, exact, number, percent, usd, whole


def test_shares_and_money_in_words():
    assert [percent(share) for share in (0, 0.0001, 0.155, 1, 12.5)] == ["0 %", "<1 %", "16 %", "100 %", "1250 %"]
    assert (usd(Decimal("1234.5")), dollars(Decimal("1234.567"))) == ("1,234.5000", "$1,234.57")
    assert (whole(12_345), whole(0)) == ("12,345", "-")


def test_programs_get_every_digit_and_no_exponent():
    assert exact(Decimal("1E-9")) == "0.000000001"
    assert number(Decimal("12.3456789014")) == 12.345678901
