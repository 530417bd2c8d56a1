"""Does one thing to a vault and kills itself with SIGKILL at a given step of it. Started by test_crash.py.

Steps are what SQLite does on the vault's connection: each statement it begins (trace callback) and each instruction of
its virtual machine (progress handler). Reads lines `OPERATION STEP PATH` from stdin, does each in a fork, and answers
`killed` or `done COUNT`. The product knows nothing of this.
"""

import os
import signal
import sys

from pathlib import Path

from codex_manager.core.secret import Secret
from codex_manager.vault import CHEAPEST, Vault


KEY, NEW_KEY = Secret("a master key for tests only"), Secret("another master key")


def perform(operation: str, step: int, path: Path) -> int:
    seen = 0

    def tick(*_: object) -> int:
        nonlocal seen
        seen += 1
        if seen == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return 0

    with Vault.open(path, KEY) as vault:
        connection = vault._database.connection
        connection.set_trace_callback(tick)
        connection.set_progress_handler(tick, 1)
        if operation == "rotate":
            vault.rotate()
        else:
            vault.rekey(NEW_KEY, profile=CHEAPEST)
        connection.set_trace_callback(None)
        connection.set_progress_handler(None, 0)
    return seen


def main() -> None:
    for line in sys.stdin:
        operation, step, path = line.rstrip("\n").split(" ", 2)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(writing, str(perform(operation, int(step), Path(path))).encode())
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            count = pipe.read()
        _, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        print("killed" if killed else f"done {count} {status}", flush=True)


if __name__ == "__main__":
    main()
