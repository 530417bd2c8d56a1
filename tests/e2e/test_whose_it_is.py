"""Things live in one account: the official SDK over three accounts, a restart in between, and ids that nobody has seen.

The fake is as strict as OpenAI: what is in another project does not exist, wherever it is named.
"""

import contextlib
import json
import signal
import threading
import time

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest

from tests.cli import console
from tests.e2e.forward import tls_fake, trust
from tests.e2e.work import HELLO, LINE, MODEL, WITHOUT_LISTS, Work
from tests.support import LOCAL_KEY, MASTER_KEY, Home, ProxyProcess, account, make_home, running_proxy, wait_for

from codex_manager.ledger import LedgerError, Reader
from codex_manager.testing import FakeOpenAI, answers, in_thread


pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")]
"""The SDK calls assistants that; OpenAI still has them, and so do we."""

KINDS = (
    "file",
    "batch",
    "vector_store",
    "response",
    "conversation",
    "assistant",
    "thread",
    "container",
    "chat_completion",
)
KEYS = {label: f"sk-canary-{label}-0123456789abcdef" for label in ("north", "east", "south")}


class Place:
    """A home, and a proxy that can be stopped and started again at the same address."""

    def __init__(self, fake: FakeOpenAI, home: Home, port: int) -> None:
        self.fake, self.home, self.port = fake, home, port
        self._stack = contextlib.ExitStack()
        self.proxy: ProxyProcess = None  # type: ignore[assignment]  # started by then

    def start(self) -> ProxyProcess:
        self.proxy = self._stack.enter_context(running_proxy(self.home, "--bind", f"127.0.0.1:{self.port}"))
        return self.proxy

    def end(self, number: int = signal.SIGTERM) -> None:
        self.proxy.process.send_signal(number)
        self.proxy.process.wait(20)

    def again(self, number: int = signal.SIGTERM) -> None:
        self.end(number)
        self.start()

    def forget(self) -> None:
        """Stop it, take its ledger away, and start it again."""
        self.end()
        for file in self.home.path.glob("ledger.db*"):
            file.unlink()
        self.start()

    def sdk(self, key: str = LOCAL_KEY, base_url: str | None = None) -> openai.OpenAI:
        return openai.OpenAI(
            api_key=key, base_url=base_url or f"http://127.0.0.1:{self.port}/v1", timeout=20, max_retries=0
        )

    def close(self) -> None:
        self._stack.close()


@contextlib.contextmanager
def place(path, port: int, strategy: str = "round_robin", routing: str = "") -> Iterator[Place]:
    with in_thread(FakeOpenAI()) as fake:
        for label, key in KEYS.items():
            fake.account(key, organization=f"org-{label}", project=f"proj-{label}")
        config = f"proxy:\n  openai_base_url: {fake.base_url}\nrouting:\n  strategy: {strategy}\n{routing}"
        home = make_home(path, [account(label, key) for label, key in KEYS.items()], config)
        it = Place(fake, home, port)
        with contextlib.closing(it):
            it.start()
            yield it


def own(it: Place, label: str, operations: int) -> Work:
    """What somebody has made with one account's own key, past the proxy."""
    work = Work(it.fake, lambda: it.sdk(KEYS[label], it.fake.api_url), seed=operations)
    work.run(operations, threads=1)
    assert work.refused == []
    return work


def label_of(organization: str | None) -> str:
    assert organization is not None
    return organization.removeprefix("org-")


def astray(fake: FakeOpenAI, *, since: int = 0) -> list[str]:
    """Requests that came to an account which does not have what they name, although another one does."""
    return [f"{seen.method} {seen.target}: {seen.status}" for seen in fake.log[since:] if seen.status == 404]


def holds(work: Work, operations: int) -> None:
    assert work.refused == []
    assert work.count >= operations


RESTARTS: dict[str, Callable[[Place], object]] = {
    "nothing happens": lambda _: None,
    "stopped and started": lambda it: it.again(),
    "killed and started": lambda it: it.again(signal.SIGKILL),
    "started without its ledger": lambda it: it.forget(),
}


