"""What each store of trusted certificates needs to take our authority in, and to forget it.

Most clients need none of this: variables (`environment`) do. It is for programs that read the system's store only.
Law: everything that is put into a store carries our name (`codex-manager-…`), so that all of it is found again and taken
out, also what an earlier authority left; removing what is not there is no error.
"""

import shutil

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from codex_manager_certs.authority import Authority
from codex_manager_certs.machine import Machine, Step


__all__ = ["Plan", "forget_offered", "install_plans", "offered", "remove_plans"]

_PREFIX = "codex-manager-"
_FOLDERS = (
    # command, folder for local authorities, what makes the system read it
    ("update-ca-certificates", "usr/local/share/ca-certificates", ("update-ca-certificates",)),  # Debian, Alpine, SUSE
    ("update-ca-trust", "etc/pki/ca-trust/source/anchors", ("update-ca-trust", "extract")),  # Fedora, RHEL
    ("update-ca-trust", "etc/ca-certificates/trust-source/anchors", ("update-ca-trust", "extract")),  # Arch
)
_NSS = (
    ".pki/nssdb",  # Chromium and Chrome on Linux
    ".mozilla/firefox/*",
    "snap/firefox/common/.mozilla/firefox/*",
    "Library/Application Support/Firefox/Profiles/*",
)


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps for one store; without steps, `note` says what is missing."""

    store: str
    steps: tuple[Step, ...]
    note: str = ""


def offered(authority: Authority) -> list[Path]:
    """Every certificate that was ever offered to a store, one a file; those that sign now or next are put there first."""
    folder = _folder(authority)
    with authority.shelf.changing():
        folder.mkdir(mode=0o700, exist_ok=True)
        for certificate in _current(authority):
            authority.shelf.publish(_file(folder, certificate), certificate.public_bytes(serialization.Encoding.PEM))
    return sorted(folder.glob(f"{_PREFIX}*.crt"))


def install_plans(authority: Authority, machine: Machine) -> list[Plan]:
    """How this machine's stores come to trust the authority and its successor."""
    offered(authority)
    files = [_file(_folder(authority), certificate) for certificate in _current(authority)]
    plans = []
    add: tuple[str, ...]
    if machine.platform == "darwin":
        keychain = _keychain(machine)
        add = ("security", "add-trusted-cert", "-r", "trustRoot", "-p", "ssl", "-k", keychain)
        plans.append(Plan("the login keychain of macOS", tuple(Step((*add, str(file))) for file in files)))
    elif machine.platform == "win32":
        add = ("certutil", "-user", "-f", "-addstore", "Root")
        plans.append(Plan("the user's root store of Windows", tuple(Step((*add, str(file))) for file in files)))
    elif found := _system_folder(machine):
        folder, update = found
        copies = [
            Step(("install", "-m", "0644", str(file), str(folder / file.name)), as_root=True) for file in files
        ]  # the mode is for the copy in the system's folder, which all users read
        plans.append(Plan("the system's store", (*copies, Step(update, as_root=True))))
    else:
        plans.append(Plan("the system's store", (), "neither update-ca-certificates nor update-ca-trust was found"))
    for database in _nss_databases(machine):
        add = ("certutil", "-d", f"sql:{database}", "-A", "-t", "C,,")
        steps = tuple(Step((*add, "-n", file.stem, "-i", str(file))) for file in files)
        plans.append(_nss_plan(machine, database, steps))
    return plans


def remove_plans(authority: Authority, machine: Machine) -> list[Plan]:
    """How this machine's stores forget every authority of ours."""
    files = offered(authority)
    plans = []
    forget: tuple[str, ...]
    if machine.platform in {"darwin", "win32"}:
        forget = (
            ("security", "delete-certificate", "-t", "-Z")
            if machine.platform == "darwin"
            else ("certutil", "-user", "-delstore", "Root")
        )
        target = (_keychain(machine),) if machine.platform == "darwin" else ()
        steps = tuple(Step((*forget, _sha1(file), *target), may_fail=True) for file in files)
        plans.append(Plan("the login keychain of macOS" if target else "the user's root store of Windows", steps))
    elif found := _system_folder(machine):
        folder, update = found
        ours = [str(path) for path in sorted(folder.glob(f"{_PREFIX}*.crt"))]
        removal = (Step(("rm", "-f", *ours), as_root=True), Step(update, as_root=True)) if ours else ()
        plans.append(Plan("the system's store", removal, "" if ours else "nothing of ours is in it"))
    for database in _nss_databases(machine):
        forget = ("certutil", "-d", f"sql:{database}", "-D", "-n")
        steps = tuple(Step((*forget, file.stem), may_fail=True) for file in files)
        plans.append(_nss_plan(machine, database, steps))
    return plans


def forget_offered(authority: Authority) -> None:
    """After all stores forgot them."""
    shutil.rmtree(_folder(authority), ignore_errors=True)


def _current(authority: Authority) -> Iterable[x509.Certificate]:
    state = authority.state
    return [state.active.certificate, *([state.next.certificate] if state.next else [])]


def _folder(authority: Authority) -> Path:
    return authority.shelf.folder / "offered"


def _file(folder: Path, certificate: x509.Certificate) -> Path:
    return folder / f"{_PREFIX}{certificate.fingerprint(hashes.SHA256()).hex()[:12]}.crt"


def _sha1(file: Path) -> str:
    """How both keychains name a certificate."""
    certificate = x509.load_pem_x509_certificate(file.read_bytes())
    return certificate.fingerprint(hashes.SHA1()).hex().upper()  # noqa: S303 - their name for it, not a proof of anything


def _keychain(machine: Machine) -> str:
    return str(machine.home / "Library/Keychains/login.keychain-db")


def _system_folder(machine: Machine) -> tuple[Path, tuple[str, ...]] | None:
    for command, name, update in _FOLDERS:
        folder = machine.root / name
        if machine.which(command) and folder.is_dir():
            return folder, update
    return None


def _nss_databases(machine: Machine) -> Iterator[Path]:
    if machine.platform != "win32":  # its `certutil` is another program
        for pattern in _NSS:
            yield from (file.parent for file in sorted(machine.home.glob(f"{pattern}/cert9.db")))


def _nss_plan(machine: Machine, database: Path, steps: tuple[Step, ...]) -> Plan:
    missing = (
        ""
        if machine.which("certutil")
        else "needs NSS's certutil (Debian: libnss3-tools, Fedora: nss-tools, macOS: nss)"
    )
    return Plan(f"the browser's database {database}", () if missing else steps, missing)
