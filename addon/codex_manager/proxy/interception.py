"""Certificates for the hosts we intercept: the authority, kept current, and a TLS context for each host.

An addon that answers mitmproxy's `tls_start_client`. Knows the authority and OpenSSL. Law: only a host the authority
vouches for gets a context; no other connection is ever given one, so it cannot be opened. Contexts are made once a
leaf, so that a handshake costs one signature.
"""

import asyncio
import contextlib
import logging
import time

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from mitmproxy import tls
from OpenSSL import SSL

from codex_manager.core.errors import CodexManagerError
from codex_manager_certs.authority import Authority
from codex_manager_certs.errors import AuthorityError
from codex_manager_certs.leaf import Leaf


__all__ = ["CertificateError", "Interception"]

LOOK_S = 2.0  # how soon a changed list of hosts, or an authority rotated by a command, is taken over
SAY_S = 60.0  # a client that does not trust us tries again and again
PROTOCOLS = (b"h2", b"http/1.1")

log = logging.getLogger(__name__)


class CertificateError(CodexManagerError):
    """The authority cannot be used."""


class Interception:
    """Mutable state: the authority in use, the contexts made of its leaves, and what was said when."""

    def __init__(self, folder: Path, hosts: Callable[[], frozenset[str]]) -> None:
        self.name = "codex_manager_interception"
        self._folder = folder
        self._hosts = hosts
        self._authority: Authority | None = None
        self._opened_for: frozenset[str] = frozenset()
        self._contexts: dict[str, tuple[Leaf, SSL.Context]] = {}
        self._said: dict[str, float] = {}

    @contextlib.asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Open, and current until the block ends.

        Raises:
            CertificateError: as `open`.
        """
        await self.open()
        watching = asyncio.create_task(self.watch(), name="watch certificates")
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def open(self) -> None:
        """Read the authority, or make it.

        Raises:
            CertificateError: it is damaged, too open, or cannot be written.
        """
        hosts = self._hosts()
        if not hosts:
            self._authority, self._opened_for = None, hosts
            return
        try:
            authority = await asyncio.to_thread(Authority.open_or_make, self._folder, hosts)
            await asyncio.to_thread(authority.leaf, min(hosts))  # the first client need not wait for it
        except AuthorityError as error:
            raise CertificateError(str(error), hint=error.hint, exit_code=error.exit_code) from None
        self._authority, self._opened_for = authority, hosts
        for sentence in authority.news:
            log.info("%s", sentence)

    async def watch(self) -> None:
        """Keep it current, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                authority = self._authority
                if self._hosts() != self._opened_for or (authority is not None and authority.is_stale()):
                    await self.open()
            except (CertificateError, AuthorityError) as error:
                self._say("authority", f"{error}; the certificates from before stay in use")

    def tls_start_client(self, data: tls.TlsData) -> None:
        """Give the connection its certificate, if it is for a host of ours."""
        address = data.context.server.address
        if address is None or address[0] not in self._hosts() or self._authority is None:
            return
        try:
            context = self._context(self._authority.leaf(address[0]))
        except AuthorityError as error:
            self._say(address[0], f"a connection to {address[0]} was refused: {error}")
            return
        data.ssl_conn = SSL.Connection(context)
        data.ssl_conn.set_accept_state()

    def tls_failed_client(self, data: tls.TlsData) -> None:
        """Say how to make a client trust us."""
        error = data.conn.error or ""
        address = data.context.server.address
        if address is None or address[0] not in self._hosts():
            return
        if any(word in error for word in ("unknown ca", "bad certificate", "certificate unknown")):
            self._say(
                address[0],
                f"a client does not trust codex-manager's certificate for {address[0]}; `codex-manager certs doctor` says what"
                " it lacks",
            )

    def _context(self, leaf: Leaf) -> SSL.Context:
        known = self._contexts.get(leaf.host)
        if known is not None and known[0] is leaf:
            return known[1]
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.set_min_proto_version(SSL.TLS1_2_VERSION)
        context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION | SSL.OP_CIPHER_SERVER_PREFERENCE)
        context.use_certificate(leaf.certificate)
        context.use_privatekey(leaf.private_key)
        context.set_alpn_select_callback(_choose_protocol)
        self._contexts[leaf.host] = leaf, context
        return context

    def _say(self, topic: str, sentence: str) -> None:
        now = time.monotonic()
        if now - self._said.get(topic, -SAY_S) >= SAY_S:
            self._said[topic] = now
            log.warning("%s", sentence)


def _choose_protocol(_: SSL.Connection, offered: list[bytes]) -> Any:
    """The client's own first choice of what we speak; without one in common, HTTP/1.1 unannounced."""
    return next((name for name in offered if name in PROTOCOLS), SSL.NO_OVERLAPPING_PROTOCOLS)
