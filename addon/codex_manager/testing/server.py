"""FakeOpenAI: a scripted OpenAI on a real socket, for tests, demonstrations and trying things out.

It is strict rather than kind: unknown keys, foreign organization headers, unknown paths, models and resource ids are
refused in OpenAI's words, limits run out and refill, and every request is on record. See docs/testing.md.
"""

import asyncio
import hashlib
import itertools
import ssl
import time

from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from types import TracebackType
from typing import Any, Self, overload

from codex_manager.testing.accounts import Accounts, FakeAccount
from codex_manager.testing.connection import Connection
from codex_manager.testing.journal import Journal, Seen
from codex_manager.testing.limits import Limit, Limits
from codex_manager.testing.openai import errors
from codex_manager.testing.openai.administration import KINDS, Billing, Entry
from codex_manager.testing.openai.api import MODEL_ENDPOINTS, Api
from codex_manager.testing.openai.prompts import PromptCache
from codex_manager.testing.openai.request import Facts
from codex_manager.testing.openai.storage import LISTED, prefix_of
from codex_manager.testing.openai.talk import PATHS, RealtimeTalk, ResponsesTalk
from codex_manager.testing.reply import Reply
from codex_manager.testing.script import GOOD, Chooser, Script
from codex_manager.testing.step import Step, Toxic, Travel
from codex_manager.testing.websocket import accept, wants_websocket


__all__ = ["FakeOpenAI"]

KEEP_BODY = 1 << 20
"""Bytes of a request body that are kept; beyond, only size and digest are."""
HEALTHY = Travel()


