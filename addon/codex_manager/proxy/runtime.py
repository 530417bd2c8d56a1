"""The whole product behind one door: configuration, vault, engine, gate and accounting, built once and kept current.

Knows the parts and how they are put together; each part knows its own rules. Knows no mitmproxy.
Laws: fails closed, so before `start`, after `close`, and whenever something inside breaks, the answer is a 503. Nothing
on disk is touched while a request is carried. A change on disk that cannot be used changes nothing and is said once.
"""

import asyncio
import contextlib
import logging
import random
import secrets
import time

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from codex_manager.config.address import Address
from codex_manager.config.hosts import intercepted_hosts
from codex_manager.config.load import Loaded, load, read
from codex_manager.config.paths import Paths
from codex_manager.config.schema import Config
from codex_manager.core.account import Account
from codex_manager.core.errors import CodexManagerError, type_and_place
from codex_manager.core.openai_error import error_body
from codex_manager.core.record import Record
from codex_manager.core.secret import Secret
from codex_manager.core.snapshot import Snapshot
from codex_manager.engine.clock import SystemClock
from codex_manager.engine.engine import Engine
from codex_manager.engine.messages import Answer, Body, Headers, Request
from codex_manager.engine.settings import EngineSettings
from codex_manager.proxy import translate
from codex_manager.proxy.accounting import Accounting
from codex_manager.proxy.answers import plain_answer
from codex_manager.proxy.audience import Audience
from codex_manager.proxy.control import Control, Question
from codex_manager.proxy.dialer import Dialer
from codex_manager.proxy.forward import ForwardSettings
from codex_manager.proxy.gate import CONTROL_PREFIX, METRICS_PATH, Gate
from codex_manager.proxy.head import path_of
from codex_manager.proxy.incoming import Admission, Incoming, Limits
from codex_manager.proxy.inspect.limits import RingLimits
from codex_manager.proxy.lists import MergedLists, is_merged_list
from codex_manager.proxy.local import Capacity, local_answer
from codex_manager.proxy.local_keys import LocalKey
from codex_manager.proxy.metrics_page import MetricsPage
from codex_manager.proxy.models import ModelsUnion, is_models_list
from codex_manager.proxy.own_address import Bound, leads_to, refuse_loop
from codex_manager.proxy.passing import Passing
from codex_manager.proxy.refusal import Refusal
from codex_manager.proxy.status import status_of
from codex_manager.proxy.underway import underway
from codex_manager.proxy.upstream import Upstream, UpstreamRoute
from codex_manager.proxy.vault_source import Contents, VaultSource
from codex_manager.proxy.watch import file_stamp, watch
from codex_manager.vault.errors import VaultBusyError
from codex_manager.vault.store import Vault
from codex_manager_certs.trust import IGNORED_VARIABLES


__all__ = ["Runtime"]

log = logging.getLogger(__name__)

type Options = Mapping[str, tuple[str, Any]]
"""Values from the command line, as `config.load` takes them."""


