"""Another process is asked, awaited and killed by a handle, never by an id that may be somebody else's by now."""

import os
import subprocess

import pytest

from codex_manager_cli.other_process import grasped
from codex_manager_cli.windows_process import WindowsProcess


@pytest.fixture
def sleeper():
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait(5)


@pytest.fixture(params=["handle", "id"])
def way(request, monkeypatch):
    if request.param == "id":
        monkeypatch.delattr(os, "pidfd_open", raising=False)
    elif not hasattr(os, "pidfd_open"):
        pytest.skip("no handles here")
    return request.param


@pytest.mark.parametrize("end", ["terminate", "kill"])
def test_it_ends_when_asked(end, way, sleeper):
    with grasped(sleeper.pid) as process:
        assert process is not None
        assert not process.ended(0.01)
        getattr(process, end)()
        assert sleeper.wait(5) != 0
        assert process.ended(5)
        process.terminate()  # nobody is hit any more
        process.kill()


def test_nobody_is_nobody(way, sleeper):
    sleeper.kill()
    sleeper.wait(5)
    with grasped(sleeper.pid) as process:
        assert process is None


def test_where_the_kernel_refuses_handles_ids_are_used(monkeypatch, sleeper):
    def refused(_):
        raise PermissionError

    monkeypatch.setattr(os, "pidfd_open", refused, raising=False)
    with grasped(sleeper.pid) as process:
        assert process is not None
        assert not process.ended(0)


class Kernel32:
    """What is asked of Windows."""

    def __init__(self, handle=77):
        self.handle, self.done, self.over = handle, [], False

    def OpenProcess(self, rights, inherits, pid):
        self.done.append(("open", hex(rights), inherits, pid))
        return self.handle

    def WaitForSingleObject(self, handle, milliseconds):
        self.done.append(("wait", handle, milliseconds))
        return 0 if self.over else 0x102

    def TerminateProcess(self, handle, status):
        self.done.append(("kill", handle, status))
        self.over = True

    def CloseHandle(self, handle):
        self.done.append(("close", handle))


def test_on_windows_everything_goes_through_one_handle():
    system = Kernel32()
    process = WindowsProcess.of(5, system)
    assert process is not None
    assert process.terminate() is False  # a file asks there
    assert not process.ended(0.25)
    process.kill()
    assert process.ended(-1)
    process.close()
    assert system.done == [
        ("open", "0x100001", 0, 5), ("wait", 77, 250), ("kill", 77, 1), ("wait", 77, 0), ("close", 77),
    ]  # fmt: skip
    assert WindowsProcess.of(5, Kernel32(handle=0)) is None
