"""Usage as a table, as CSV and as data: the numbers stay true in each."""

import csv
import io

from decimal import Decimal

from codex_manager_cli.usage_view import Line, as_csv, as_data, as_table


WORK = Line(
    name="Work", key="id-1", requests=1200, errors=3, input=2_500_000, cached=1_000_000, cache_write=7, output=30_000,
    reasoning=12_000, usd=Decimal("12.345678901"), estimated_usd=Decimal("0.01"),
)  # fmt: skip
HOME = Line(name="größe 🚀", key="id-2", requests=1, usd=Decimal("0.000000001"))


def test_the_table_is_flush_right_and_ends_in_the_sum():
    assert as_table([WORK, HOME], "account").splitlines() == [
        "ACCOUNT   REQUESTS  ERRORS      INPUT     CACHED  OUTPUT  REASONING      USD  ESTIMATED",
        "Work         1,200       3  2,500,000  1,000,000  30,000     12,000  12.3457       <1 %",
        "größe 🚀         1       -          -          -       -          -   0.0000          -",
        "total        1,201       3  2,500,000  1,000,000  30,000     12,000  12.3457       <1 %",
    ]
    assert len(as_table([WORK], "account").splitlines()) == 2


def test_csv_is_exact_and_reads_back():
    rows = list(csv.DictReader(io.StringIO(as_csv([WORK, HOME, Line(name='a,"b"\nc')], "account"))))
    assert [row["account"] for row in rows] == ["Work", "größe 🚀", 'a,"b"\nc']
    assert rows[0] == {
        "account": "Work", "key": "id-1", "requests": "1200", "errors": "3", "input_tokens": "2500000",
        "cached_tokens": "1000000", "cache_write_tokens": "7", "output_tokens": "30000", "reasoning_tokens": "12000",
        "usd": "12.345678901", "estimated_usd": "0.01", "unpriced_requests": "0",
    }  # fmt: skip
    assert Decimal(rows[1]["usd"]) == HOME.usd
    assert "E" not in rows[1]["usd"]


def test_a_name_is_no_formula_of_a_spreadsheet():
    (row,) = csv.DictReader(io.StringIO(as_csv([Line(name="=cmd|' /C calc'!A0")], "client")))
    assert row["client"] == "'=cmd|' /C calc'!A0"


def test_data_has_numbers():
    assert as_data(WORK)["usd"] == 12.345678901
    assert as_data(HOME)["usd"] == 1e-9
    assert list(as_data(WORK))[:2] == ["name", "key"]


def test_no_money_is_not_estimated():
    assert Line(name="x", usd=Decimal(0), estimated_usd=Decimal(0)).estimated == 0.0