def slow(*values: object) -> object:
    return pytest.param(*values, marks=[pytest.mark.slow, pytest.mark.timeout(300)])


@pytest.mark.parametrize(
    ("strategy", "midway", "operations"),
    [
        ("round_robin", "killed and started", 150),
        slow("round_robin", "nothing happens", 2000),
        slow("least_utilized", "nothing happens", 2000),
        slow("round_robin", "stopped and started", 2000),
        slow("least_utilized", "killed and started", 2000),
        slow("least_utilized", "started without its ledger", 2000),
    ],
)
def test_nobody_is_told_that_what_is_there_is_not(isolated_home, free_port, monkeypatch, strategy, midway, operations):
    """2,000 operations of four threads: no 404 of the wrong account, whatever becomes of the proxy in between."""
    monkeypatch.setenv("CAM_MASTER_KEY", MASTER_KEY)  # for the commands
    with place(isolated_home, free_port, strategy) as it:
        work = Work(it.fake, it.sdk, is_patient=midway != "nothing happens")
        work.run(operations, midway=lambda: RESTARTS[midway](it))

        holds(work, operations)
        used = {seen.key for seen in it.fake.log if seen.method == "POST" and seen.status == 200}
        assert used == set(KEYS.values()), "not all accounts were used"
        if midway in {"nothing happens", "stopped and started"}:
            assert astray(it.fake) == []
        with_all = midway in {
            "nothing happens",
            "stopped and started",
        }  # a kill may cost what was learned in the last second
        assert wait_for(lambda: agrees(work, with_all=with_all), 10, 0.2), "`resource list` is wrong"
        the_commands_tell_who_served(it, work)


def agrees(work: Work, *, with_all: bool) -> bool:
    """Whether `resource list` has what is there, where it is."""
    rows = console.run("resource", "list", "--json", "--limit", "100000").json
    told = {one["id"]: one["account"] for one in rows if one["kind"] in KINDS}
    there = {thing.id: label_of(work.fake.organization_of(thing.kind, thing.id)) for thing in work.pool}
    if with_all:
        return there.items() <= told.items() and all(
            work.fake.organization_of(one["kind"], one["id"]) is not None for one in rows if one["kind"] in KINDS
        )
    return all(told.get(name, label) == label for name, label in there.items()) and len(told) > 5


def the_commands_tell_who_served(it: Place, work: Work) -> None:
    it_has = next(thing for thing in work.pool if thing.kind == "file")
    label = label_of(it.fake.organization_of("file", it_has.id))
    with it.sdk() as sdk:
        raw = sdk.files.with_raw_response.retrieve(it_has.id)
    assert raw.headers["x-account-label"] == label
    request_id = raw.headers["x-codex-manager-request-id"]
    assert wait_for(lambda: console.run("explain", request_id).status == 0, 10, 0.2)
    for which in (request_id, "--last"):
        told = console.run("explain", which, "--json").json
        assert (told["id"], told["endpoint"], told["answer"]["account"]) == (request_id, "files", label)
        assert {(out["account"], out["obstacle"]) for out in told["attempts"][0]["out"]} == {
            (other, "owner") for other in KEYS if other != label
        }
    assert console.run("resource", "find", it_has.id, "--json").json["owner"]["account"] == label
    status = console.run("status", "--json").json
    assert status["running"] is True
    assert {one["label"]: one["domain"] for one in status["accounts"]} == {
        label: f"org-{label}/proj-{label}" for label in KEYS
    }


# --- ids that nobody has seen ---


@pytest.mark.slow
def test_what_was_made_past_the_proxy_is_found_by_asking_and_only_its_owner_is_sent_what_changes(
    isolated_home, free_port
):
    with place(isolated_home, free_port) as it:
        made = {label: everything(it.sdk(key, it.fake.api_url)) for label, key in KEYS.items()}
        before = len(it.fake.log)
        with it.sdk() as sdk:
            for ids in made.values():
                go_on_with(sdk, ids)
        through = it.fake.log[before:]

        for label, ids in made.items():
            for kind, name in ids.items():
                asked = [seen for seen in through if name in seen.path or name.encode() in seen.body]
                elsewhere = {(seen.method, seen.status) for seen in asked if seen.key != KEYS[label]}
                assert elsewhere <= {("GET", 404)}, f"{kind} of {label}: others were sent more than the question"
                assert len([1 for seen in asked if seen.key != KEYS[label]]) <= 2, "each of the others is asked once"
                assert it.fake.organization_of(kind, name) is None, "it was deleted"


