"""The fake OpenAI as a process: `python -m codex_manager.testing --port 0 --script FILE --log FILE`.

One line of JSON on standard output says that it listens and where. It ends on SIGTERM or SIGINT, exit status 0, after
writing the request log as JSON lines. Keys appear in the log as digests, so that a log can be kept.
"""

import argparse
import asyncio
import contextlib
import dataclasses
import hashlib
import json
import os
import signal
import ssl
import sys

from pathlib import Path

from codex_manager.testing.journal import Seen
from codex_manager.testing.scriptfile import ScriptError, load
from codex_manager.testing.server import FakeOpenAI


__all__ = ["key_digest", "log_line", "main"]


def key_digest(key: str) -> str:
    """What stands for a key in a written log."""
    return f"sha256:{hashlib.sha256(key.encode()).hexdigest()[:16]}" if key else ""


def log_line(seen: Seen) -> str:
    """One request as a line of JSON, no key in it."""
    record = dataclasses.asdict(seen)
    record["key"] = key_digest(seen.key)
    record["body"] = seen.body.decode("utf-8", "replace")
    record["headers"] = [
        (name, f"Bearer {key_digest(seen.key)}" if name.lower() == "authorization" else value)
        for name, value in seen.headers
    ]
    record["client_request_id"] = seen.client_request_id
    return json.dumps(record)


async def serve(fake: FakeOpenAI) -> None:
    leave = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C still ends it, without a log
            loop.add_signal_handler(number, leave.set)
    async with fake:
        ready = {"port": fake.port, "base_url": fake.base_url, "api_url": fake.api_url, "pid": os.getpid()}
        sys.stdout.write(json.dumps(ready) + "\n")
        sys.stdout.flush()
        await leave.wait()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m codex_manager.testing", description="A scripted fake OpenAI.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--script", type=Path, metavar="FILE", help="accounts and steps, YAML or JSON")
    parser.add_argument("--log", type=Path, metavar="FILE", help="write the request log here at the end")
    parser.add_argument(
        "--tls-cert", type=Path, metavar="PEM", help="certificate chain and, unless given apart, its key"
    )
    parser.add_argument("--tls-key", type=Path, metavar="PEM")
    given = parser.parse_args(arguments)
    context = None
    try:
        if given.tls_cert:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(given.tls_cert, given.tls_key)
        fake = FakeOpenAI(host=given.host, port=given.port, ssl_context=context)
        if given.script:
            load(given.script, fake)
        asyncio.run(serve(fake))
        if given.log:
            given.log.write_text("".join(f"{log_line(seen)}\n" for seen in fake.log), encoding="utf-8")
    except (ScriptError, OSError) as error:
        sys.stderr.write(f"codex_manager.testing: error: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
