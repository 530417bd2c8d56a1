"""What `codex-manager demo` shows: the whole product in 20 seconds, on a fake OpenAI, without an account.

A scripted fake OpenAI, a temporary vault with three accounts of which one is limited and one revoked, the real proxy as
a process of its own, real requests through it. Law: nothing of the user's is read or written — not the vault, not the
configuration, not a variable of the environment — and everything made is removed at the end.
"""

import contextlib
import json
import os
import secrets
import tempfile
import time

from collections.abc import Iterator
from pathlib import Path

import click

from codex_manager.config.paths import Paths
from codex_manager.core.secret import Secret
from codex_manager.testing import FakeOpenAI, Seen, Step, answers, in_thread
from codex_manager.vault.store import Vault, new_account
from codex_manager_cli import talk
from codex_manager_cli.demo_client import Asked, Client, client_for
from codex_manager_cli.demo_proxy import proxy_process


__all__ = ["perform"]

MODEL = "gpt-4o-mini"
LIMITED_S = (
    4.0  # how long `personal` stays rate limited: long enough to see it passed over, short enough to see it back
)
KEYS = {label: f"sk-demo-{label}-{'0' * 16}" for label in ("personal", "client", "work")}
LABELS = {key: label for label, key in KEYS.items()}
WORDS = {
    "rate_limited": "429 rate limited",
    "invalid_key": "401 revoked",
    "ok": "200",
}


def perform(*, keep: bool) -> None:
    """All of it; with `keep` the proxy stays until Ctrl-C."""
    with in_thread(FakeOpenAI()) as fake, tempfile.TemporaryDirectory(prefix="codex-manager-demo-") as folder:
        limited_until = _stage(fake)
        environ = _environment(Path(folder), fake)
        _fill_vault(environ)
        with proxy_process(environ) as url, client_for(url, MODEL) as client:
            _introduce(url, client)
            _play(client, fake, limited_until)
            _sum_up(fake)
            if keep:
                _leave_running(url)


def _stage(fake: FakeOpenAI) -> list[float]:
    """Three accounts: limited for a while from its first request on, revoked, healthy."""
    limited_until: list[float] = []
    for label, key in KEYS.items():
        fake.account(key, organization=f"org-{label}")

    def personal(_seen: Seen) -> Step:
        if not limited_until:
            limited_until.append(time.monotonic() + LIMITED_S)
        left = limited_until[0] - time.monotonic()
        if left <= 0:
            return answers.ok()
        message = f"Rate limit reached for {MODEL} in organization org-personal. Please try again in {left:.3f}s."
        return answers.rate_limited(retry_after_ms=round(left * 1000), message=message)

    fake.always(KEYS["personal"], personal)
    fake.always(KEYS["client"], answers.invalid_key())
    return limited_until


def _environment(folder: Path, fake: FakeOpenAI) -> dict[str, str]:
    """What the proxy process gets: a home of its own, and none of the user's settings or proxies."""
    kept = {
        name: value
        for name in ("PATH", "HOME", "LANG", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "PYTHONPATH", "VIRTUAL_ENV")
        if (value := os.environ.get(name)) is not None
    }
    return kept | {
        "CODEX_MANAGER_HOME": str(folder),
        "CAM_MASTER_KEY": secrets.token_urlsafe(32),
        "CODEX_MANAGER__PROXY__OPENAI_BASE_URL": fake.base_url,
        "CODEX_MANAGER__POLLING__ENABLED": "false",  # its questions would stand among the requests that are shown
    }


def _fill_vault(environ: dict[str, str]) -> None:
    paths = Paths.locate(environ)
    with Vault.create(paths.vault_file, Secret(environ["CAM_MASTER_KEY"])) as vault:
        for label, key in KEYS.items():
            vault.add(new_account(label, Secret(key)))


def _introduce(url: str, client: Client) -> None:
    click.echo("A fake OpenAI, a temporary vault, the real proxy. Nothing of yours is touched.\n")
    click.echo("  account    what OpenAI would say of it")
    click.echo(f"  personal   rate limited for the next {LIMITED_S:.0f} seconds (429)")
    click.echo("  client     key revoked (401)")
    click.echo("  work       healthy\n")
    click.echo(f"  the proxy listens on {url}; {client.name} talks to it\n")
    click.echo(f"  {'asked':<30}{'the client got':<34}{'what it took upstream'}")


def _play(client: Client, fake: FakeOpenAI, limited_until: list[float]) -> None:
    _act(fake, client.chat("What is a circuit breaker?"))
    _act(fake, client.chat("And half-open?"))
    _act(fake, client.chat_stream("Tell me slowly."))
    _act(fake, client.responses_stream("Tell me in events."))
    _act(fake, client.many(20))
    _act(fake, client.embeddings("a vector, please"))
    _act(fake, client.models())
    left = limited_until[0] - time.monotonic()
    if left > 0:
        click.echo(f"  … {left:.0f} s later the limit of `personal` has passed")
        time.sleep(left + 0.3)
    _act(fake, client.chat("Is personal back?"))
    _act(fake, client.many(20))


def _act(fake: FakeOpenAI, asked: Iterator[Asked]) -> None:
    """Run one request (the iterator starts it) and print what the client got and what the upstream saw."""
    before = len(fake.log)
    got = next(asked)
    seen = fake.log[before:]
    click.echo(f"  {got.what:<30}{got.answer:<34}{_path(seen)}")


def _path(seen: list[Seen]) -> str:
    """`personal 429 rate limited → work 200`; many alike are counted."""
    steps: dict[str, int] = {}
    for record in seen:
        word = WORDS.get(record.step, str(record.status))
        step = f"{LABELS.get(record.key, '?')} {word}"
        steps[step] = steps.get(step, 0) + 1
    return " → ".join(step if count == 1 else f"{count} × {step}" for step, count in steps.items())


def _sum_up(fake: FakeOpenAI) -> None:
    click.echo("")
    total = len(fake.log)
    refused = sum(1 for seen in fake.log if seen.status != 200)
    click.echo(f"  {total} requests went upstream, {refused} of them were refused there; the client saw no error.")
    click.echo(
        "  `client` was asked once and is left alone until its key changes; `personal` rested until its limit had passed."
    )
    click.echo("\nWith your own accounts: codex-manager init, codex-manager add LABEL, codex-manager proxy")


def _leave_running(url: str) -> None:
    click.echo("\nThe proxy stays until Ctrl-C:\n")
    click.echo(f"  export OPENAI_BASE_URL={url}/v1 OPENAI_API_KEY=sk-codex-manager")
    body = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "hello"}]})
    click.echo(f"  curl -i {url}/v1/chat/completions -H 'Authorization: Bearer sk-codex-manager' \\")
    click.echo(f"       -H 'Content-Type: application/json' -d '{body}'")
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            time.sleep(3600)
    talk.say("stopped")