def everything(sdk: openai.OpenAI) -> dict[str, str]:
    """One thing of each kind."""
    with sdk:
        file = sdk.files.create(file=("a.jsonl", f"{LINE}\n".encode()), purpose="batch").id
        other = sdk.files.create(file=("b.jsonl", f"{LINE}\n".encode()), purpose="batch").id
        return {
            "file": file,
            "vector_store": sdk.vector_stores.create(file_ids=[other]).id,
            "response": sdk.responses.create(model=MODEL, input="hello").id,
            "conversation": sdk.conversations.create().id,
            "assistant": sdk.beta.assistants.create(model=MODEL).id,
            "thread": sdk.beta.threads.create().id,
            "container": sdk.containers.create(name="box").id,
            "chat_completion": sdk.chat.completions.create(model=MODEL, messages=HELLO, store=True).id,
        }


def go_on_with(sdk: openai.OpenAI, ids: dict[str, str]) -> None:
    """First what is paid for or changes something; nobody has asked for the thing itself before."""
    sdk.responses.create(model=MODEL, input="and?", previous_response_id=ids["response"])
    sdk.responses.create(model=MODEL, input="hi", conversation=ids["conversation"])
    sdk.batches.create(input_file_id=ids["file"], endpoint="/v1/chat/completions", completion_window="24h")
    assert list(sdk.vector_stores.search(ids["vector_store"], query="what?"))
    sdk.beta.threads.runs.create(ids["thread"], assistant_id=ids["assistant"])
    sdk.containers.files.create(ids["container"], file=("a.txt", b"abc"))
    sdk.chat.completions.update(ids["chat_completion"], metadata={"a": "b"})
    sdk.files.delete(ids["file"])
    sdk.vector_stores.delete(ids["vector_store"])
    sdk.responses.delete(ids["response"])
    sdk.conversations.delete(ids["conversation"])
    sdk.beta.assistants.delete(ids["assistant"])
    sdk.beta.threads.delete(ids["thread"])
    sdk.containers.delete(ids["container"])
    sdk.chat.completions.delete(ids["chat_completion"])


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_proxy_that_comes_later_serves_what_was_there_before(isolated_home, free_port):
    with place(isolated_home, free_port, "least_utilized") as it:
        work = Work(it.fake, it.sdk)
        for label in KEYS:
            work.pool += own(it, label, 100).pool
        work.run(600)

        holds(work, 600)


@pytest.mark.slow
def test_what_is_made_under_one_session_is_made_in_one_account_and_can_be_put_together(isolated_home, free_port):
    """`sticky`; without a session two files may be of two accounts, which no vector store can have both."""
    with place(isolated_home, free_port, "sticky") as it, it.sdk() as sdk:
        homes = set()
        for number in range(8):
            talk = sdk.with_options(default_headers={"X-Codex-Manager-Session": f"program {number}"})
            files = [talk.files.create(file=("a.jsonl", b"{}\n"), purpose="assistants").id for _ in range(3)]
            store = talk.vector_stores.create(file_ids=files)
            talk.vector_stores.files.create(
                store.id, file_id=talk.files.create(file=("b.txt", b"b"), purpose="assistants").id
            )
            homes.add(it.fake.organization_of("vector_store", store.id))
        assert len(homes) > 1, "sessions are spread"
        assert not any("x-codex-manager" in name.lower() for seen in it.fake.log for name, _ in seen.headers)

        two = [sdk.files.create(file=("a.jsonl", b"{}\n"), purpose="assistants").id for _ in range(2)]
        with pytest.raises(openai.ConflictError) as refused:
            sdk.vector_stores.create(file_ids=two)
        assert refused.value.code == "account_conflict"
        assert all(name in refused.value.message for name in two)
        assert len([label for label in KEYS if f"'{label}'" in refused.value.message]) == 2


