"""The admin pages answer as OpenAI's do: by bucket, page by page, to the right kind of key."""

import time

import pytest

from tests.testing.raw import ask


DAY = 86_400
TODAY = int(time.time()) // DAY * DAY
COSTS = f"/v1/organization/costs?start_time={TODAY}"


@pytest.fixture
def books(fake):
    fake.admin("sk-admin", "org-a")
    return fake


async def read(fake, path, key="sk-admin"):
    heard = await ask(fake, "GET", path, key=key)
    assert heard.status == 200, heard.data
    return heard.json


async def test_costs_come_in_daily_buckets_as_published(books):
    books.spent("org-a", "0.06", at=TODAY + 5)
    books.spent("org-a", "0.01", at=TODAY + 9, project="proj-a")
    books.spent("org-b", "9")
    page = await read(books, COSTS)
    assert (page["object"], page["has_more"], page["next_page"]) == ("page", False, None)
    (bucket,) = page["data"]
    assert (bucket["object"], bucket["start_time"]) == ("bucket", TODAY)
    assert bucket["results"] == [{
        "object": "organization.costs.result", "amount": {"value": 0.07, "currency": "usd"}, "line_item": None,
        "project_id": None, "api_key_id": None, "quantity": None, "quantity_unit": None,
    }]  # fmt: skip


async def test_costs_by_project_and_of_one(books):
    books.spent("org-a", 1, at=TODAY, project="p1")
    books.spent("org-a", 2, at=TODAY, project="p2")
    grouped = await read(books, f"{COSTS}&group_by=project_id")
    assert {r["project_id"]: r["amount"]["value"] for r in grouped["data"][0]["results"]} == {"p1": 1, "p2": 2}
    one = await read(books, f"{COSTS}&project_ids=p2")
    assert [r["amount"]["value"] for r in one["data"][0]["results"]] == [2]


async def test_pages_follow_the_cursor(books):
    for back in range(10):
        books.spent("org-a", 1, at=TODAY - back * DAY)
    start, seen, page = TODAY - 9 * DAY, [], None
    for _ in range(4):
        found = await read(
            books, f"/v1/organization/costs?start_time={start}&limit=3" + (f"&page={page}" if page else "")
        )
        seen += [bucket["start_time"] for bucket in found["data"]]
        page = found["next_page"]
        assert found["has_more"] is (page is not None)
    assert page is None
    assert seen == [start + number * DAY for number in range(10)]


async def test_usage_counts_are_summed_and_absent_labels_null(books):
    books.used("org-a", "completions", at=TODAY, model="gpt-5", input_tokens=10, output_tokens=5, num_model_requests=1)
    books.used("org-a", "completions", at=TODAY, model="o3", input_tokens=1, output_tokens=2, num_model_requests=1)
    (result,) = (await read(books, f"/v1/organization/usage/completions?start_time={TODAY}"))["data"][0]["results"]
    assert result["object"] == "organization.usage.completions.result"
    assert (result["input_tokens"], result["output_tokens"], result["num_model_requests"]) == (11, 7, 2)
    assert result["model"] is result["service_tier"] is None
    hourly = await read(
        books, f"/v1/organization/usage/completions?start_time={TODAY}&bucket_width=1h&group_by=model&limit=1"
    )
    assert {r["model"] for r in hourly["data"][0]["results"]} == {"gpt-5", "o3"}


@pytest.mark.parametrize(
    "query",
    ["?start_time=x", "", "?start_time=1&limit=0", "?start_time=1&limit=181", "?start_time=1&bucket_width=1h",
     "?start_time=1&group_by=model", f"?start_time={TODAY}&page=nonsense"],
)  # fmt: skip
async def test_what_openai_would_refuse_is_refused(query, books):
    heard = await ask(books, "GET", f"/v1/organization/costs{query}", key="sk-admin")
    assert (heard.status, heard.error["type"]) == (400, "invalid_request_error")


async def test_each_kind_of_key_has_its_own_door(books):
    for key, path, method in (
        ("sk-a", COSTS, "GET"),
        ("sk-admin", "/v1/models", "GET"),
        ("sk-admin", "/v1/chat/completions", "POST"),
    ):
        heard = await ask(books, method, path, key=key)
        assert (heard.status, heard.error["code"]) == (403, "insufficient_permissions")


async def test_billing_pages_are_for_browsers_unless_the_test_says_otherwise(books):
    subscription, usage = "/v1/dashboard/billing/subscription", "/v1/dashboard/billing/usage"
    assert (await ask(books, "GET", subscription, key="sk-a")).status == 403
    books.billing("sk-a", hard_limit=120, spent="1.25")
    books.billing("sk-a", spent=2, at=TODAY - DAY)
    assert (await read(books, subscription, "sk-a"))["hard_limit_usd"] == 120
    dates = [time.strftime("%Y-%m-%d", time.gmtime(TODAY + days * DAY)) for days in (-1, 1)]
    found = await read(books, f"{usage}?start_date={dates[0]}&end_date={dates[1]}", "sk-a")
    assert found["total_usage"] == 325  # cents
    assert [day["line_items"][0]["cost"] for day in found["daily_costs"]] == [200, 125]
    assert (await ask(books, "GET", usage, key="sk-a")).status == 400


def test_a_count_openai_does_not_know_is_the_tests_mistake(books):
    with pytest.raises(ValueError, match="has no tokens"):
        books.used("org-a", "embeddings", tokens=3)
