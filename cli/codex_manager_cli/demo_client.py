"""The demo's client: the real `openai` SDK if it is installed, plain HTTP otherwise.

Each method is a generator that performs its request when it is advanced and yields what the client got.
"""

import contextlib
import http.client
import importlib.util
import json
import time
import urllib.parse

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol


__all__ = ["Asked", "Client", "client_for"]

LOCAL_KEY = "sk-codex-manager"
TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Asked:
    """One line of the demo's account."""

    what: str
    answer: str


class Client(Protocol):
    """What the demo asks of a client."""

    name: str

    def chat(self, question: str) -> Iterator[Asked]:
        """One chat completion."""
        ...

    def chat_stream(self, question: str) -> Iterator[Asked]:
        """One streamed chat completion."""
        ...

    def responses_stream(self, question: str) -> Iterator[Asked]:
        """One streamed response."""
        ...

    def many(self, count: int) -> Iterator[Asked]:
        """Chat completions in parallel."""
        ...

    def embeddings(self, text: str) -> Iterator[Asked]:
        """One embedding."""
        ...

    def models(self) -> Iterator[Asked]:
        """The list of models."""
        ...


@contextlib.contextmanager
def client_for(url: str, model: str) -> Iterator[Client]:
    """The best client at hand."""
    if importlib.util.find_spec("openai") is None:
        yield PlainClient(url, model)
        return
    import openai

    with openai.OpenAI(api_key=LOCAL_KEY, base_url=f"{url}/v1", timeout=TIMEOUT_S, max_retries=0) as sdk:
        yield SdkClient(sdk, model, f"the openai SDK {openai.__version__}")


def _took(started: float) -> str:
    return f"{(time.perf_counter() - started) * 1000:.0f} ms"


def _parallel(count: int, ask: Callable[[int], str]) -> str:
    started = time.perf_counter()
    with ThreadPoolExecutor(count) as pool:
        served = list(pool.map(ask, range(count)))
    return f"{len(served)} answers in {_took(started)}"


class SdkClient:
    """The real `openai` SDK, its own retries off: what it gets is what the proxy gave."""

    def __init__(self, sdk: Any, model: str, name: str) -> None:
        self._sdk = sdk
        self._model = model
        self.name = name

    def chat(self, question: str) -> Iterator[Asked]:
        """One chat completion."""
        started = time.perf_counter()
        answer = self._sdk.chat.completions.with_raw_response.create(model=self._model, messages=_said(question))
        assert answer.parse().choices[0].message.content
        yield Asked("chat", f"200 from {answer.headers['x-account-label']} in {_took(started)}")

    def chat_stream(self, question: str) -> Iterator[Asked]:
        """One streamed chat completion."""
        started = time.perf_counter()
        pieces = 0
        for chunk in self._sdk.chat.completions.create(model=self._model, messages=_said(question), stream=True):
            pieces += bool(chunk.choices and chunk.choices[0].delta.content)
        yield Asked("chat, streamed", f"{pieces} pieces in {_took(started)}")

    def responses_stream(self, question: str) -> Iterator[Asked]:
        """One streamed response."""
        started = time.perf_counter()
        events = [event.type for event in self._sdk.responses.create(model=self._model, input=question, stream=True)]
        assert events[-1] == "response.completed"
        yield Asked("responses, streamed", f"{len(events)} events in {_took(started)}")

    def many(self, count: int) -> Iterator[Asked]:
        """Chat completions in parallel."""
        yield Asked(f"{count} chats in parallel", _parallel(count, self._one_of_many))

    def embeddings(self, text: str) -> Iterator[Asked]:
        """One embedding."""
        started = time.perf_counter()
        vector = self._sdk.embeddings.create(model="text-embedding-3-small", input=text).data[0].embedding
        yield Asked("embeddings", f"{len(vector)} numbers in {_took(started)}")

    def models(self) -> Iterator[Asked]:
        """The list of models."""
        started = time.perf_counter()
        yield Asked("models", f"{len(self._sdk.models.list().data)} models in {_took(started)}")

    def _one_of_many(self, number: int) -> str:
        answer = self._sdk.chat.completions.create(model=self._model, messages=_said(f"number {number}"))
        return str(answer.choices[0].message.content)


class PlainClient:
    """`http.client` of the standard library: no SDK needed."""

    name = "plain HTTP (`pip install openai` to see the SDK do it)"

    def __init__(self, url: str, model: str) -> None:
        self._address = urllib.parse.urlsplit(url).netloc
        self._model = model

    def chat(self, question: str) -> Iterator[Asked]:
        """One chat completion."""
        started = time.perf_counter()
        label, body = self._ask("POST", "/v1/chat/completions", {"model": self._model, "messages": _said(question)})
        assert json.loads(body)["choices"]
        yield Asked("chat", f"200 from {label} in {_took(started)}")

    def chat_stream(self, question: str) -> Iterator[Asked]:
        """One streamed chat completion."""
        started = time.perf_counter()
        request = {"model": self._model, "messages": _said(question), "stream": True}
        _, body = self._ask("POST", "/v1/chat/completions", request)
        assert body.rstrip().endswith(b"data: [DONE]")
        yield Asked("chat, streamed", f"{body.count(b'data: ') - 1} pieces in {_took(started)}")

    def responses_stream(self, question: str) -> Iterator[Asked]:
        """One streamed response."""
        started = time.perf_counter()
        _, body = self._ask("POST", "/v1/responses", {"model": self._model, "input": question, "stream": True})
        yield Asked("responses, streamed", f"{body.count(b'event: ')} events in {_took(started)}")

    def many(self, count: int) -> Iterator[Asked]:
        """Chat completions in parallel."""
        yield Asked(f"{count} chats in parallel", _parallel(count, self._one_of_many))

    def embeddings(self, text: str) -> Iterator[Asked]:
        """One embedding."""
        started = time.perf_counter()
        _, body = self._ask("POST", "/v1/embeddings", {"model": "text-embedding-3-small", "input": text})
        vector = json.loads(body)["data"][0]["embedding"]
        yield Asked("embeddings", f"{len(vector)} numbers in {_took(started)}")

    def models(self) -> Iterator[Asked]:
        """The list of models."""
        started = time.perf_counter()
        _, body = self._ask("GET", "/v1/models", None)
        yield Asked("models", f"{len(json.loads(body)['data'])} models in {_took(started)}")

    def _one_of_many(self, number: int) -> str:
        request = {"model": self._model, "messages": _said(f"number {number}")}
        return self._ask("POST", "/v1/chat/completions", request)[0]

    def _ask(self, method: str, path: str, document: object | None) -> tuple[str, bytes]:
        connection = http.client.HTTPConnection(self._address, timeout=TIMEOUT_S)
        with contextlib.closing(connection):
            headers = {"Authorization": f"Bearer {LOCAL_KEY}", "Content-Type": "application/json"}
            connection.request(method, path, None if document is None else json.dumps(document), headers)
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != http.client.OK:
                raise RuntimeError(f"the proxy answered {answer.status}: {body[:300]!r}")
            return answer.headers.get("X-Account-Label", "?"), body


def _said(question: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": question}]