# --- an account that is limited ---


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_who_needs_an_account_that_is_limited_for_a_moment_waits_for_it(isolated_home, free_port):
    """Lists leave it out meanwhile and say so, which other tests are about."""
    with place(isolated_home, free_port) as it:
        work = Work(it.fake, it.sdk, stories=WITHOUT_LISTS)

        def limited() -> None:
            it.fake.script(KEYS["east"], *[answers.rate_limited(retry_after=1)] * 3)

        for _ in range(3):
            work.run(200, midway=limited)

        assert it.fake.left() < 9, "it was not limited"
        holds(work, 600)


@pytest.mark.slow
def test_who_needs_an_account_that_is_limited_for_long_is_told_which_and_until_when(isolated_home, free_port):
    with place(isolated_home, free_port) as it, it.sdk() as sdk:
        response = sdk.responses.create(model=MODEL, input="hello").id
        file = sdk.files.create(file=("a.jsonl", f"{LINE}\n".encode()), purpose="batch").id
        whose = {
            name: label_of(it.fake.organization_of(kind, name))
            for kind, name in (("response", response), ("file", file))
        }
        for label in set(whose.values()):
            it.fake.always(KEYS[label], answers.rate_limited(retry_after=40))
        before = len(it.fake.log)
        calls: dict[str, list[Callable[[], object]]] = {
            response: [
                lambda: sdk.responses.create(model=MODEL, input="and?", previous_response_id=response),
                lambda: sdk.responses.create(model=MODEL, input="and?", previous_response_id=response, stream=True),
            ],
            file: [
                lambda: sdk.files.retrieve(file),
                lambda: sdk.files.delete(file),
                lambda: sdk.batches.create(
                    input_file_id=file, endpoint="/v1/chat/completions", completion_window="24h"
                ),
            ],
        }
        for name, those in calls.items():
            for call in those:
                with pytest.raises(openai.RateLimitError) as refused:
                    call()
                assert f"{name} belongs to '{whose[name]}'" in refused.value.message
                assert "try again in 3" in refused.value.message or "try again in 40" in refused.value.message
                assert 30 < float(refused.value.response.headers["retry-after"]) <= 40
        assert {seen.key for seen in it.fake.log[before:]} == {KEYS[label] for label in whose.values()}
        assert len(it.fake.log) - before <= 4, "once it is known to be limited, it is not asked"
        sdk.responses.create(model=MODEL, input="somebody else is free")


# --- encrypted reasoning ---


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["wait", "strip", "fail"])
def test_reasoning_goes_where_it_was_encrypted_also_after_a_restart(isolated_home, free_port, policy):
    with (
        place(isolated_home, free_port, routing=f"  encrypted_reasoning: {policy}\n  max_inline_wait_s: 3\n") as it,
        it.sdk() as sdk,
    ):
        ask: dict[str, Any] = {"model": "o4-mini", "store": False, "include": ["reasoning.encrypted_content"]}
        first = sdk.responses.create(input="think", **ask)
        origin = next(
            label
            for label in KEYS
            if it.fake.organization_of("encrypted", first.output[0].encrypted_content) == f"org-{label}"
        )
        talk: Any = [*HELLO, *(item.to_dict() for item in first.output), *HELLO]
        time.sleep(1.2)  # what a kill may cost
        it.again(signal.SIGKILL)
        ready(sdk)
        before = len(it.fake.log)
        for _ in range(4):
            sdk.responses.create(input=talk, **ask)
        assert {seen.key for seen in it.fake.log[before:]} == {KEYS[origin]}

        it.fake.script(KEYS[origin], answers.rate_limited(retry_after=1))
        began, before = time.monotonic(), len(it.fake.log)
        if policy == "fail":
            with pytest.raises(openai.RateLimitError, match=f"belongs to '{origin}'"):
                sdk.responses.create(input=talk, **ask)
            assert time.monotonic() - began < 1
        else:
            sdk.responses.create(input=talk, **ask)
            assert [seen.key for seen in it.fake.log[before:]] == [KEYS[origin]] * 2, "so short a time is waited for"

        it.fake.always(KEYS[origin], answers.rate_limited(retry_after=40))
        before = len(it.fake.log)
        if policy == "strip":
            moved = sdk.responses.create(input=talk, **ask)
            assert it.fake.log[-1].key != KEYS[origin]
            assert b'encrypted_content": "gAAAA' not in it.fake.log[-1].body.replace(b'":"', b'": "')
            assert moved.status == "completed"
            assert "encrypted reasoning out of a request" in it.proxy.said()
        else:
            with pytest.raises(openai.RateLimitError, match=f"belongs to '{origin}'") as refused:
                sdk.responses.create(input=talk, **ask)
            assert "routing.encrypted_reasoning strip" in refused.value.message
            assert {seen.key for seen in it.fake.log[before:]} <= {KEYS[origin]}


