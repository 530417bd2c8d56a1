"""Commands under way: counted while they live, and what they leave when they are killed is found once."""

import signal
import subprocess
import sys
import uuid

from typing import Any

from codex_manager.config import tenancy


Popen: Any = subprocess.Popen  # its pipes are there

ENTER = (
    "import sys; from pathlib import Path; from codex_manager.config import tenancy;"
    " tenant = tenancy.enter(Path(sys.argv[1])); tenant.note(sys.argv[2]); print('in', flush=True); sys.stdin.read()"
)


def left(folder):
    with tenancy.remains(folder) as found:
        return [each.client_key for each in found]


def test_a_command_is_under_way_until_it_leaves(tmp_path):
    assert not tenancy.any_living(tmp_path)
    tenant = tenancy.enter(tmp_path)
    tenant.note(str(uuid.uuid4()))
    assert tenancy.any_living(tmp_path)
    assert left(tmp_path) == []
    assert tenant.path.stat().st_mode & 0o777 == 0o600
    tenant.leave(cleared=True)
    tenant.leave(cleared=True)
    assert not tenancy.any_living(tmp_path)
    assert left(tmp_path) == []
    assert (tmp_path / "runs").stat().st_mode & 0o777 == 0o700


def test_what_could_not_be_cleared_stays_for_the_next(tmp_path):
    key = str(uuid.uuid4())
    tenant = tenancy.enter(tmp_path)
    tenant.note(key)
    tenant.leave(cleared=False)
    assert left(tmp_path) == [key]
    with tenancy.remains(tmp_path) as found:
        for each in found:
            each.clear()
    assert left(tmp_path) == []


def test_a_killed_command_leaves_its_note(tmp_path):
    key = str(uuid.uuid4())
    with Popen(
        [sys.executable, "-c", ENTER, str(tmp_path), key], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "in\n"
        assert tenancy.any_living(tmp_path)
        process.send_signal(signal.SIGKILL)
        process.wait(5)
    assert not tenancy.any_living(tmp_path)
    assert left(tmp_path) == [key]


def test_a_note_that_is_not_an_id_names_no_key(tmp_path):
    tenant = tenancy.enter(tmp_path)
    tenant.path.write_text("work; drop everything")
    tenant.leave(cleared=False)
    assert left(tmp_path) == [None]
