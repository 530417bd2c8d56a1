"""The runtime as the bridge sees it, over files that change as the command line and editors change them."""

import asyncio
import contextlib
import json
import logging
import time

from pathlib import Path

from argon2.profiles import CHEAPEST
from tests.support import POLLING

from codex_manager.config.paths import Paths
from codex_manager.core.secret import Secret
from codex_manager.proxy.incoming import Admission, Incoming
from codex_manager.proxy.runtime import Runtime
from codex_manager.testing import FakeOpenAI
from codex_manager.vault.store import Vault, new_account


KEY = "the master key"
BOUND = (("127.0.0.1", 18080),)
IN_FORCE_S = 2.0  # a promise: issue and docs/configuration.md say so
CHAT = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}).encode()


class Home:
    """The user's files, changed as the command line and editors change them."""

    def __init__(self, fake: FakeOpenAI, paths: Paths) -> None:
        self.fake, self.paths = fake, paths
        self.environ = {"CAM_MASTER_KEY": KEY, POLLING: "false"}

    def configure(self, text: str = "", **proxy: object) -> None:
        lines = [
            f"  {name}: {json.dumps(value)}"
            for name, value in ({"openai_base_url": self.fake.base_url} | proxy).items()
        ]
        aside = self.paths.config_file.with_suffix(".new")
        aside.write_text("\n".join(["proxy:", *lines, text, ""]), encoding="utf-8")
        aside.replace(self.paths.config_file)

    def create(self, *keys: str) -> None:
        with Vault.create(self.paths.vault_file, Secret(KEY), profile=CHEAPEST) as vault:
            for key in keys:
                vault.add(new_account(key.removeprefix("sk-").title(), Secret(key)))

    @contextlib.contextmanager
    def vault(self):
        with Vault.open(self.paths.vault_file, Secret(KEY)) as vault:
            yield vault

    def open(self) -> Runtime:
        return Runtime.open(self.paths, self.environ)


@contextlib.asynccontextmanager
async def new_home(folder: Path, *keys: str):
    """Files of a user in front of a fake OpenAI that knows these keys."""
    async with FakeOpenAI() as fake:
        for key in keys:
            fake.account(key)
        home = Home(fake, Paths(folder, folder))
        home.configure()
        yield home


@contextlib.asynccontextmanager
async def running(home: Home):
    runtime = await asyncio.to_thread(home.open)
    try:
        await runtime.start(BOUND)
        yield runtime
    finally:
        await runtime.close()


def incoming(method: str = "POST", target: str = "/v1/chat/completions", *, key: str = "sk-codex-manager") -> Incoming:
    headers = (
        (b"Host", b"127.0.0.1:18080"),
        (b"Authorization", f"Bearer {key}".encode()),
        (b"Content-Type", b"application/json"),
    )
    return Incoming(method=method, target=target, headers=headers)


async def ask(runtime: Runtime, request: Incoming | None = None, body: bytes = CHAT):
    """Through the door as the bridge goes; status and document."""
    async with asyncio.timeout(10):
        admitted = runtime.admit(request or incoming())
        answer = await runtime.carry(admitted, body) if isinstance(admitted, Admission) else admitted
        content = b"".join([piece async for piece in answer.body])
        await answer.aclose()
    return answer.status, json.loads(content)


async def code(runtime: Runtime, request: Incoming | None = None) -> tuple[int, str | None]:
    status, document = await ask(runtime, request)
    return status, document.get("error", {}).get("code")


async def in_force(true, *, within: float = 10.0) -> None:
    """What was changed just now comes into force; two tests hold the time itself."""
    changed = time.monotonic()
    while not await true():
        assert time.monotonic() - changed < within, f"not in force after {within} s"
        await asyncio.sleep(0.02)


def warnings(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
