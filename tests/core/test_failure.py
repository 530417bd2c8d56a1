"""What each refusal means and what follows: the table of the failure classes, row by row."""

import json

import pytest

from hypothesis import given
from hypothesis import strategies as st

from codex_manager.core.failure import RULES, FailureClass, Final, Mark, Move, Rule, Verdict, classify, classify_event
from codex_manager.core.secret import MASK


RATE, BILLING, AUTH = FailureClass.RATE, FailureClass.BILLING, FailureClass.AUTH
MODEL_ACCESS, CALLER = FailureClass.MODEL_ACCESS, FailureClass.CALLER
OWNER_MISS, ORIGIN_MISS = FailureClass.OWNER_MISS, FailureClass.ORIGIN_MISS
OVERLOAD, TRANSIENT, EGRESS_LIMIT = FailureClass.OVERLOAD, FailureClass.TRANSIENT, FailureClass.EGRESS_LIMIT
INVALID = "invalid_request_error"
HTML = b"<!DOCTYPE html><html><head><title>Attention Required! | Cloudflare</title></head><body>rate limit exceeded</body></html>"


def body(message="", type=None, code=None, param=None):  # noqa: A002 - OpenAI's name
    return json.dumps({"error": {"message": message, "type": type, "param": param, "code": code}}).encode()


