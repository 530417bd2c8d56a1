"""The page about this install: what runs, where its files are, how tools are led here, whom the certificate vouches for, what the doctor finds.

Law: shows no key but the default one that everybody knows, and of the certificate authority only what is public.
"""

import asyncio
import dataclasses
import platform
import re
import ssl
import sys
import threading

from importlib import metadata
from pathlib import Path
from typing import Any, ClassVar, Final

from cryptography.hazmat.backends.openssl import backend
from cryptography.hazmat.primitives import hashes
from mitmproxy.version import VERSION as MITMPROXY
from tornado import web

from codex_manager import __version__
from codex_manager.core.errors import CodexManagerError
from codex_manager.doctor import Finding, examine
from codex_manager.ledger.soundness import SQLITE_VERSION
from codex_manager.proxy.web.page import Page
from codex_manager.vault.store import has_vault
from codex_manager_certs.errors import AuthorityError
from codex_manager_certs.generations import State
from codex_manager_certs.shelf import Shelf, certificates_content


__all__ = ["About", "Certificate", "Doctor"]

LICENCES: Final = Path(__file__).parent / "static" / "vendor" / "LICENSES.txt"
HOST_KEY: Final = "sk-codex-manager"
"""Stands in the lines for a shell while the local key is a default one."""


class About(Page):
    """`/codex/about`."""

    section = "about"

    async def get(self) -> None:
        """All of it but the doctor's findings, which are made when somebody asks for them."""
        config, endpoint = self.web.runtime.config, self.web.endpoint
        certificate = await asyncio.to_thread(_certificate, Shelf(self.web.paths.authority_dir))
        self.page(
            "about.html",
            versions=_versions(),
            places=self._places(),
            started=self.web.runtime.status()["started_at"],
            base_url=endpoint if endpoint.endswith("/v1") else f"{endpoint}/v1",
            key=HOST_KEY if config.has_default_key else None,
            forwards=config.forward.enabled,
            certificate=certificate,
            libraries=_libraries(),
        )

    def _places(self) -> list[tuple[str, Path]]:
        paths = self.web.paths
        return [
            (self.tr("Configuration"), paths.config_file),
            (self.tr("Vault"), paths.vault_file),
            (self.tr("Ledger"), paths.ledger_file),
            (self.tr("Certificate authority"), paths.authority_dir),
        ]


class Certificate(Page):
    """`/codex/about/certificate`: what clients are to trust, as a file; public."""

    async def get(self) -> None:
        """PEM, every certificate of ours that is in use."""
        shelf = Shelf(self.web.paths.authority_dir)
        try:
            state = await asyncio.to_thread(shelf.load)
        except AuthorityError as error:
            raise CodexManagerError(str(error), hint=error.hint) from None
        if state is None:
            raise web.HTTPError(404)
        self.set_header("Content-Type", "application/x-pem-file")
        self.set_header("Content-Disposition", 'attachment; filename="codex-manager-ca.pem"')
        self.finish(certificates_content(state))


class Doctor(Page):
    """`/codex/about/doctor`: an examination, in a thread."""

    busy: ClassVar[threading.Lock] = threading.Lock()
    """One at a time: each may ask OpenAI about every account."""

    async def post(self) -> None:
        """Look at everything; ask OpenAI only when that was ticked."""
        network = self.get_body_argument("network", "") == "true"
        if not self.busy.acquire(blocking=False):
            raise CodexManagerError(self.tr("an examination is under way already"))
        try:
            findings = await asyncio.to_thread(self._examined, network)
        finally:
            self.busy.release()
        count = sum(finding.level != "ok" for finding in findings)
        self.page("about_findings.html", findings=findings, count=count, network=network)

    def _examined(self, network: bool) -> list[Finding]:
        lent = self.web.runtime.open_vault if has_vault(self.web.paths.vault_file) else None
        return examine(self.web.paths, self.web.environ, network=network, open_vault=lent)


@dataclasses.dataclass(frozen=True, slots=True)
class _Shown:
    """What the page says of the certificate authority."""

    problem: str = ""
    hint: str | None = None
    fingerprint: str = ""
    hosts: str = ""
    expires: str = ""
    successor: str = ""
    """When the next one takes over, where there is one."""


def _certificate(shelf: Shelf) -> _Shown | None:
    """Read from the disk; None before there is one."""
    try:
        state = shelf.load()
    except AuthorityError as error:
        return _Shown(problem=str(error), hint=error.hint)
    return None if state is None else _shown(state)


def _shown(state: State) -> _Shown:
    return _Shown(
        fingerprint=state.active.certificate.fingerprint(hashes.SHA256()).hex(":").upper(),
        hosts=", ".join(sorted(state.active.hosts)),
        expires=f"{state.active.expires_at:%Y-%m-%dT%H:%M:%SZ}",
        successor=f"{state.switch_at:%Y-%m-%dT%H:%M:%SZ}" if state.switch_at is not None else "",
    )


def _versions() -> list[tuple[str, str]]:
    return [
        ("codex-manager", __version__),
        ("mitmproxy", MITMPROXY),
        ("Python", f"{platform.python_version()} ({sys.implementation.name})"),
        ("SQLite", SQLITE_VERSION),
        (
            "OpenSSL",
            f"{ssl.OPENSSL_VERSION}; {backend.openssl_version_text()} (cryptography {_version('cryptography')})",
        ),
        ("aiohttp", _version("aiohttp")),
        ("tornado", _version("tornado")),
        (platform.system(), platform.release()),
    ]


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "?"


def _libraries() -> list[Any]:
    """Name and version of what is shipped with the page, as its file of licences lists them."""
    text = LICENCES.read_text(encoding="utf-8")
    return re.findall(r"^=+ (\S+) (\S+) \((.+)\)$", text, re.MULTILINE)
