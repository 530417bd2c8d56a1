"""Whether what is recorded is sound, and there is room for more."""

import shutil

from collections.abc import Iterator

from codex_manager.doctor.finding import Finding, bad, ok, warn
from codex_manager.doctor.patient import Patient
from codex_manager.ledger import LedgerError, LedgerMissingError, Reader
from codex_manager.ledger.soundness import SQLITE_VERSION, damage, has_wal_reset_bug


__all__ = ["check"]

FEW_MIB = 500
"""A month of heavy use is some 100 MiB."""
TOO_FEW_MIB = 50


def check(patient: Patient) -> Iterator[Finding]:
    """The file, then SQLite, then the disk."""
    file = patient.paths.ledger_file
    try:
        problems = damage(file)
        with Reader(file) as reader:
            health = reader.health()
    except LedgerMissingError:
        yield ok("ledger", "nothing was recorded yet")
    except LedgerError as error:
        yield bad("ledger", str(error), error.hint or "move it away; the proxy makes a new one")
    else:
        for problem in problems:
            yield bad(
                "ledger", f"SQLite finds the ledger damaged: {problem}", "move it away; the proxy makes a new one"
            )
        if not problems:
            yield ok("ledger", f"the ledger is sound: {health.requests:,} requests, {health.bytes / 2**20:.1f} MiB")
        for moved in health.damaged:
            yield warn(
                "ledger",
                f"a damaged ledger was moved aside to {moved}; its figures are missing",
                "delete it when you do not need it any more",
            )
    yield _sqlite()
    yield from _room(patient)


def _sqlite() -> Finding:
    if has_wal_reset_bug():
        return ok(
            "ledger",
            f"SQLite {SQLITE_VERSION} has the WAL-reset bug (fixed in 3.51.3); our own lock keeps clear of it, as long as no other"
            " program writes to ledger.db",
        )
    return ok("ledger", f"SQLite {SQLITE_VERSION}")


def _room(patient: Patient) -> Iterator[Finding]:
    try:
        free = shutil.disk_usage(patient.paths.data_dir).free >> 20
    except OSError:
        return
    text = f"{free:,} MiB are free where {patient.paths.data_dir} is"
    if free < TOO_FEW_MIB:
        yield bad("ledger", text, "make room: what requests cost cannot be written down on a full disk")
    elif free < FEW_MIB:
        yield warn("ledger", text, "make room soon")
