"""A request in one line: who, why, which try, what, how much; and its mark."""

import pytest

from mitmproxy.utils import emoji
from tests.proxy.rig import plain

from codex_manager.proxy.inspect.comment import MARKS, comment_of, mark_of, short


USED = {"input_tokens": 1234, "output_tokens": 340, "usd": 0.0061}


def served(facts=None, **fields):
    answer = plain(account_id="id", account_label="Work", strategy="least_utilized", **fields)
    answer.facts |= facts or {}
    return answer


@pytest.mark.parametrize(
    ("answer", "comment", "mark"),
    [
        (served(), "Work · least_utilized", ""),
        (served({"by": "least_utilized", "model": "gpt-5"}), "Work · least_utilized · gpt-5", ""),
        (served({"by": "only"}), "Work · least_utilized", ""),
        (served({"by": "affinity"}), "Work · least_utilized (affinity)", ""),
        (served({"by": "owner"}), "Work · least_utilized (owner)", ""),
        (
            served({"tried": "Personal, Work", "failed": "Personal 429", "model": "gpt-5"} | USED, retries=1),
            "Work · least_utilized · 2nd try (Personal 429) · gpt-5 · 1.2k→340 tok · $0.0061",
            ":twisted_rightwards_arrows:",
        ),
        (served({"tried": "Work, Work", "failed": "Work 503"}, retries=1), "Work · least_utilized · 2nd try (Work 503)", ""),
        (served(retries=3), "Work · least_utilized · 4th try", ""),
        (served(USED | {"estimated": 1}), "Work · least_utilized · 1.2k→340 tok · ~$0.0061", ":grey_question:"),
        (served(failure="rate_limit"), "Work · least_utilized · failed: rate_limit", ""),
        (served({"usd": 0.0000002, "input_tokens": 1, "output_tokens": 0}), "Work · least_utilized · 1→0 tok · <$0.0001", ""),
        (served({"usd": 0.0, "input_tokens": 1, "output_tokens": 0}), "Work · least_utilized · 1→0 tok · $0.0000", ""),
        (plain(), "", ""),
        (plain(strategy="sticky"), "", ""),
        (plain(failure="invalid_api_key"), "refused: invalid_api_key", ":no_entry:"),
        (
            plain(failure="rate_limit_exceeded", facts={"out": "Work rate, Home auth_failed"}),
            "refused: rate_limit_exceeded · Work rate, Home auth_failed",
            ":no_entry:",
        ),
    ],
)  # fmt: skip
def test_what_the_columns_say(answer, comment, mark):
    assert (comment_of(answer), mark_of(answer)) == (comment, mark)


def test_switch_is_the_strategy_itself():
    answer = plain(account_id="id", account_label="Work", strategy="switch", facts={"by": "switch"})
    assert comment_of(answer) == "Work · switch"


@pytest.mark.parametrize("model", ["x" * 100_000, "gpt\r\n\x1b[31m\u202e5", "\udc80"])
def test_a_model_that_is_no_name_stays_a_short_clean_line(model):
    line = comment_of(served({"model": model}))
    assert len(line) < 100
    assert line.isprintable()
    line.encode()


def test_many_accounts_that_are_out_are_cut():
    out = ", ".join(f"account-{number} rate" for number in range(1000))
    line = comment_of(plain(failure="rate_limit_exceeded", facts={"out": out}))
    assert len(line) < 220
    assert line.endswith("…")


@pytest.mark.parametrize(
    ("tokens", "shown"),
    [(0, "0"), (999, "999"), (1000, "1.0k"), (1234, "1.2k"), (9949, "9.9k"), (9960, "10k"), (12345, "12k"), (999_600, "1.0M"),
     (1_250_000, "1.2M"), (31_000_000, "31M")],
)  # fmt: skip
def test_tokens_are_short(tokens, shown):
    assert short(tokens) == shown


def test_every_mark_is_one_mitmproxy_knows():
    assert emoji.emoji.keys() >= MARKS
