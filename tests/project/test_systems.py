"""Windows and macOS, as far as Linux can tell: every module loads there, places and keyrings are those of the system."""

import subprocess
import sys

from pathlib import PurePosixPath, PureWindowsPath
from types import SimpleNamespace

import keyring
import platformdirs.macos
import platformdirs.windows
import pytest

from keyring.backends import Windows, macOS

from codex_manager.config import paths
from codex_manager.core.secret import Secret
from codex_manager.vault.oskeyring import SERVICE, Keyring


# --- modules


LOAD = """
import importlib, os, pathlib, pkgutil, signal, sys, types, warnings

OURS = ("codex_manager", "codex_manager_cli", "codex_manager_certs")
names = [
    module.name
    for package in map(importlib.import_module, OURS)
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + ".")
    if not module.name.endswith("__main__")
]
for name in names:
    importlib.import_module(name)  # brings what other people's modules need of this system
for name in [name for name in sys.modules if name.split(".")[0] in OURS]:
    del sys.modules[name]

sys.platform = sys.argv[1]
absent = ["winreg", "msvcrt"]
if sys.platform == "win32":
    absent = ["fcntl", "termios", "tty", "pty", "pwd", "grp", "resource", "syslog", "uvloop"]
    sys.modules["msvcrt"] = types.SimpleNamespace(LK_NBLCK=2, LK_UNLCK=0, locking=None, get_osfhandle=None)
    os.name = "nt"
    for module in {pathlib, sys.modules[pathlib.Path.__module__]}:
        module.WindowsPath = module.PosixPath  # paths stay those of this system
    for function in ("fork", "getuid", "geteuid", "setsid", "fchmod", "chown", "posix_spawn", "pidfd_open", "waitid", "killpg"):
        delattr(os, function)
    for name in [name for name in vars(signal) if name.startswith("SIG") or name.startswith("sig") or name.startswith("pthread")]:
        if name not in {"SIGINT", "SIGTERM", "SIGABRT", "SIGFPE", "SIGILL", "SIGSEGV", "SIG_DFL", "SIG_IGN", "signal"}:
            delattr(signal, name)
for name in absent:
    sys.modules[name] = None
warnings.simplefilter("ignore")  # mitmproxy knows our hooks from the first time
failed = []
for name in names:
    try:
        importlib.import_module(name)
    except Exception as error:
        failed.append(f"{name}: {error!r}")
print(len(names), *failed, sep="\\n")
"""


@pytest.mark.slow
@pytest.mark.parametrize("system", ["win32", "darwin"])
def test_every_module_loads_without_what_that_system_does_not_have(system):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LOAD, system], capture_output=True, text=True, timeout=60, check=False
    )
    count, *failed = done.stdout.splitlines() or ["0", done.stderr]
    assert failed == []
    assert int(count) > 200


# --- places


def test_places_on_macos(monkeypatch):
    monkeypatch.setenv("HOME", "/Users/me")
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    found = located(monkeypatch, platformdirs.macos.MacOS)
    support = PurePosixPath("/Users/me/Library/Application Support/codex-manager")
    assert PurePosixPath(found.config_file) == support / "config.yaml"
    assert PurePosixPath(found.vault_file) == support / "vault.db"
    assert PurePosixPath(found.authority_dir) == support / "ca"


def test_places_on_windows_are_local_and_not_roaming(monkeypatch):
    """A vault that roams would be copied while it is written."""
    monkeypatch.setenv("WIN_PD_OVERRIDE_LOCAL_APPDATA", r"C:\Users\me\AppData\Local")
    found = located(monkeypatch, platformdirs.windows.Windows)
    folder = PureWindowsPath(r"C:\Users\me\AppData\Local\codex-manager")
    assert PureWindowsPath(str(found.config_dir)) == PureWindowsPath(str(found.data_dir)) == folder
    assert PureWindowsPath(str(found.ledger_file)) == folder / "ledger.db"


def located(monkeypatch, system):
    """Our places as this class of platformdirs, the one of that system, knows them."""
    monkeypatch.setattr(
        platformdirs, "user_config_dir", lambda *args, **kwargs: system(*args, **kwargs).user_config_dir
    )
    monkeypatch.setattr(platformdirs, "user_data_dir", lambda *args, **kwargs: system(*args, **kwargs).user_data_dir)
    return paths.Paths.locate({})


# --- keyrings: our face over the system's own backend, with the system's calls played


@pytest.fixture(params=["macOS", "Windows"])
def system_keyring(request, monkeypatch):
    """The backend that keyring uses there, in use here; what it keeps."""
    kept: dict[tuple[str, str], str] = {}
    backend = keychain(monkeypatch, kept) if request.param == "macOS" else credential_manager(monkeypatch, kept)
    monkeypatch.setattr(keyring, "get_keyring", lambda: backend)
    return kept


def keychain(monkeypatch, kept):
    class Error(Exception):
        pass

    class NotFoundError(Error):
        pass

    class KeychainDeniedError(Error):
        pass

    def find(_chain, service, name):
        if (service, name) not in kept:
            raise NotFoundError
        return kept[service, name]

    calls = SimpleNamespace(
        Error=Error,
        NotFound=NotFoundError,
        KeychainDenied=KeychainDeniedError,
        find_generic_password=find,
        set_generic_password=lambda _chain, service, name, text: kept.update({(service, name): text}),
        delete_generic_password=lambda _chain, service, name: kept.pop((service, name)),
    )
    monkeypatch.setattr(macOS, "api", calls, raising=False)
    return macOS.Keyring()


def credential_manager(monkeypatch, kept):
    class MissingError(Exception):
        def __init__(self, call):
            super().__init__(call)
            self.winerror, self.funcname = 1168, call

    stored = {}

    def write(credential, _flags):
        stored[credential["TargetName"]] = credential
        assert len(credential["CredentialBlob"].encode("utf-16-le")) <= 2560, "what Windows takes at the most"
        kept.clear()
        kept.update({(SERVICE, one["UserName"]): one["CredentialBlob"] for one in stored.values()})

    def read(*, Type, TargetName):
        if TargetName not in stored:
            raise MissingError("CredRead")
        return stored[TargetName] | {"CredentialBlob": stored[TargetName]["CredentialBlob"].encode("utf-16")}

    def delete(*, Type, TargetName):
        stored.pop(TargetName)

    calls = {
        "CredRead": read,
        "CredWrite": write,
        "CredDelete": delete,
        "CRED_TYPE_GENERIC": 1,
        "CRED_PERSIST_ENTERPRISE": 3,
    }
    monkeypatch.setattr(Windows, "win32cred", SimpleNamespace(**calls), raising=False)
    monkeypatch.setattr(Windows, "pywintypes", SimpleNamespace(error=MissingError), raising=False)
    return Windows.WinVaultKeyring()


def test_a_master_key_is_kept_found_and_forgotten(system_keyring):
    ring = Keyring(timeout_s=20)
    assert ring.get("vault-one") is None
    ring.set("vault-one", Secret("k" * 43))
    ring.set("vault-two", Secret("z" * 43))
    assert ring.get("vault-one") == Secret("k" * 43)
    assert ring.get("vault-two") == Secret("z" * 43)
    assert system_keyring[SERVICE, "vault-one"] == "k" * 43
    assert ring.delete("vault-one") is True
    assert ring.get("vault-one") is None
    assert ring.delete("vault-one") is False
    assert ring.get("vault-two") == Secret("z" * 43)
