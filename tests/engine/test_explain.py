"""The words a client gets when nobody can serve: every account, its reason, its amounts and its time."""

import json

from decimal import Decimal

import pytest

from codex_manager.core.account import Account
from codex_manager.core.allowance import Shortage
from codex_manager.core.routing import Facts, Obstacle, Reason, Refusal
from codex_manager.core.secret import Secret
from codex_manager.engine import explain


NOW = 1000.0
TURNS_AT = 1793577600.0  # 2026-11-02 00:00 UTC


def account(label, **settings):
    return Account(id=label, label=label, api_key=Secret("sk-very-secret-" + label), **settings)


def spent(label="work", usd="20.03", need="0.01", reserved="0"):
    shortage = Shortage("day", NOW + 18_720, TURNS_AT, Decimal(usd), Decimal(reserved), Decimal(20), Decimal(need))
    return Reason(account(label), Obstacle.SPENDING, shortage.until, shortage=shortage)


def barred(label, *models):
    return Reason(account(label, models=models), Obstacle.MODEL_SCOPE, note=", ".join(models))


def told(*reasons, model="gpt-5"):
    answer = explain.all_blocked(Refusal(reasons), Facts(model=model), NOW)
    assert b"sk-very-secret" not in answer.body
    return answer, json.loads(answer.body)["error"]


def headers(answer):
    return {name.decode(): value.decode() for name, value in answer.headers}


def test_a_limit_is_told_with_amounts_and_the_time_it_turns():
    answer, error = told(spent(), Reason(account("old"), Obstacle.DISABLED))
    assert (answer.status, error["code"], error["type"]) == (429, "insufficient_quota", "insufficient_quota")
    assert headers(answer)["x-should-retry"] == "false"
    assert "retry-after" not in headers(answer)
    assert error["message"] == (
        "Every account that could serve has reached its spending limit. work: daily limit of $20.00 reached, $20.03 spent, counts anew"
        " from 2026-11-02 00:00 UTC, again in 5h 12m; old: disabled. `codex-manager usage` shows what was spent;"
        " `codex-manager edit LABEL --daily-limit USD --monthly-limit USD` changes limits."
    )


@pytest.mark.parametrize(
    ("reasons", "begins"),
    [
        ([spent(usd="19.5", need="0.8")], "No account has enough left of its spending limit for this request."),
        ([spent(), spent("home", usd="19.5", need="0.8")], "No account has enough left"),
        ([spent(), Reason(account("b"), Obstacle.BILLING, NOW + 60)], "No account with credit and within its spending limit is left."),
        ([spent(), Reason(account("b"), Obstacle.AUTH_FAILED, None, "401")], "Every account that could serve has reached"),
        ([spent(), barred("b", "o3*")], "Every account that could serve has reached"),
    ],
)  # fmt: skip
def test_only_limits_and_credit_are_a_matter_of_money(reasons, begins):
    answer, error = told(*reasons)
    assert (answer.status, error["code"]) == (429, "insufficient_quota")
    assert error["message"].startswith(begins)
    for reason in reasons:
        assert f"{reason.account.label}: " in error["message"]


def test_a_rate_limited_account_among_them_means_that_waiting_helps():
    answer, error = told(spent(), Reason(account("b"), Obstacle.RATE, NOW + 12))
    assert error["code"] == "rate_limit_exceeded"
    assert headers(answer)["retry-after"] == "12"
    assert "daily limit of $20.00 reached" in error["message"]


def test_a_model_nobody_may_serve_is_told_with_the_command_that_allows_it():
    _, error = told(barred("work", "o3*", "gpt-4o"), barred("my home", "*", "!gpt-5*"), barred("x", "!gpt-5"))
    assert (error["code"], error["param"]) == ("model_not_allowed", "model")
    assert error["message"] == (
        "No account's model scope allows the model 'gpt-5'. work: not for this model (o3*, gpt-4o); my home: not for this"
        " model (*, !gpt-5*); x: not for this model (!gpt-5). To allow it: `codex-manager edit work --models"
        " 'o3*,gpt-4o,gpt-5'` or `codex-manager edit 'my home' --models '*'` or `codex-manager edit x --models ''`."
    )


@pytest.mark.parametrize("model", ["x; rm -rf ~", "$(id)", "`id`", "a\nb", "-x", "gpt 5", "g" * 200, "*", "ｇpt"])
def test_no_command_to_be_copied_is_made_of_a_strange_name(model):
    answer, error = told(barred("work", "o3*"), model=model)
    assert answer.status == 403
    assert "To allow it" not in error["message"]
    assert "codex-manager edit LABEL --models" in error["message"]


def test_many_accounts_do_not_make_many_commands():
    _, error = told(*(barred(f"a{number}", "o3*") for number in range(50)))
    assert error["message"].count("codex-manager edit") == 3


def test_a_local_key_is_told_its_limit_and_its_models():
    answer = explain.client_spent("ci", spent().shortage)
    error = json.loads(answer.body)["error"]
    assert (answer.status, error["code"], headers(answer)["x-should-retry"]) == (429, "insufficient_quota", "false")
    assert error["message"].startswith(
        "The local key 'ci' may spend no more for now: daily limit of $20.00 reached, $20.03 spent, counts anew from"
        " 2026-11-02 00:00 UTC. "
    )
    answer = explain.client_model("ci", "gpt-5", ("o3*", "gpt-4o"))
    error = json.loads(answer.body)["error"]
    assert (answer.status, error["code"], error["param"]) == (403, "model_not_allowed", "model")
    assert error["message"] == (
        "The local key 'ci' may not use the model 'gpt-5', only: o3*, gpt-4o. `codex-manager keys edit ci --models …`"
        " changes that."
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.84, "0.8s"), (12, "12s"), (240, "4m"), (3900, "1h 5m"), (18_720, "5h 12m"), (86_400, "24h 0m"),
        (171_000, "47h 30m"), (172_800, "2d 0h"), (1_047_600, "12d 3h"), (2_678_399, "31d 0h"),
    ],
)  # fmt: skip
def test_spans_are_told_as_people_say_them(seconds, text):
    assert explain.span(seconds) == text


def test_the_short_form_names_the_limit():
    assert explain.summary([spent()]) == "work limit"