@pytest.mark.parametrize(
    ("status", "answer", "failure"),
    [
        # RATE
        (429, body("Rate limit reached for gpt-4o in organization org-x on requests per min (RPM): Limit 3", "requests", "rate_limit_exceeded"), RATE),
        (429, body("Rate limit reached on tokens per min (TPM)", "tokens", "rate_limit_exceeded"), RATE),
        (429, body("Too many", "requests"), RATE),
        (429, body("Too many", "tokens"), RATE),
        (429, body("Something new"), RATE),
        (429, body("The server had an error", "server_error"), RATE),
        (429, b'{"error":"slow, please"}', RATE),
        (429, b'{"error":{"message":"Rate limit reached for', RATE),
        (429, b'{"error":{"code":"429","message":"Requests have exceeded call rate limit"}}', RATE),
        (503, body("Slow down", "slow_down", "slow_down"), RATE),
        (400, body("", INVALID, "rate_limit_exceeded"), RATE),
        (500, body("", "rate_limit_error"), RATE),
        # BILLING
        (429, body("You exceeded your current quota, please check your plan", "insufficient_quota", "insufficient_quota"), BILLING),
        (429, body("You exceeded your current quota, please check your plan and billing details.", "insufficient_quota"), BILLING),
        (429, body("You exceeded your current quota, please check your plan and billing details."), BILLING),
        (429, body("", "insufficient_quota", "credit_balance_exhausted"), BILLING),
        (429, body("Your organization reached its enforced spend limit.", "server_error", "organization_spend_limit_exceeded"), BILLING),
        (429, body("", "insufficient_quota", "project_spend_limit_exceeded"), BILLING),
        (429, body("", "requests", "organization_usage_limit_exceeded"), BILLING),
        (429, body("Your account is not active, please check your billing details", "billing_not_active", "billing_not_active"), BILLING),
        (429, body("Your account is not active, please check your billing details"), BILLING),
        (400, body("Billing hard limit has been reached", INVALID, "billing_hard_limit_reached"), BILLING),
        (402, body("Pay first"), BILLING),
        (402, b"", BILLING),
        (402, HTML, BILLING),
        (403, body("You exceeded your current quota"), BILLING),
        (503, body("", "insufficient_quota", "insufficient_quota"), BILLING),
        # AUTH
        (401, body("Incorrect API key provided: sk-ab***yz.", INVALID, "invalid_api_key"), AUTH),
        (401, body("The OpenAI account associated with this API key has been deactivated.", INVALID, "account_deactivated"), AUTH),
        (401, body("", INVALID, "organization_deactivated"), AUTH),
        (401, body("OpenAI-Organization header should match organization for API key", INVALID, "mismatched_organization"), AUTH),
        (401, body("", INVALID, "mismatched_project"), AUTH),
        (401, body("You must be a member of an organization to use the API", INVALID), AUTH),
        (401, body("Your IP is not authorized", INVALID, "ip_not_authorized"), AUTH),
        (401, body("You didn't provide an API key.", INVALID), AUTH),
        (401, b"", AUTH),
        (401, HTML, AUTH),
        (403, body("Your API key has been disabled"), AUTH),
        (403, body("The account has been deactivated"), AUTH),
        (400, body("", "authentication_error"), AUTH),
        # MODEL_ACCESS
        (404, body("The model `gpt-9` does not exist or you do not have access to it.", INVALID, "model_not_found"), MODEL_ACCESS),
        (404, body("The model `gpt-9` does not exist or you do not have access to it.", INVALID), MODEL_ACCESS),
        (404, body("The model `text-davinci-003` has been deprecated, learn more here", INVALID, "model_not_found"), MODEL_ACCESS),
        (403, body("Project `proj_x` does not have access to model `gpt-4o`", INVALID, "model_not_found"), MODEL_ACCESS),
        (403, body("Project `proj_x` does not have access to model `gpt-4o`", INVALID), MODEL_ACCESS),
        (400, body("Your organization must be verified to use the model `o3`.", INVALID), MODEL_ACCESS),
        (400, body("Your organization must be verified to stream this model.", INVALID, "unsupported_value", "stream"), MODEL_ACCESS),
        (400, body("", INVALID, "model_not_found"), MODEL_ACCESS),
        (403, body("You are not allowed to sample from this model", INVALID), MODEL_ACCESS),
        (403, body("You have insufficient permissions for this operation.", INVALID, "insufficient_permissions"), MODEL_ACCESS),
        (403, body("Something else is forbidden", INVALID), MODEL_ACCESS),
        (401, body("You have insufficient permissions for this operation. Missing scopes: model.request.", INVALID), MODEL_ACCESS),
        (401, body("", INVALID, "missing_scope"), MODEL_ACCESS),
        # CALLER
        (400, body("Invalid value for 'temperature'.", INVALID, "invalid_value", "temperature"), CALLER),
        (400, body("This model's maximum context length is 128000 tokens", INVALID, "context_length_exceeded"), CALLER),
        (400, body("", "image_generation_user_error", "moderation_blocked"), CALLER),
        (400, body("", INVALID, "content_policy_violation"), CALLER),
        (400, body("", INVALID, "bio_policy"), CALLER),
        (403, body("Country, region, or territory not supported", "request_forbidden", "unsupported_country_region_territory"), CALLER),
        (403, body("Country, region, or territory not supported"), CALLER),
        (403, HTML, CALLER),
        (403, b"", CALLER),
        (429, body("", "requests", "context_length_exceeded"), CALLER),
        (404, body("Invalid URL (POST /v1/nothing)", INVALID), CALLER),
        (404, body("Unknown request URL: GET /v1/x", INVALID, "unknown_url"), CALLER),
        (404, HTML, CALLER),
        (404, b"", CALLER),
        (400, b"", CALLER),
        (400, b"\xff\x00", CALLER),
        (405, body("Not allowed to POST here", INVALID, "method_not_supported"), CALLER),
        (408, body("Request timed out"), CALLER),
        (409, body("Conflict"), CALLER),
        (413, body("Maximum content size limit exceeded"), CALLER),
        (415, body("Unsupported media type"), CALLER),
        (418, b"I'm a teapot", CALLER),
        (422, body("Unprocessable"), CALLER),
        (451, b"", CALLER),
        (301, b"", CALLER),
        (304, b"", CALLER),
        # A prompt that quotes an error must not block an account.
        (400, body("Invalid value: 'You exceeded your current quota, please check your plan and billing details'", INVALID), CALLER),
        (400, body("Invalid prompt: 'Incorrect API key provided. Rate limit reached. The server is overloaded'", INVALID), CALLER),
        (400, body("Invalid value: 'the model gpt-4o does not exist'", INVALID), CALLER),
        # OWNER_MISS
        (404, body("No such File object: file-abc", INVALID, None, "id"), OWNER_MISS),
        (404, body("No batch found with id 'batch_x'.", INVALID), OWNER_MISS),
        (404, body("Item with id 'rs_x' not found.", INVALID), OWNER_MISS),
        (404, body("", INVALID, "vector_store_not_found"), OWNER_MISS),
        (400, body("Previous response with id 'resp_x' not found.", INVALID, "previous_response_not_found"), OWNER_MISS),
        (404, body("", INVALID, "previous_response_not_found"), OWNER_MISS),
        # ORIGIN_MISS
        (400, body("The encrypted content gAAA... could not be verified.", INVALID, "invalid_encrypted_content"), ORIGIN_MISS),
        (400, body("The encrypted content gAAA... could not be verified. Reason: organization_id did not match", INVALID), ORIGIN_MISS),
        # OVERLOAD
        (503, body("The engine is currently overloaded, please try again later", "server_error"), OVERLOAD),
        (503, body("", "service_unavailable_error", "server_is_overloaded"), OVERLOAD),
        (500, body("", "overloaded_error"), OVERLOAD),
        (500, body("That model is currently overloaded with other requests.", "server_error"), OVERLOAD),
        (429, body("That model is currently overloaded with other requests."), OVERLOAD),
        (500, body("Selected model is at capacity. Please try a different model."), OVERLOAD),
        (503, b"", OVERLOAD),
        (503, HTML, OVERLOAD),
        (529, b"", OVERLOAD),
        # TRANSIENT
        (500, body("The server had an error while processing your request.", "server_error"), TRANSIENT),
        (500, body("", "server_error", "server_error"), TRANSIENT),
        (500, body("", INVALID), TRANSIENT),
        (500, b"", TRANSIENT),
        (502, HTML, TRANSIENT),
        (504, b"upstream request timeout", TRANSIENT),
        *[(status, HTML, TRANSIENT) for status in range(520, 525)],
        (501, b"", TRANSIENT),
        (507, b"", TRANSIENT),
        (599, b"", TRANSIENT),
        # EGRESS_LIMIT
        (429, HTML, EGRESS_LIMIT),
        (429, b"error code: 1015", EGRESS_LIMIT),
        (429, b"", EGRESS_LIMIT),
        (429, b'{"title":"Error 1015: You are being rate limited","status":429,"error_code":1015}', EGRESS_LIMIT),
        (429, b'"text"', EGRESS_LIMIT),
        (429, b"{}", EGRESS_LIMIT),
    ],
)  # fmt: skip
def test_a_refusal_means(status, answer, failure):
    assert classify(status, {}, answer).failure is failure