class Runtime:
    """Use `Runtime.open(...)`, bind the listener, then `await start(bound)`; `await close()` at the end.

    Mutable state: the configuration and the vault's contents now in force, and what was made of them.
    """

    def __init__(
        self,
        paths: Paths,
        environ: Mapping[str, str],
        options: Options | None,
        config: Config,
        source: VaultSource,
        contents: Contents,
    ) -> None:
        self._paths = paths
        self._environ = environ
        self._options = options
        self._config = config
        self._source = source
        self._contents = contents
        self._client_keys: tuple[LocalKey, ...] = contents.client_keys or ()
        self._bound: Bound = frozenset()
        self._limits = translate.limits(config)
        self._ring_limits = translate.ring_limits(config)
        self._forward = translate.forward_settings(config, self._bound, None)
        self._passing: Passing | None = None
        self._gate: Gate | None = None
        self._engine: Engine | None = None
        self._models: ModelsUnion | None = None
        self._lists: MergedLists | None = None
        self._upstream: Upstream | None = None
        self._accounting = Accounting(paths, config)
        self._metrics = MetricsPage(self._accounting)
        self._audience = Audience(self._watch_records, time.time)
        self._control = Control()
        self._control.add("status", lambda _: self.status())
        self._control.add("running", lambda question: underway(self.engine, question.limit))
        self._control.add("requests", self._requests)
        self._watches: list[asyncio.Task[None]] = []
        self._changing = asyncio.Lock()
        """One change at a time: what a page asks for must not be overtaken by a look that began before it."""
        self._said: dict[str, str] = {}
        self._started_at = time.monotonic()

    @classmethod
    def open(
        cls,
        paths: Paths,
        environ: Mapping[str, str],
        prompt: Callable[[str], str] | None = None,
        *,
        options: Options | None = None,
    ) -> "Runtime":
        """Read configuration and vault. Blocks: the master key is derived here, and may be asked for.

        Raises:
            CodexManagerError: the configuration is wrong, or there is a vault that cannot be opened.
        """
        config = load(paths, environ, options=options)
        source = VaultSource(paths.vault_file, environ)
        return cls(paths, environ, options, config, source, source.open(prompt))

    # What the listener asks ------------------------------------------------------------------------------------------

    @property
    def config(self) -> Config:
        """The configuration now in force."""
        return self._config

    @property
    def is_serving(self) -> bool:
        """Started, and not closed."""
        return self._engine is not None

    @property
    def engine(self) -> Engine:
        """What carries the requests. Only while serving."""
        assert self._engine is not None
        return self._engine

    @property
    def client_keys(self) -> tuple[LocalKey, ...]:
        """The named local keys, without the keys themselves."""
        return self._client_keys

    @contextlib.contextmanager
    def open_vault(self) -> Iterator[Vault]:
        """The vault, open for writing, also where its key was typed at the start. Blocks: use it in a thread.

        Raises:
            VaultError: it is locked, or cannot be opened.
        """
        with self._source.writing() as vault:
            yield vault

    def settings(self) -> Loaded:
        """The settings as they are written now, whether or not they are in force yet, and where each comes from. Blocks.

        Raises:
            ConfigError: they cannot be used.
        """
        return read(self._paths, self._environ, options=self._options)

    @property
    def accounts(self) -> tuple[Account, ...] | None:
        """All of the vault as it was read last, also those that cannot be used; None while it is locked."""
        return self._contents.accounts

    @property
    def pinned(self) -> str | None:
        """The id of the account that everything is switched to."""
        return self._contents.pinned

    async def ask_usage(self, account_id: str) -> Snapshot | None:
        """Ask OpenAI now what an account has spent, and hold that against its limits; None if it is not in use.

        A minute at most. What could not be found out is said in the snapshot.
        """
        candidates = self._engine.candidates if self._engine is not None else ()
        account = next((each.account for each in candidates if each.account.id == account_id), None)
        return None if account is None else await self._accounting.ask(account)

    async def reload(self) -> None:
        """Take over what changed on disk, now rather than at the next look."""
        if self.is_serving:
            await self._config_changed()
            await self._vault_changed()

    async def _config_changed(self) -> bool:
        async with self._changing:
            return await self._take_config()

    async def _vault_changed(self) -> bool:
        async with self._changing:
            return await self._take_vault()

    def tell_records(self, callback: Callable[[Record], None] | None) -> None:
        """Have a viewer told of each request that is over (`inspect.recent.Recent.record`). It is called from the loop."""
        self._accounting.book.told = callback

    def records(self) -> bool:
        """Whether requests are recorded at all."""
        return self._config.metering.enabled

    def tell_log(self, page: Callable[[Question], object]) -> None:
        """Have a page of our own show the log."""
        self._control.add("log", page)

    def _watch_records(self, callback: Callable[[Record], None] | None) -> None:
        self._accounting.book.watched = callback

    def _requests(self, question: Question) -> dict[str, object]:
        return {"recorded": self.records(), **self._audience.page(question.after, question.limit)}

    def knows_prices(self) -> bool:
        """Whether what a request may cost can be said: not in the first moments, in which requests wait for it."""
        return self._accounting.prices.is_ready

    def ring_limits(self) -> RingLimits:
        """How much of the traffic is kept for viewers."""
        return self._ring_limits

    def capture(self) -> int:
        """Bytes kept of the beginning of each answer for viewers."""
        return self._config.inspection.body_kib * 1024

    def captures_streams(self) -> bool:
        """Whether that is so for streams, too."""
        return self._config.inspection.streams

    @property
    def bind(self) -> Address:
        """Where to listen, as configured."""
        return translate.bind_address(self._config)

    @property
    def limits(self) -> Limits:
        """The limits now in force."""
        return self._limits

    @property
    def response_headers(self) -> bool:
        """Whether answers carry our own response headers."""
        return self._config.proxy.response_headers

    @property
    def routed_hosts(self) -> frozenset[str]:
        """The upstream's names, where mitmproxy's reverse mode leads to one of them."""
        return translate.routed_hosts(self._config)

    @property
    def intercepted_hosts(self) -> frozenset[str]:
        """The names a forward client's CONNECT must ask for to be served by us."""
        return intercepted_hosts(self._config)

    @property
    def forward(self) -> ForwardSettings:
        """What the listener does as a forward proxy."""
        return self._forward

    def knows_key(self, key: bytes) -> bool:
        """Whether it is a local key."""
        return self._gate is not None and self._gate.settings.keys.name_of(key) is not None

    @property
    def control_token(self) -> Secret:
        """What opens the pages on which the proxy tells about itself."""
        return self._control.token

    # Life ------------------------------------------------------------------------------------------------------------

    async def start(self, bound: Iterable[tuple[str, int]] = ()) -> None:
        """Serve, and watch configuration and vault. `bound` is where this process is bound: nothing is ever sent there.

        Raises:
            CodexManagerError: requests would come back to ourselves, or `upstream.ca_file` cannot be used.
        """
        self._bound = frozenset(bound)
        await asyncio.to_thread(refuse_loop, self._config, self._bound)
        route = await asyncio.to_thread(UpstreamRoute.of, self._config)
        self._upstream = Upstream(route)
        self._forward = translate.forward_settings(self._config, self._bound, route.context)
        dialer = Dialer(lambda: self._forward.dial)
        self._passing = Passing(self._upstream, dialer, lambda: translate.timeouts(self._config))
        accounts = await self._accounts()
        await self._accounting.open()
        clock = SystemClock()
        self._engine = Engine(
            self._upstream,
            self._engine_settings(),
            accounts,
            clock=clock,
            random=random.Random(),
            book=self._accounting.book,
            pricing=self._accounting.prices,
        )
        self._accounting.serve(self._engine)
        self._models = ModelsUnion(self._engine, clock.monotonic)
        self._lists = MergedLists(
            self._engine,
            merges=lambda: self._config.routing.merge_lists,
            tells=lambda: self._config.proxy.response_headers,
        )
        self._gate = self._new_gate()
        self._started_at = time.monotonic()
        self._tell_state(accounts)
        unseen = object()  # so that the first tick looks at what changed between `open` and now
        self._watches = [
            asyncio.create_task(watch(self._config_stamp, self._config_changed, seen=unseen), name="watch config"),
            asyncio.create_task(watch(self._source.look, self._vault_changed, seen=unseen), name="watch vault"),
        ]

    async def close(self) -> None:
        """Stop watching, close what runs upstream, write down what it cost, forget the keys.

        Safe to call twice, and before `start`.
        """
        for task in self._watches:
            task.cancel()
        await asyncio.gather(*self._watches, return_exceptions=True)
        self._watches = []
        self._audience.leave()
        self._gate = self._passing = None
        engine, self._engine = self._engine, None
        if engine is not None:
            await engine.aclose()
        if self._upstream is not None:
            await self._upstream.aclose()
        await self._accounting.aclose()
        self._contents = Contents(None)
        await asyncio.to_thread(self._source.close)

    # The door --------------------------------------------------------------------------------------------------------

    def admit(self, incoming: Incoming) -> Admission | Answer:
        """Decide on the head alone. Never raises."""
        try:
            if self._gate is None:
                return _broken("codex-manager is starting or stopping; try again in a moment.")
            decided = self._gate.admit(incoming)
            if isinstance(decided, Refusal):
                return plain_answer(
                    decided.status,
                    decided.body,
                    headers=decided.headers,
                    head=incoming.method == "HEAD",
                    failure=decided.code,
                )
            return decided
        except Exception as error:  # noqa: BLE001 - fail closed
            log.error("the gate failed, so the request is refused: %s", type_and_place(error))  # noqa: TRY400 - a traceback may quote a header
            return _broken()

    def serves(self, host: str) -> bool:
        """Requests to this host are ours: it is the upstream, or this listener."""
        if self._gate is None:
            return False
        name, hosts = host.lower().strip("[]"), self._gate.settings.hosts
        return name in hosts.intercepted or hosts.is_right(name, "base_url")

    def admit_again(self, method: str, target: str, headers: Headers, length: int) -> Admission | Answer:
        """Judge a request that is sent once more from this machine, as one of the local client's. Never raises.

        Its key is put in here, so that whoever has the request need not have the key.
        """
        key = self._config.proxy.api_key.reveal().encode()
        own = ((b"Host", b"127.0.0.1"), (b"Authorization", b"Bearer " + key))
        framing = ((b"Content-Length", b"%d" % length),) if length else ()
        admitted = self.admit(
            Incoming(
                method=method,
                target=target,
                headers=(*own, *headers, *framing),
                host="127.0.0.1",
                content_length=length or None,
            )
        )
        if isinstance(admitted, Admission) and (admitted.local or admitted.foreign or admitted.websocket):
            body = error_body("Only requests to OpenAI are sent again.", type="invalid_request_error", code="not_again")
            return plain_answer(400, body, failure="not_again")
        return admitted

    async def carry(self, admission: Admission, body: Body) -> Answer:
        """Answer an admitted request. Never raises but CancelledError."""
        try:
            return await self._carry(admission, body)
        except Exception as error:  # noqa: BLE001 - fail closed
            log.error("carrying a request failed, so it is refused: %s", type_and_place(error))  # noqa: TRY400 - a traceback may quote a header
            return _broken()

    async def _carry(self, admission: Admission, body: Body) -> Answer:
        incoming = admission.incoming
        if admission.passage is not None and self._passing is not None:
            return await self._passing.carry(admission, body)
        if self._engine is None or self._models is None or admission.foreign:
            return _broken("codex-manager does not carry this request.")
        if admission.local:
            path = path_of(incoming.target)
            if path.startswith(CONTROL_PREFIX):
                return self._control.answer(incoming)
            if path == METRICS_PATH:
                return await self._metrics.answer(incoming, uptime_s=time.monotonic() - self._started_at)
            answer = local_answer(
                incoming.method,
                incoming.target,
                self._capacity(),
                uptime_s=time.monotonic() - self._started_at,
                client=admission.client,
            )
            return answer or _broken()
        request = Request(
            method=incoming.method,
            target=incoming.target,
            headers=admission.headers,
            body=body,
            content_length=incoming.content_length,
            chunked=incoming.chunked,
            websocket=admission.websocket,
            ephemeral=admission.ephemeral,
            message_limit=self._limits.replay_body_bytes,
            client=admission.client,
            id=_request_id(),
        )
        if not self._accounting.prices.is_ready:
            await self._accounting.prices.ready()
        if is_models_list(incoming.method, incoming.target):
            return await self._models.answer(request)
        if self._lists is not None and is_merged_list(incoming.method, incoming.target):
            return await self._lists.answer(request)
        return await self._engine.handle(request)

    def status(self) -> dict[str, object]:
        """What the accounts are doing right now, as JSON allows. Only while serving."""
        assert self._engine is not None
        return status_of(
            self._engine,
            uptime_s=time.monotonic() - self._started_at,
            ledger=self._accounting.ledger_health,
            warn_at=self._config.metering.warn_at,
        )

    def _capacity(self) -> Capacity:
        assert self._engine is not None
        report = self._engine.report()
        return Capacity(
            accounts=len(report.accounts),
            available=report.available,
            locked=report.locked,
            recording=self._accounting.health,
            blame=report.blame.who,
        )

    # Changes on disk -------------------------------------------------------------------------------------------------

    def _config_stamp(self) -> object:
        ca_file = self._config.upstream.ca_file
        return file_stamp(self._paths.config_file), file_stamp(Path(ca_file)) if ca_file else None

    async def _take_config(self) -> bool:
        try:
            config = await asyncio.to_thread(load, self._paths, self._environ, options=self._options)
            await asyncio.to_thread(refuse_loop, config, self._bound)
            route = await asyncio.to_thread(UpstreamRoute.of, config)
        except CodexManagerError as error:
            self._say("config", f"{error}; the configuration from before stays in force")
            return True
        if config.proxy.bind_addr != self._config.proxy.bind_addr:
            self._say("bind", f"proxy.bind_addr is now {config.proxy.bind_addr}: start the proxy again to listen there")
        changed = config != self._config
        self._config, self._limits = config, translate.limits(config)
        self._ring_limits = translate.ring_limits(config)
        self._forward = translate.forward_settings(config, self._bound, route.context)
        assert self._upstream is not None
        self._upstream.follow(route)
        await self._accounting.follow(config)
        await self._apply()
        self._said.pop("config", None)
        if changed:
            log.info("the changed configuration is in force")
        return True

    async def _take_vault(self) -> bool:
        before = self._contents
        try:
            contents = await asyncio.to_thread(self._source.read)
        except CodexManagerError as error:
            left = "the accounts from before stay in use" if before.accounts else "no account can serve until then"
            self._say("vault", f"{error}; {left}")
            return not isinstance(error, VaultBusyError)
        self._contents = contents
        if contents.client_keys is not None:
            self._client_keys = contents.client_keys
        accounts = await self._apply()
        self._said.pop("vault", None)
        if contents != before:
            self._tell_state(accounts)
        return True

    async def _apply(self) -> tuple[Account, ...] | None:
        """Give engine and gate what is now in force."""
        assert self._engine is not None
        assert self._models is not None
        accounts = await self._accounts()
        self._engine.update(settings=self._engine_settings(), accounts=accounts)
        self._accounting.recall()
        self._models.forget(accounts or ())
        self._gate = self._new_gate()
        return accounts

    def _engine_settings(self) -> EngineSettings:
        return translate.engine_settings(
            self._config, pinned=self._contents.pinned, bound=self._bound, client_keys=self._client_keys
        )

    def _new_gate(self) -> Gate:
        settings = translate.gate_settings(self._config, self._client_keys, self._bound)
        return Gate(replace(settings, issued=self._has_issued, controls=self._control.knows))

    def _has_issued(self, key: bytes) -> bool:
        return self._engine is not None and self._engine.has_issued(key)

    async def _accounts(self) -> tuple[Account, ...] | None:
        """Those of the vault, without any whose base URL leads back to us."""
        if self._contents.accounts is None:
            return None
        fit = []
        for account in self._contents.accounts:
            if account.base_url is not None and await asyncio.to_thread(leads_to, account.base_url, self._bound):
                self._say(
                    f"loop {account.id}",
                    f"the base URL of account {account.label!r} is this proxy itself, so the account is left out; correct it"
                    f" with `codex-manager edit {account.label!r} --base-url URL`",
                )
            else:
                self._said.pop(f"loop {account.id}", None)
                fit.append(account)
        return tuple(fit)

    # Words -----------------------------------------------------------------------------------------------------------

    def _say(self, topic: str, sentence: str) -> None:
        """Warn once, however often it is found."""
        if self._said.get(topic) != sentence:
            self._said[topic] = sentence
            log.warning("%s", sentence)

    def _tell_state(self, accounts: tuple[Account, ...] | None) -> None:
        if accounts is None:
            log.warning("the vault is locked; requests are refused until `codex-manager vault unlock`")
        elif not accounts:
            log.warning("there are no accounts yet; add one with `codex-manager add LABEL`")
        else:
            log.info("%d account%s in use", len(accounts), "" if len(accounts) == 1 else "s")
        ignored = [name for name in IGNORED_VARIABLES if self._environ.get(name)]
        if ignored and "ignored" not in self._said:
            self._said["ignored"] = ""
            log.info("the way to OpenAI uses upstream.ca_file, not %s", " or ".join(ignored))


def _request_id() -> str:
    """Ordered by time, so that each row of the ledger goes to the end of its index; the rest is random."""
    return f"{int(time.time() * 1000):012x}{secrets.token_hex(10)}"


def _broken(
    message: str = "codex-manager failed while it handled this request; nothing was passed on. Its log says where.",
) -> Answer:
    return plain_answer(503, error_body(message, type="server_error", code="internal_error"))