def ready(sdk: openai.OpenAI) -> None:
    """Wait until accounts are there."""

    def is_ready() -> bool:
        with contextlib.suppress(openai.APIError):
            return bool(sdk.models.list().data)
        return False

    assert wait_for(is_ready, 20, 0.05)


# --- forward mode ---


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_it_is_the_same_through_the_forward_proxy(isolated_home, free_port, tmp_path):
    with tls_fake(tmp_path / "theirs") as (fake, theirs, base_url):
        for label, key in KEYS.items():
            fake.account(key, organization=f"org-{label}", project=f"proj-{label}")
        config = f"""\
proxy:
  openai_base_url: {base_url}
upstream:
  ca_file: {theirs.ca_file}
forward:
  enabled: true
routing:
  strategy: round_robin
"""
        it = Place(
            fake, make_home(isolated_home, [account(label, key) for label, key in KEYS.items()], config), free_port
        )
        with contextlib.closing(it):
            it.start()

            def sdk() -> openai.OpenAI:
                http = openai.DefaultHttpxClient(
                    proxy=f"http://127.0.0.1:{free_port}", verify=trust(it.home), trust_env=False
                )
                return openai.OpenAI(api_key=LOCAL_KEY, http_client=http, timeout=20, max_retries=0)

            work = Work(fake, sdk, is_patient=True)
            work.run(300, midway=lambda: it.again(signal.SIGKILL))

            holds(work, 300)
            assert len({seen.key for seen in fake.log}) == 3


# --- a storm ---


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_restart_in_a_storm_sends_one_probe_a_scope(isolated_home, free_port):
    """All are limited, forty clients hammer, the proxy is killed: until each limit ends nobody is asked, then once."""
    models = ("gpt-4o-mini", "gpt-5")
    with place(isolated_home, free_port, routing="  max_inline_wait_s: 1\n") as it:
        killed, stop = threading.Event(), threading.Event()
        it.fake.always(None, lambda _: answers.rate_limited(retry_after=60 if killed.is_set() else 20))
        answered = Counter[str]()

        def hammer(number: int) -> None:
            with it.sdk() as sdk:
                while not stop.is_set():
                    try:
                        sdk.chat.completions.create(model=models[number % 2], messages=HELLO)
                    except openai.APIError as error:
                        answered[type(error).__name__] += 1
                    time.sleep(0.05)

        def probes() -> Counter[tuple[str, str]]:
            return Counter((str(seen.key), json.loads(seen.body)["model"]) for seen in it.fake.log[before:])

        threads = [threading.Thread(target=hammer, args=(number,), daemon=True) for number in range(16)]
        for thread in threads:
            thread.start()
        assert wait_for(lambda: len(marks(it.home)) == 6, 15, 0.1), "limits are written down while they last"
        before = len(it.fake.log)
        killed.set()
        it.again(signal.SIGKILL)
        assert wait_for(lambda: len(probes()) == 6, 60, 0.1), "at its end each is tried"
        time.sleep(2)
        stop.set()
        for thread in threads:
            thread.join(20)

        assert set(probes().values()) == {1}, probes()
        assert answered["RateLimitError"] > 50


def marks(home: Home) -> set[tuple[str, str]]:
    with contextlib.suppress(LedgerError), Reader.open(home.path / "ledger.db") as reader:
        return {(mark.key, mark.detail) for mark in reader.marks() if mark.kind == "scope"}
    return set()