@pytest.mark.parametrize(
    ("status", "code", "type_", "message", "failure"),
    [
        (500, "insufficient_quota", "requests", "Incorrect API key", BILLING),
        (500, "new_code", "requests", "You exceeded your current quota", RATE),
        (429, "new_code", "new_type", "You exceeded your current quota", BILLING),
        (429, "new_code", "new_type", "new message", RATE),
        (503, "Insufficient-Quota", None, "", BILLING),
        (503, "server_error", "server_error", "", OVERLOAD),
    ],
)
def test_code_decides_before_type_before_message_before_status(status, code, type_, message, failure):
    assert classify(status, {}, body(message, type_, code)).failure is failure


@pytest.mark.parametrize(
    "header", ["openai-organization", "openai-processing-ms", "x-ratelimit-limit-requests", "x-ratelimit-limit-tokens"]
)
def test_a_429_whose_headers_are_openais_needs_no_body(header):
    """The answer to a HEAD has none, and one with an unknown encoding cannot be read."""
    assert classify(429, {header: "x"}, b"").failure is RATE
    assert classify(429, {"server": "cloudflare", "cf-ray": "1"}, b"").failure is EGRESS_LIMIT


@pytest.mark.parametrize(
    ("event", "failure"),
    [
        ({"type": "error", "code": "rate_limit_exceeded", "message": "m", "param": None}, RATE),
        ({"type": "error", "code": "ERR_SOMETHING", "message": "Something went wrong", "param": None}, CALLER),
        ({"type": "error", "code": None, "message": "Rate limit reached for gpt-4o", "param": None}, RATE),
        ({"type": "error", "status": 429, "error": {"type": "requests", "message": "m"}}, RATE),
        ({"type": "error", "status": 429, "error": {"type": "new", "message": "m"}}, RATE),
        ({"type": "error", "status": 429, "error": {"code": "insufficient_quota", "message": "m"}}, BILLING),
        ({"type": "error", "status": 401, "error": {"message": "m"}}, AUTH),
        ({"type": "error", "status": 500, "error": {"message": "m"}}, TRANSIENT),
        ({"type": "response.failed", "response": {"error": {"code": "rate_limit_exceeded", "message": "m"}}}, RATE),
        ({"type": "response.failed", "response": {"error": {"code": "insufficient_quota", "message": "m"}}}, BILLING),
        (
            {"type": "response.failed", "response": {"error": {"code": "server_is_overloaded", "message": "m"}}},
            OVERLOAD,
        ),
        ({"type": "response.failed", "response": {"error": {"code": "slow_down", "message": "m"}}}, RATE),
        ({"type": "response.failed", "response": {"error": {"code": "server_error", "message": "m"}}}, TRANSIENT),
        ({"type": "response.failed", "response": {"error": {"code": "invalid_prompt", "message": "m"}}}, CALLER),
        (
            {"type": "response.failed", "response": {"error": {"code": "context_length_exceeded", "message": "m"}}},
            CALLER,
        ),
        ({"error": {"message": "The server had an error", "type": "server_error", "code": None}}, TRANSIENT),
        ({"type": "response.failed", "response": {"error": None}}, None),
        ({"type": "response.created", "response": {"error": None}}, None),
        ({"type": "response.output_text.delta", "delta": "x", "error": {"code": "insufficient_quota"}}, None),
        ({"choices": []}, None),
        ("error", None),
        (None, None),
        ([], None),
    ],
)
def test_an_error_inside_a_200_means(event, failure):
    verdict = classify_event(event)
    assert (verdict.failure if verdict else None) is failure


