"""The command line starts fast, because a command loads only what it uses; the core loads nothing at all."""

import json
import os
import statistics
import subprocess
import sys
import time

import pytest


HEAVY = {
    "mitmproxy",
    "aiohttp",
    "textual",
    "pydantic",
    "cryptography",
    "keyring",
    "openai",
    "argon2",
    "ruamel",
    "uvloop",
    "tornado",
    "genai_prices",
    "prometheus_client",
}
SEALING = {"cryptography", "argon2"}  # the verbs on accounts name the vault's types; measured at 15 ms of 110
NETWORK = {"mitmproxy", "aiohttp", "textual", "openai", "uvloop", "tornado"}

RECORD = """
import json, sys
sys.argv = ["codex-manager", *sys.argv[1:]]
from codex_manager_cli.main import main
try:
    main()
except SystemExit as end:
    status = end.code
sys.stdout.flush()
sys.stderr.write("\\n" + json.dumps({"status": status, "modules": sorted({name.split(".")[0] for name in sys.modules})}))
"""


def loaded(*arguments: str) -> set[str]:
    """The top-level packages a command loads."""
    result = subprocess.run(
        [sys.executable, "-c", RECORD, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    said = json.loads(result.stderr.splitlines()[-1])
    assert said["status"] == 0, result.stderr
    return set(said["modules"])


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], ["proxy", "--help"], ["config", "--help"], ["config", "path"], ["completion", "bash"],
     ["usage", "--help"], ["prices", "--help"], ["tui", "--help"], ["demo", "--help"]],
)  # fmt: skip
def test_help_loads_nothing_heavy(arguments):
    assert loaded(*arguments) & HEAVY == set()


@pytest.mark.parametrize(
    "arguments", [["list", "--help"], ["add", "--help"], ["vault", "--help"], ["import", "--help"]]
)
def test_help_on_accounts_loads_no_more_than_the_vaults_ciphers(arguments):
    assert loaded(*arguments) & HEAVY <= SEALING


@pytest.mark.parametrize("arguments", [["list"], ["list", "--json"], ["config", "show"]])
def test_reading_commands_load_no_network(arguments):
    assert loaded(*arguments) & NETWORK == set()


def test_the_core_loads_only_the_standard_library():
    code = (
        "import importlib, json, pkgutil, sys\n"
        "before = set(sys.modules)\n"  # what site and the editable install brought
        "import codex_manager.core as core\n"
        "for module in pkgutil.walk_packages(core.__path__, 'codex_manager.core.'): importlib.import_module(module.name)\n"
        "print(json.dumps(sorted({name.split('.')[0] for name in set(sys.modules) - before})))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    foreign = set(json.loads(result.stdout)) - set(sys.stdlib_module_names) - {"codex_manager"}
    assert foreign == set()


def test_help_starts_within_the_wink_of_an_eye(capsys):
    """The aim is 150 ms; what it takes on this machine is printed, not judged, for machines differ."""
    code = "import sys; sys.argv = ['codex-manager', '--help']; from codex_manager_cli.main import main; main()"
    taken = []
    for _ in range(5):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, timeout=60, check=True, env=os.environ)
        taken.append((time.perf_counter() - started) * 1000)
    with capsys.disabled():
        print(f"\ncodex-manager --help: median {statistics.median(taken):.0f} ms of {len(taken)} (aim: 150 ms)")
    assert all(milliseconds > 0 for milliseconds in taken)


def test_the_proxy_leaves_out_mitmproxys_own_addons_and_finds_those_it_names():
    code = (
        "import json, sys\n"
        "from codex_manager.proxy.lean_addons import leave_out_mitmproxys_own\n"
        "leave_out_mitmproxys_own()\n"
        "import mitmproxy.master\n"
        "from mitmproxy.addons.proxyserver import Proxyserver\n"
        "from mitmproxy.addons import termlog\n"
        "assert mitmproxy.master.termlog is termlog\n"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    loaded_now = set(json.loads(result.stdout))
    assert "mitmproxy" in loaded_now
    assert loaded_now & {"flask", "ldap3", "werkzeug"} == set()
