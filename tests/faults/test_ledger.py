"""What the ledger does when the process is killed, when the disk is full, locked, read-only or gone, and when the file is damaged.

In each case the traffic's side never waits and never sees an exception, the limits go on counting, and the file is sound.
"""

import contextlib
import logging
import os
import random
import shutil
import sqlite3
import statistics
import subprocess
import sys
import threading
import time

from decimal import Decimal
from pathlib import Path

import pytest

from tests.ledger.samples import WORK, Clock, record, reservation, select, sound, written
from tests.support import wait_for

from codex_manager.ledger import Ledger, Reader
from codex_manager.ledger.database import Database, lock_of
from codex_manager.ledger.lock import take


CHILD = Path(__file__).with_name("ledger_child.py")
ACCOUNT = ("account", WORK)
LONG_S = float(os.environ.get("CODEX_MANAGER_POLL_S", "45"))  # read here, because tests run without such variables


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.db"


@pytest.fixture
def impatient(monkeypatch):
    """Tries again soon."""
    monkeypatch.setattr("codex_manager.ledger.writer.FIRST_PAUSE_S", 0.05)
    monkeypatch.setattr("codex_manager.ledger.writer.LONGEST_PAUSE_S", 0.1)


def spent(ledger):
    return ledger.totals().of(ACCOUNT).day


def counted(ledger, usd):
    return wait_for(lambda: spent(ledger) == usd, 20)