def test_a_verdict_carries_what_the_text_said():
    message = "Rate limit reached for gpt-4o in organization org-AbC123 on tokens per day (TPD): Limit 9, Used 9. Please try again in 7m12s."
    assert classify(429, {}, body(message, "tokens", "rate_limit_exceeded")) == Verdict(
        failure=RATE,
        code="rate_limit_exceeded",
        type="tokens",
        message=message,
        is_openai_body=True,
        organization="org-AbC123",
        per_day=True,
    )


@pytest.mark.parametrize(
    ("message", "organization"),
    [
        ("for gpt-4o in organization org-abc on tokens per min", "org-abc"),
        ("for default-gpt-4 in organization 'org-abc' on", "org-abc"),
        ("Organization org-abc is", "org-abc"),
        ("in organization acme on tokens", None),
        ("org-abc", None),
        ("", None),
    ],
)
def test_the_organization_is_read_from_the_text(message, organization):
    assert classify(429, {}, body(message)).organization == organization


@pytest.mark.parametrize(
    ("code", "project_only"),
    [
        ("project_spend_limit_exceeded", True),
        ("organization_spend_limit_exceeded", False),
        ("insufficient_quota", False),
    ],
)
def test_a_projects_empty_purse_does_not_speak_for_its_organization(code, project_only):
    assert classify(429, {}, body("", "insufficient_quota", code)).project_only is project_only


@pytest.mark.parametrize(
    ("message", "oversized"),
    [
        ("Request too large for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000, Requested 40000. The input or output tokens must be reduced", True),
        ("Rate limit reached for gpt-4o", False),
    ],
)  # fmt: skip
def test_a_request_larger_than_the_limit_is_told_from_a_busy_minute(message, oversized):
    assert classify(429, {}, body(message, "tokens", "rate_limit_exceeded")).oversized is oversized


def test_no_key_is_in_a_verdict():
    verdict = classify(
        401, {}, body("Incorrect API key provided: sk-proj-0123456789abcdef.", INVALID, "invalid_api_key")
    )
    assert "0123456789" not in repr(verdict)
    assert MASK in verdict.message


@given(
    st.integers(-10, 1000),
    st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3),
    st.binary(max_size=200),
)
def test_the_classifier_is_total(status, headers, answer):
    assert classify(status, headers, answer).failure in RULES


@given(st.integers(500, 599), st.binary(max_size=50))
def test_an_unknown_5xx_is_transient_or_overload(status, answer):
    assert classify(status, {}, answer).failure in {TRANSIENT, OVERLOAD}


@given(st.integers(400, 499).filter(lambda s: s not in {401, 402, 429}), st.binary(max_size=50))
def test_an_unknown_4xx_is_the_callers(status, answer):
    assert classify(status, {}, answer).failure is CALLER


WORDS = (
    st.none()
    | st.integers()
    | st.text(max_size=20)
    | st.sampled_from(["insufficient_quota", "x_not_found", "server_error"])
)


@given(st.integers(100, 599), st.fixed_dictionaries({"code": WORDS, "type": WORDS, "message": WORDS}))
def test_the_classifier_is_total_over_error_objects(status, error):
    assert classify(status, {}, json.dumps({"error": error}).encode()).failure in RULES
    classify_event({"type": "error", "error": error, "status": status})


# --- what follows ---------------------------------------------------------------------------------------------------


