"""A hardened process leaves no core and cannot be looked into."""

import subprocess
import sys

import pytest

from codex_manager.vault.process import harden


CODE = """
import resource
from pathlib import Path
from codex_manager.vault.process import harden
print(harden())
print(resource.getrlimit(resource.RLIMIT_CORE))
print(Path("/proc/self/environ").stat().st_uid, Path("/proc/self/status").read_text().count("Pid:") > 0)
import ctypes
print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))  # PR_GET_DUMPABLE
"""


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_DUMPABLE is Linux's")
def test_core_dumps_are_off_and_memory_is_closed():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=30, check=True)
    lines = done.stdout.splitlines()
    assert lines[0] == "('no core dumps', 'not dumpable')"
    assert lines[1] == "(0, 0)"
    assert lines[3] == "0"


def test_it_says_what_it_did():
    code = "from codex_manager.vault.process import harden; print(harden())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.startswith("(")
    assert callable(harden)


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_DUMPABLE is Linux's")
def test_a_program_that_is_started_keeps_its_own_core_limit():
    """`run` starts other people's programs; what they do with a crash is their business."""
    code = """
import resource, subprocess, sys
from codex_manager.vault.process import harden
before = resource.getrlimit(resource.RLIMIT_CORE)
print(harden(starts_programs=True))
child = "import ctypes, resource; print(resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"
told = subprocess.run([sys.executable, "-c", child], capture_output=True, text=True, check=True).stdout
assert told.strip() == f"{before} 1", told
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip() == "('not dumpable',)"