# Killed --------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork there")
@pytest.mark.parametrize(
    "kills",
    [pytest.param(3, id="a few"), pytest.param(200, id="200", marks=[pytest.mark.slow, pytest.mark.timeout(240)])],
)
def test_no_acknowledged_row_is_lost_by_kill_9(path, kills):
    """Each time: what was acknowledged is there, what is there has no gap, the sums are those of the rows, the file is sound."""
    chance = random.Random(4)
    environ = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    late, lost, hot = [], [], 0
    with subprocess.Popen(
        [sys.executable, CHILD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environ,
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        for _ in range(kills):
            child.stdin.write(f"{chance.uniform(0.05, 0.4):.3f} {path}\n")
            child.stdin.flush()
            kept, called, waited, session = child.stdout.readline().split()
            late.append(float(waited))
            if not path.exists():
                assert int(kept) == 0
                continue
            hot += path.with_name("ledger.db-wal").exists()
            mine = f"{session}0", f"{session}1"  # a range, so that the index is used
            rows = select(path, "SELECT id FROM request WHERE id >= ? AND id < ? AND failure = ''", *mine)
            numbers = sorted(int(row[0][8:], 16) for row in rows)
            lost.append(int(called) - len(numbers))
            assert len(numbers) >= int(kept)
            assert numbers == [n for n in range(1, (numbers or [0])[-1] + 1) if n % 50], "what is there has no gap"
            assert select(path, "PRAGMA integrity_check") == [("ok",)]
            if path.stat().st_size > 10 << 20:  # looking through it takes too long by now; the next begins a new one
                assert Ledger.open(path).close()
                assert sound(path)
                path.rename(path.with_name(f"full-{len(late)}.db"))
        child.stdin.close()
    with Ledger.open(path) as ledger:
        assert ledger.opening.killed <= 1, "each opening books what the one before it left"
    assert sound(path)
    left = "SELECT count(*) FROM reservation"
    assert select(path, left) == [(0,)]
    booked = select(path, "SELECT count(*), coalesce(sum(nano), 0) FROM request WHERE failure = 'interrupted'")
    assert booked[0][1] == booked[0][0] * 50_000_000
    assert len(lost) >= kills / 2
    print(
        f"\n{len(late)} kills, {hot} with a WAL left: {sum(lost)} unacknowledged rows missing (at most {max(lost)}); the oldest of them had"
        f" waited {statistics.median(late) * 1000:.0f} ms (median), {max(late) * 1000:.0f} ms (at most)"
    )


def test_sigterm_loses_none(path):
    program = (
        "import signal, sys; from pathlib import Path; from tests.ledger.samples import record; from codex_manager.ledger import Ledger\n"
        "ledger = Ledger.open(Path(sys.argv[1]))\n"
        "def end(*_):\n"
        "    for number in range(500): ledger.record(record(number))\n"
        "    sys.exit(0 if ledger.close() else 1)\n"
        "signal.signal(signal.SIGTERM, end); print('ready', flush=True); signal.pause()\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, path], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == b"ready"
        process.terminate()
        assert process.wait(20) == 0
    assert select(path, "SELECT count(*) FROM request") == [(500,)]
    assert sound(path)


# A file that cannot be written ---------------------------------------------------------------------------------------


@contextlib.contextmanager
def locked(path):
    """Another process keeps the lock."""
    lock = lock_of(path)
    yield
    lock.release()


@contextlib.contextmanager
def held_by_a_tool(path):
    """Somebody's tool keeps a write transaction open, and knows nothing of our lock."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


@contextlib.contextmanager
def folder_gone(path):
    away = path.parent.with_name("away")
    path.parent.rename(away)
    yield
    away.rename(path.parent)


@contextlib.contextmanager
def read_only(path):
    """A file system that became read-only: also root cannot write there."""
    mounted = subprocess.run(["mount", "--bind", path.parent, path.parent], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("only root can mount: this needs a read-only file system")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", path.parent], check=True, timeout=20)
        yield
    finally:
        subprocess.run(["umount", "-l", path.parent], check=True, timeout=20)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (locked, "kept locked by another process"),
        (held_by_a_tool, "kept locked by another process"),
        (folder_gone, "cannot be reached: no such file or directory"),
        (read_only, "may not be written"),
    ],
)
def test_traffic_goes_on_and_is_written_afterwards(tmp_path, fault, words, impatient, monkeypatch, caplog):
    """Nothing is lost but time: when the file can be written again, all of it is in it, once."""
    monkeypatch.setattr("codex_manager.ledger.database.BUSY_TIMEOUT_S", 0.05)
    (tmp_path / "data").mkdir()
    path = tmp_path / "data" / "ledger.db"
    with caplog.at_level(logging.WARNING), Ledger.open(path, clock=Clock()) as ledger:
        ledger._writer._database.patience_s = 0.05
        ledger.record(record(1, "1"))
        assert written(ledger)
        with fault(path):
            for number in range(2, 102):
                ledger.record(record(number, "1"))
            assert counted(ledger, 101), "limits count what is not written yet"
            assert wait_for(lambda: not ledger.health().ok)
            assert words in ledger.health().problem
            totals = ledger.totals()
            assert (totals.through, totals.kept) == (101, 1)
            assert ledger.health().waiting == 100
            time.sleep(0.3)  # several tries
        assert wait_for(lambda: ledger.health().ok, 20)
        assert written(ledger)
        assert ledger.totals().kept == 101
        assert ledger.health().dropped == 0
    assert [entry.message.count(words) for entry in caplog.records if words in entry.message] == [1], "said once"
    assert "is written again; 0 requests are missing" in caplog.text
    assert select(path, "SELECT count(*) FROM request") == [(101,)]
    assert sound(path)


def test_it_opens_without_a_file_and_begins_one_when_it_can(tmp_path, impatient):
    path = tmp_path / "later" / "ledger.db"
    with Ledger.open(path, clock=Clock()) as ledger:
        ledger.reserved(reservation("a"))
        ledger.record(record(id="a", usd="1"))
        assert counted(ledger, 1)
        assert not ledger.health().ok
        path.parent.mkdir()
        assert wait_for(path.exists)
    assert select(path, "SELECT id FROM request") == [("a",)]


def test_a_file_that_is_taken_away_is_made_anew_and_limits_go_on_counting(path, caplog):
    with caplog.at_level(logging.WARNING), Ledger.open(path, clock=Clock()) as ledger:
        ledger.record(record(1, "3"))
        assert written(ledger)
        for name in ("ledger.db", "ledger.db-wal", "ledger.db-shm"):
            path.with_name(name).unlink()
        ledger.record(record(2, "1"))
        assert counted(ledger, 4)
        assert written(ledger)
    assert "was taken away, so a new one was begun" in caplog.text
    with Ledger.open(path, clock=Clock()) as ledger:
        assert spent(ledger) == 4
    assert sound(path)


def test_closing_a_ledger_that_cannot_be_written_ends_in_time_and_says_so(tmp_path, impatient, caplog):
    ledger = Ledger.open(tmp_path / "no" / "ledger.db", clock=Clock())
    ledger.record(record())
    began = time.monotonic()
    with caplog.at_level(logging.WARNING):
        assert not ledger.close(timeout=0.3)
    assert time.monotonic() - began < 10
    assert "1 requests could not be written" in caplog.text


def test_memory_is_bounded_while_the_disk_is_away_and_the_money_is_kept(tmp_path, impatient, monkeypatch):
    monkeypatch.setattr("codex_manager.ledger.batch.MOST_ROWS", 50)
    path = tmp_path / "later" / "ledger.db"
    with Ledger.open(path, clock=Clock()) as ledger:
        for number in range(300):
            ledger.record(record(number, "1"))
        assert counted(ledger, 300)
        assert (ledger.health().waiting, ledger.health().dropped) == (50, 250)
        path.parent.mkdir()
        assert written(ledger, 20)
    with Reader.open(path) as reader:
        assert len(reader.requests(limit=1000)) == 50
        assert (reader.usage()[0].requests, reader.usage()[0].usd) == (300, Decimal(300))
        assert reader.health().sessions[0].dropped == 250


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    if (
        shutil.which("mount") is None
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, check=False, timeout=20
        ).returncode
    ):
        pytest.skip("only root can mount: this needs a disk of 1 MiB")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True, timeout=20)


def test_a_full_disk_costs_rows_and_no_money(small_disk, impatient, caplog):
    path = small_disk / "ledger.db"
    with caplog.at_level(logging.WARNING), Ledger.open(path, clock=Clock()) as ledger:
        number = 0
        while ledger.health().ok and number < 20_000:
            for _ in range(100):
                number += 1
                ledger.record(record(number, "1"))
            time.sleep(0.02)
        assert "is full" in ledger.health().problem
        assert counted(ledger, number)
        assert sound_copy(path)
        subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True, timeout=20)
        assert wait_for(lambda: ledger.health().ok, 20)
        assert written(ledger, 20)
        assert spent(ledger) == number
    assert select(path, "SELECT count(*) FROM request") == [(number,)]
    assert sound(path)


def sound_copy(path):
    """Sound, looked at where there is room to look."""
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_disk_that_is_full_from_the_start(small_disk, impatient):
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * (1 << 20))
    path = small_disk / "ledger.db"
    with Ledger.open(path, clock=Clock()) as ledger:
        ledger.record(record(1, "2"))
        assert counted(ledger, 2)
        assert "is full" in ledger.health().problem
        filler.unlink()
        assert wait_for(lambda: ledger.health().ok, 20)
        assert written(ledger)
    assert sound(path)


@pytest.mark.parametrize("how", ["ended", "killed"])
def test_a_limit_does_not_begin_anew_because_the_disk_is_full_at_the_start(small_disk, how, caplog):
    """Not even the index of a WAL can be made then; what was spent is read all the same, and commands show it."""
    path = small_disk / "ledger.db"
    if how == "ended":
        with Ledger.open(path, clock=Clock()) as ledger:
            ledger.record(record(1, "3"))
    else:
        program = (
            "import os, sys; from pathlib import Path; from tests.ledger.samples import Clock, record, written\n"
            "from codex_manager.ledger import Ledger\n"
            "ledger = Ledger.open(Path(sys.argv[1]), clock=Clock()); ledger.record(record(1, '3'))\n"
            "os._exit(9 if written(ledger) else 1)\n"
        )
        assert subprocess.run([sys.executable, "-c", program, path], timeout=30, check=False).returncode == 9
        assert path.with_name("ledger.db-wal").stat().st_size
        path.with_name("ledger.db-shm").unlink()
    with contextlib.suppress(OSError), (small_disk / "filler").open("wb", buffering=0) as filler:
        while True:
            filler.write(b"x" * 4096)
    with caplog.at_level(logging.WARNING), Ledger.open(path, clock=Clock()) as ledger:
        assert spent(ledger) == 3
        assert "is full" in ledger.health().problem
        with Reader.open(path) as reader:
            assert reader.usage()[0].usd == 3
        ledger.record(record(2, "1"))
        assert counted(ledger, 4)
        (small_disk / "filler").unlink()
    assert select(path, "SELECT sum(nano) FROM request") == [(4_000_000_000,)]
    assert sound(path)


def test_a_limit_does_not_begin_anew_because_somebody_keeps_the_lock(path, monkeypatch):
    with Ledger.open(path, clock=Clock()) as ledger:
        ledger.record(record(1, "3"))
    monkeypatch.setattr("codex_manager.ledger.ledger.OPEN_PATIENCE_S", 20.0)
    monkeypatch.setattr("codex_manager.ledger.writer.Database", lambda path: Database(path, patience_s=0.05))
    with locked(path), Ledger.open(path, clock=Clock()) as ledger:
        assert not ledger.health().ok
        assert spent(ledger) == 3


# Damage --------------------------------------------------------------------------------------------------------------


def head(path):
    with path.open("r+b") as file:
        file.write(b"not SQLite at all")


def everything(path):
    path.write_bytes(random.Random(1).randbytes(path.stat().st_size))


def cut(path):
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2 - 100)


@pytest.mark.parametrize("damage", [head, everything, cut])
def test_a_damaged_file_is_kept_aside_and_a_new_one_begun(path, damage, impatient, caplog):
    with Ledger.open(path, clock=Clock()) as ledger:
        for number in range(200):
            ledger.record(record(number, "1"))
    damage(path)
    content = path.read_bytes()
    with caplog.at_level(logging.WARNING), Ledger.open(path, clock=Clock()) as ledger:
        ledger.record(record(999, "5"))
        assert written(ledger)
        assert ledger.health().ok
    kept = list(path.parent.glob("ledger.db.damaged-*"))
    kept = [each for each in kept if not each.name.endswith(("-wal", "-shm"))]
    assert [each.read_bytes() for each in kept] == [content]
    assert f"is damaged; it is kept as {kept[0].name} and a new one was begun" in caplog.text.replace(
        "has not the tables of a ledger", "is damaged"
    )
    assert select(path, "SELECT nano FROM request") == [(5_000_000_000,)]
    assert sound(path)
    with Reader.open(path) as reader:
        assert reader.health().damaged == tuple(kept)


def test_damage_in_the_middle_of_a_day_does_not_free_its_limits(path, impatient, caplog):
    """The running proxy knows what was spent, and the new file is told."""
    with caplog.at_level(logging.WARNING), Ledger.open(path, clock=Clock()) as ledger:
        for number in range(300):
            ledger.record(record(number, "1"))
        assert written(ledger)
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        size = path.stat().st_size
        with path.open("r+b") as file:
            file.seek(4096)
            file.write(b"\xff" * (size - 4096))
        ledger.record(record(1000, "5"))
        assert counted(ledger, 305)
        assert written(ledger)
    assert "What was spent so far still counts" in caplog.text
    with Ledger.open(path, clock=Clock()) as ledger:
        assert spent(ledger) == 305
    assert sound(path)


def test_two_processes_that_find_the_damage_move_one_file(path, impatient):
    with Ledger.open(path, clock=Clock()) as one, Ledger.open(path, clock=Clock()) as other:
        for number in range(100):
            one.record(record(number, "1"))
        assert counted(other, 100)
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with path.open("r+b") as file:
            file.seek(0)
            file.write(b"\xff" * path.stat().st_size)
        one.record(record(1001, "1"))
        other.record(record(1002, "1"))
        assert counted(one, 102)
        assert counted(other, 102)
    assert len([each for each in path.parent.glob("*.damaged-*") if not each.name.endswith(("-wal", "-shm"))]) == 1
    assert sound(path)


def test_what_can_still_be_read_of_a_damaged_file_counts_on(path, caplog):
    """A proxy that starts after the damage takes over what the sums say."""
    with Ledger.open(path, clock=Clock()) as ledger:
        ledger.record(record(1, "7"))
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE VIEW v AS SELECT 1")
    with caplog.at_level(logging.WARNING), Ledger.open(path, clock=Clock()) as ledger:
        assert ledger.opening.damaged is not None
        assert spent(ledger) == 7
    assert "has not the tables of a ledger" in caplog.text


def test_another_programs_database_is_left_alone(path, impatient):
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE precious (a)")
    before = path.read_bytes()
    with Ledger.open(path, clock=Clock()) as ledger:
        ledger.record(record(1, "2"))
        assert counted(ledger, 2)
        assert "is a database, but not a ledger" in ledger.health().problem
        ledger.close(timeout=0.2)
    assert path.read_bytes() == before


# Many at once --------------------------------------------------------------------------------------------------------


READS = """
import sys, time
from pathlib import Path
from codex_manager.ledger import Clerk, Reader

path, seconds, writes = Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3] == "writes"
end, count = time.monotonic() + seconds, 0
while time.monotonic() < end:
    with Reader.open(path) as reader:
        for by in ("account", "day", ("hour", "model"), ()):
            reader.usage(by)
        reader.totals(time.time())
        reader.requests(limit=50)
        reader.health()
    if writes and count % 5 == 0:
        Clerk(path).learn_domain("somebody", f"org-{count}", None)
    count += 1
print(count)
"""


@pytest.mark.parametrize(
    "seconds",
    [
        pytest.param(0.4, id="shortly"),
        pytest.param(LONG_S, id="long", marks=[pytest.mark.slow, pytest.mark.timeout(500)]),
    ],
)
def test_nobody_meets_a_locked_database(path, seconds):
    """Two commands ask all the time, one of them writes, while the proxy does. CODEX_MANAGER_POLL_S=300 makes it five minutes."""
    with Ledger.open(path) as ledger:
        commands = [
            subprocess.Popen(
                [sys.executable, "-c", READS, path, str(seconds), what],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
            for what in ("reads", "writes")
        ]  # fmt: skip
        number = 0
        while any(command.poll() is None for command in commands):
            for _ in range(20):
                number += 1
                ledger.reserved(reservation(f"r{number}"))
                ledger.record(
                    record(number, id=f"r{number}", time=time.time(), open=number % 100 == 0, object_id=f"o{number}")
                )
            time.sleep(0.02)
        for command in commands:
            out, error = command.communicate(timeout=30)
            assert (command.returncode, error) == (0, "")
            assert int(out) >= 1
        assert ledger.health().ok
        assert wait_for(lambda: not ledger.health().waiting, 20)
        assert ledger.health().dropped == 0
    assert select(path, "SELECT count(*) FROM request") == [(number,)]
    assert sound(path)


def test_a_lock_of_a_session_that_is_held_by_nobody_is_cleared(path):
    with Ledger.open(path, clock=Clock()):
        pass
    stray = path.with_name("ledger.db.0123.live")
    lock = take(stray)
    assert lock is not None
    lock.release()
    with Ledger.open(path, clock=Clock()) as ledger:
        assert ledger.opening.killed == 0


def test_a_busy_loop_does_not_starve_the_writer(path):
    """A thread that never lets go of the interpreter by itself; rows are on disk all the same, and soon."""
    stop = threading.Event()

    def busy():
        while not stop.is_set():
            sum(range(1000))

    with Ledger.open(path, clock=Clock()) as ledger:
        thread = threading.Thread(target=busy)
        thread.start()
        try:
            for number in range(500):
                ledger.record(record(number))
            assert written(ledger, 20)
        finally:
            stop.set()
            thread.join(10)