def test_every_class_has_a_rule():
    assert set(RULES) == set(FailureClass)


@pytest.mark.parametrize(
    ("failure", "mark", "move", "same", "other", "final"),
    [
        (RATE, Mark.SCOPE, Move.DOMAIN, 0, None, Final.BLOCKED),
        (BILLING, Mark.ORGANIZATION, Move.ORGANIZATION, 0, None, Final.BLOCKED),
        (AUTH, Mark.ACCOUNT, Move.ACCOUNT, 0, None, Final.BLOCKED),
        (MODEL_ACCESS, Mark.MODEL, Move.ACCOUNT, 0, None, Final.FIRST),
        (CALLER, Mark.NOTHING, Move.NONE, 0, 0, Final.VERBATIM),
        (OWNER_MISS, Mark.NOTHING, Move.DOMAIN, 0, None, Final.FIRST),
        (ORIGIN_MISS, Mark.NOTHING, Move.DOMAIN, 0, 1, Final.VERBATIM),
        (OVERLOAD, Mark.WEATHER, Move.ACCOUNT, 1, 1, Final.VERBATIM),
        (TRANSIENT, Mark.BREAKER, Move.ACCOUNT, 0, 1, Final.VERBATIM),
        (FailureClass.PRE_DISPATCH, Mark.EGRESS, Move.UPSTREAM, 1, None, Final.GATEWAY),
        (FailureClass.AMBIGUOUS, Mark.BREAKER, Move.ACCOUNT, 0, 1, Final.GATEWAY),
        (FailureClass.MID_STREAM, Mark.BREAKER, Move.NONE, 0, 0, Final.CUT),
        (EGRESS_LIMIT, Mark.EGRESS, Move.NONE, 0, 0, Final.VERBATIM),
        (FailureClass.NEUTRAL, Mark.NOTHING, Move.NONE, 0, 0, Final.NOTHING),
    ],
)
def test_what_follows_a_failure(failure, mark, move, same, other, final):
    rule = RULES[failure]
    assert (rule.mark, rule.move, rule.same_tries, rule.other_tries, rule.final) == (mark, move, same, other, final)


@pytest.mark.parametrize("failure", FailureClass)
def test_a_call_that_creates_something_is_repeated_only_after_a_refusal_before_any_work(failure):
    allowed = failure in {RATE, BILLING, AUTH, MODEL_ACCESS, FailureClass.PRE_DISPATCH, OWNER_MISS, ORIGIN_MISS}
    assert RULES[failure].may_replay("state_creating") is allowed
    assert RULES[failure].may_replay("state_creating", ambiguous_allowed=True) is allowed


@pytest.mark.parametrize("replay", ["stateless", "read"])
@pytest.mark.parametrize("failure", FailureClass)
def test_a_stateless_call_is_repeated_whenever_the_rule_moves_on(failure, replay):
    moves = failure not in {
        CALLER,
        FailureClass.AMBIGUOUS,
        FailureClass.MID_STREAM,
        FailureClass.EGRESS_LIMIT,
        FailureClass.NEUTRAL,
    }
    assert RULES[failure].may_replay(replay) is moves


def test_an_ambiguous_failure_is_repeated_only_with_permission():
    rule = RULES[FailureClass.AMBIGUOUS]
    assert rule.may_replay("stateless", ambiguous_allowed=True)
    assert not rule.may_replay("stateless")


@pytest.mark.parametrize("failure", FailureClass)
def test_only_failures_of_the_upstream_count_for_the_breaker(failure):
    weights = {TRANSIENT: 1.0, FailureClass.AMBIGUOUS: 1.0, FailureClass.MID_STREAM: 0.5}
    assert RULES[failure].breaker_weight == weights.get(failure, 0.0)


@pytest.mark.parametrize("failure", FailureClass)
def test_only_an_overload_is_waited_for(failure):
    assert RULES[failure].backoff_s == ((0.5, 1.0) if failure is OVERLOAD else (0.0, 0.0))


def test_a_verdict_knows_its_rule():
    assert isinstance(classify(500, {}, b"").rule, Rule)
    assert classify(500, {}, b"").rule is RULES[TRANSIENT]


@pytest.mark.parametrize("kind", [[], {}, 7, True, ["error"]])
def test_an_event_whose_type_is_no_word_reports_nothing(kind):
    """Total: whatever JSON came."""
    assert classify_event({"type": kind, "error": {"message": "x", "code": "rate_limit_exceeded"}}) is None
