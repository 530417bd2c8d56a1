"""Writes a ledger under load until it is killed. Started by test_ledger.py.

Reads lines `PATH SECONDS` from stdin and for each forks a child that records as fast as is sensible; kills it with SIGKILL after that time
and answers `ACKNOWLEDGED CALLED LATE`: the last number that the ledger's totals said was kept, how many records had been handed over, and for
how many seconds the oldest record had been waiting that was not acknowledged.
"""

import mmap
import os
import signal
import struct
import sys
import time

from decimal import Decimal
from pathlib import Path

from codex_manager.core.record import Attempt, Record, Reservation
from codex_manager.core.usage import Usage
from codex_manager.ledger import Ledger


ACCOUNT = "11111111-1111-4111-8111-111111111111"
HEAD = struct.Struct("qqd")
MOST = 200_000


def load(path: Path, shared: mmap.mmap) -> None:
    def acknowledged(totals) -> None:
        shared[0:8] = struct.pack("q", totals.kept)

    ledger = Ledger.open(path, on_batch=acknowledged)
    session = os.getpid()
    number = 0
    while True:
        for _ in range(20):
            number += 1
            now = time.time()
            name = f"{session:08x}{number:024x}"
            ledger.reserved(
                Reservation(
                    id=name, time=now, account_id=ACCOUNT, account="work", client="load", endpoint="responses",
                    model="gpt-5", usd=Decimal("0.05"),
                )
            )  # fmt: skip
            if number % 50 == 0:  # one that is on its way when the process dies
                continue
            ledger.record(
                Record(
                    id=name, time=now, client="load", method="POST", endpoint="responses", model="gpt-5", account_id=ACCOUNT,
                    account="work", status=200, attempts=(Attempt(ACCOUNT, "work", 0.0, 0.1, 200, by="only"),),
                    usage=Usage(input=10, output=5), cost=Decimal("0.01"),
                )
            )  # fmt: skip
            called = number - number // 50
            shared[8:16] = struct.pack("q", called)
            start = HEAD.size + 8 * (called % MOST)
            shared[start : start + 8] = struct.pack("d", now)
        time.sleep(0.005)


def main() -> None:
    for line in sys.stdin:
        seconds, path = line.rstrip("\n").split(" ", 1)
        shared = mmap.mmap(-1, HEAD.size + 8 * MOST)
        child = os.fork()
        if child == 0:
            try:
                load(Path(path), shared)
            finally:
                os._exit(1)
        time.sleep(float(seconds))
        os.kill(child, signal.SIGKILL)
        ended = time.time()
        os.waitpid(child, 0)
        kept, called, _ = HEAD.unpack(shared[: HEAD.size])
        late = 0.0
        if called > kept:
            start = HEAD.size + 8 * ((kept + 1) % MOST)
            late = ended - struct.unpack("d", shared[start : start + 8])[0]
        print(kept, called, f"{late:.3f}", f"{child:08x}", flush=True)


if __name__ == "__main__":
    main()
