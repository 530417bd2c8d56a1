"""Where the master key comes from when the proxy starts by itself."""

from collections.abc import Iterator

from codex_manager.doctor.finding import Finding, bad, ok, warn
from codex_manager.doctor.patient import KEYRING_S, Patient, command
from codex_manager.vault.errors import CredentialError, KeyringError
from codex_manager.vault.masterkey import VARIABLE, credential
from codex_manager.vault.oskeyring import Keyring
from codex_manager.vault.store import has_vault
from codex_manager.vault.upkeep import read_header


__all__ = ["check"]


def check(patient: Patient) -> Iterator[Finding]:
    """The first place that has one decides, so the others are not asked."""
    if patient.environ.get(VARIABLE):
        yield ok("master key", f"the master key comes from {VARIABLE}")
        return
    try:
        if credential(patient.environ) is not None:
            yield ok("master key", "the master key is handed over by systemd")
            return
    except CredentialError as error:
        yield bad("master key", str(error), error.hint)
        return
    file = patient.paths.vault_file
    name = read_header(file, even_locked=True).keyring_name if has_vault(file) else "nothing yet"
    try:
        found = Keyring(timeout_s=KEYRING_S).get(name)
    except KeyringError as error:
        yield warn("master key", f"{error}; a proxy that starts without a terminal cannot open the vault", error.hint)
        return
    if found is not None:
        yield ok("master key", "the system's keyring holds the master key")
    elif has_vault(file):
        yield warn(
            "master key",
            "the system's keyring does not hold the master key; a proxy that starts without a terminal cannot open the vault",
            command("vault", "unlock", "--remember"),
        )
    else:
        yield ok("master key", "the system's keyring is there for the master key")