class FakeOpenAI:
    """`async with FakeOpenAI() as fake:` listens on a free port of the loopback interface until the block ends."""

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        ssl_context: ssl.SSLContext | None = None,
        keep_body: int = KEEP_BODY,
        cookies: bool = True,
        compress: bool = True,
        clock: Callable[[], float] = time.monotonic,
        prompt_cache_s: float | None = None,
    ) -> None:
        """`prompt_cache_s`: prompts are remembered so long after they were read last; None gives every long one the same
        cached part, so that equal requests have equal answers.
        """
        self.host = host
        self.port = port
        self.keep_body = keep_body
        self.journal = Journal()
        self.malformed_requests: list[str] = []
        """What was wrong with requests that were no HTTP at all."""
        self.connections_total = 0
        self._ssl_context = ssl_context
        self._cookies = cookies
        self._compress = compress
        self._clock = clock
        self._accounts = Accounts()
        self._script = Script()
        self._limits = Limits()
        self._prompts = None if prompt_cache_s is None else PromptCache(prompt_cache_s)
        self._api = Api()
        self._accounts.lent = lambda key: self._api.shelf.holder("client_secret", key)
        self._created = int(time.time())
        self._numbers = itertools.count()
        self._admitted: dict[int, FakeAccount | Reply] = {}
        self._callers: dict[int, FakeAccount] = {}
        """Who opened which WebSocket, by the number of the handshake's record."""
        self._open: set[Connection] = set()
        self._reset_next = 0
        self._server: asyncio.Server | None = None

    # Life.

    async def start(self) -> Self:
        """Listen; after `stop` again on the same port."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(self, next(self._numbers)), self.host, self.port, ssl=self._ssl_context, backlog=1024
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        """Refuse new connections and end the open ones."""
        if self._server is None:
            return
        self._server.close()
        for connection in list(self._open):
            await connection.stop()
        await self._server.wait_closed()
        self._server = None

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def base_url(self) -> str:
        """Scheme, host and port: what `proxy.openai_base_url` takes."""
        return f"{'https' if self._ssl_context else 'http'}://{self.host}:{self.port}"

    @property
    def api_url(self) -> str:
        """With `/v1`: what SDKs take as their base URL."""
        return f"{self.base_url}/v1"

    # Stage directions.

    def account(
        self,
        key: str,
        organization: str | None = None,
        project: str | None = None,
        *,
        models: tuple[str, ...] | None = None,
    ) -> FakeAccount:
        """Make a key known. Without names its organization and project are its own."""
        own = hashlib.sha256(f"owner {key}".encode()).hexdigest()[:12]
        account = FakeAccount(
            key=key, organization=organization or f"org-{own}", project=project or f"proj_{own}", models=models
        )
        self._accounts.add(account)
        return account

    def admin(self, key: str, organization: str) -> FakeAccount:
        """Make an admin key of an organization known: it reads `/v1/organization/...` and nothing else."""
        account = FakeAccount(key=key, organization=organization, project="", admin=True)
        self._accounts.add(account)
        return account

    def spent(
        self,
        organization: str,
        usd: Decimal | float | str,
        *,
        project: str | None = None,
        line_item: str | None = None,
        at: float | None = None,
    ) -> None:
        """Write down costs of an organization, for `/v1/organization/costs`; `at` in Unix seconds is now by default."""
        labels = {"project_id": project, "line_item": line_item}
        entry = Entry(time.time() if at is None else at, labels, {}, Decimal(str(usd)))
        self._api.books.costs.setdefault(organization, []).append(entry)

    def used(
        self,
        organization: str,
        kind: str = "completions",
        *,
        project: str | None = None,
        model: str | None = None,
        at: float | None = None,
        **counts: int,
    ) -> None:
        """Write down usage of an organization, for `/v1/organization/usage/<kind>`; counts are named as OpenAI names them."""
        if kind not in KINDS:
            raise ValueError(f"there is no usage of {kind}; there is {', '.join(KINDS)}")
        if unknown := counts.keys() - set(KINDS[kind][1]):
            raise ValueError(f"usage of {kind} has no {', '.join(sorted(unknown))}; it has {', '.join(KINDS[kind][1])}")
        entry = Entry(time.time() if at is None else at, {"project_id": project, "model": model}, dict(counts))
        self._api.books.usage.setdefault((organization, kind), []).append(entry)

    def billing(
        self,
        key: str,
        *,
        hard_limit: Decimal | float | str | None = None,
        spent: Decimal | float | str = 0,
        at: float | None = None,
    ) -> None:
        """Let the dashboard's billing pages answer a key (without this they answer 403); amounts spent add up."""
        billing = self._api.books.billing.setdefault(str(self._known(key)), Billing(None, []))
        if hard_limit is not None:
            billing.hard_limit = Decimal(str(hard_limit))
        billing.spent.append((time.time() if at is None else at, Decimal(str(spent))))

    def stock(self, key: str, kind: str, *, created_at: int | None = None, **fields: Any) -> str:
        """Put a thing into the project of a key as if it had been made there; returns its id.

        `kind` is one that is listed: `file`, `batch`, `vector_store`, `fine_tuning_job`, …; `created_at` in Unix seconds.
        """
        if kind not in LISTED:
            raise ValueError(f"there is no list of {kind}; there is {', '.join(LISTED)}")
        account, stamp = self._accounts[str(self._known(key))], LISTED[kind].stamp
        made = self._created if created_at is None else created_at
        name = fields.pop("id", None) or f"{prefix_of(kind)}{self._api.shelf.next_number():012x}"
        thing = {"id": name, "object": kind, stamp: made, **fields}
        self._api.shelf.put(kind, name, account, thing)
        return str(name)

    def organization_of(self, kind: str, name: str) -> str | None:
        """Whose a thing is; None when there is no such thing."""
        domain = self._api.shelf.domain(kind, name)
        return None if domain is None else domain[0]

    def discard(self, kind: str, name: str) -> None:
        """Let a thing be gone as if it had been deleted."""
        self._api.shelf.remove(kind, name)

    def revoke(self, key: str) -> None:
        """Make a key unknown again."""
        self._accounts.remove(key)

    def script(self, key: str | None, *steps: Step | Toxic, path: str | None = None, model: str | None = None) -> None:
        """Queue steps for the next requests of a key (None: of any); `path` and `model` may have wildcards."""
        self._script.play(self._known(key), steps, path=path, model=model)

    def cycle(self, key: str | None, *steps: Step | Toxic, path: str | None = None, model: str | None = None) -> None:
        """Like `script`, and from the beginning again at its end."""
        self._script.play(self._known(key), steps, path=path, model=model, cycle=True)

    def always(
        self, key: str | None, step: Step | Toxic | Chooser, *, path: str | None = None, model: str | None = None
    ) -> None:
        """Answer every request so that no script has a step for; a function decides for each request."""
        self._script.stand(self._known(key), step, path=path, model=model)

    def clear(self, key: str | None = None) -> None:
        """Forget the scripts and standing answers of one key, or of all."""
        self._script.clear(key)

    def left(self, key: str | None = None) -> int:
        """Scripted steps nobody has taken yet."""
        return self._script.left(key)

    def limit(
        self,
        key: str,
        *,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        burst_requests: float | None = None,
        burst_tokens: float | None = None,
    ) -> None:
        """Limit the organization and project of a key, each model apart; without numbers lift the limit.

        A burst is how much is there at once (the whole minute's by default): `requests_per_minute=600,
        burst_requests=5` runs out after five and is back at ten a second.
        """
        nothing = requests_per_minute is None and tokens_per_minute is None
        made = None if nothing else Limit(requests_per_minute, tokens_per_minute, burst_requests, burst_tokens)
        self._limits.set(self._accounts[key].domain, made)

    def reset_connections(self, count: int) -> None:
        """Reset the next connections as soon as they are accepted, before any request."""
        self._reset_next = count

    def _known(self, key: str | None) -> str | None:
        if key is not None and key not in self._accounts:
            raise ValueError(f"no account has the key {key!r}: call account() first")
        return key

    # What was seen.

    @property
    def log(self) -> list[Seen]:
        """Every request in order of arrival, refused ones too."""
        return self.journal.records

    @overload
    def counts(self, key: None = None) -> Counter[str]: ...
    @overload
    def counts(self, key: str) -> int: ...
    def counts(self, key: str | None = None) -> int | Counter[str]:
        """Requests seen of one key; without one, of each."""
        return self.journal.counts() if key is None else self.journal.counts()[key]

    def duplicates(self) -> dict[str, list[Seen]]:
        """Requests processed more than once, by the id their client gave them."""
        return self.journal.duplicates()

    def violations(self) -> list[Seen]:
        """Requests that should not have been sent as they were: see `Seen.flags`."""
        return [seen for seen in self.log if seen.flags]

    @property
    def connections_open(self) -> int:
        return len(self._open)

    async def until(self, true: Callable[[], object], timeout: float = 5.0) -> None:  # noqa: ASYNC109  # a test's patience
        """Wait until something is so, for instance `lambda: fake.log[0].aborted`."""
        async with asyncio.timeout(timeout):
            while not true():  # noqa: ASYNC110  # anything may be waited for
                await asyncio.sleep(0.002)

    # What connections ask (see connection.Service).

    def opened(self, connection: Connection) -> bool:
        self.connections_total += 1
        self._open.add(connection)
        if self._reset_next:
            self._reset_next -= 1
            return False
        return True

    def closed(self, connection: Connection) -> None:
        self._open.discard(connection)
        self._admitted.pop(connection.number, None)

    def malformed(self, reason: str) -> None:
        self.malformed_requests.append(reason)

    def begin(self, connection: int, method: str, target: str, headers: list[tuple[str, str]]) -> Seen:
        path, _, query = target.partition("?")
        seen = Seen(number=0, connection=connection, method=method, target=target, path=path, query=query,
                    headers=headers, at=time.monotonic())  # fmt: skip
        self.journal.add(seen)
        return seen

    def answer_early(self, seen: Seen) -> tuple[Reply, Travel] | None:
        account = self._admitted[seen.connection] = self._accounts.admit(seen)
        step = None if isinstance(account, Reply) else self._script.take_early(seen)
        return None if step is None else self._play(seen, step)

    def answer(self, seen: Seen) -> tuple[Reply, Travel]:
        return self._play(seen, None)

    def _play(self, seen: Seen, step: Step | None) -> tuple[Reply, Travel]:
        account = self._admitted.pop(seen.connection)
        if isinstance(account, Reply):
            seen.step = "refused"
            return self._dress(account, seen, None, []), HEALTHY
        facts = self._facts(seen, account)
        metered = seen.method == "POST" and seen.path in MODEL_ENDPOINTS
        refusal, left = self._limits.charge(facts, self._clock()) if metered else (None, [])
        if refusal is not None:
            seen.step = "limit"
            return self._dress(refusal, seen, account, left), HEALTHY
        step = step or self._script.take(seen, facts.model)
        seen.step = step.name
        if step.reply is None and seen.path in PATHS and wants_websocket(seen):
            self._callers[seen.number] = account
            talk = ResponsesTalk if seen.path == "/v1/responses" else RealtimeTalk
            reply = accept(seen, talk(self, self._api.shelf), compress=self._compress)
            return self._dress(reply, seen, account, []), step.travel
        if step.reply is None:
            reply = self._api.answer(facts, step.good)
            seen.processed = 200 <= reply.status < 300 and not step.travel.early
            return self._dress(reply, seen, account, left), step.travel
        reply = step.reply(facts)
        seen.processed = reply.wire is None and 200 <= reply.status < 300 and not step.travel.early
        return (reply if reply.bare else self._dress(reply, seen, account, [])), step.travel

    def _facts(self, seen: Seen, account: FakeAccount) -> Facts:
        return Facts(seen=seen, account=account, created=self._created, prompts=self._prompts, now=self._clock())

    # What talks on WebSockets ask (see openai.talk.Stage).

    def cue(self, handshake: Seen, what: str, message: str) -> tuple[Facts, Step, Reply | None]:
        seen = self._frame(handshake, what, message)
        self.journal.add(seen)
        account = self._callers[handshake.number]
        facts = self._facts(seen, account)
        refusal = None
        if what == "create":
            if facts.model is not None and not account.has(facts.model):
                refusal = errors.model_missing(facts.model)
            else:
                refusal, _ = self._limits.charge(facts, self._clock())
        step = GOOD if refusal is not None or what != "create" else self._script.take(seen, facts.model)
        seen.step = "limit" if refusal is not None else step.name
        return facts, step, refusal

    def opening(self, handshake: Seen) -> Step | None:
        return self._script.take_named(self._frame(handshake, "open", ""))

    @staticmethod
    def _frame(handshake: Seen, what: str, message: str) -> Seen:
        body = message.encode("utf-8", "surrogatepass")
        path = f"{handshake.path}#{what}"
        return Seen(number=0, connection=handshake.connection, method="WS", target=path, path=path, query=handshake.query,
                    headers=[], at=time.monotonic(), key=handshake.key, body=body, body_size=len(body),
                    body_sha256=hashlib.sha256(body).hexdigest())  # fmt: skip

    def _dress(self, reply: Reply, seen: Seen, account: FakeAccount | None, left: list[tuple[str, str]]) -> Reply:
        """Add the headers that OpenAI and its edge put on every answer."""
        headers = reply.headers
        headers.append(("x-request-id", f"req_{hashlib.md5(f'{id(self)} {seen.number}'.encode()).hexdigest()}"))  # noqa: S324 - a name, not a secret
        if account is not None:
            headers += [
                ("openai-organization", account.organization),
                *([("openai-project", account.project)] if account.project else []),
                ("openai-version", "2020-10-01"),
                ("openai-processing-ms", "12"),
            ]
            if self._cookies:
                secure = "; Secure" if self._ssl_context else ""
                headers.append(("set-cookie", f"__cf_bm={self._accounts.cookie(account)}; path=/; HttpOnly{secure}"))
        headers += left
        headers.append(("server", "cloudflare"))
        return reply
