"""Whether the vault is there, opens, and every record in it is sound."""

from collections.abc import Iterator

from codex_manager.doctor.finding import Finding, bad, ok, warn
from codex_manager.doctor.patient import Patient, command
from codex_manager.vault.errors import NoMasterKeyError, VaultError
from codex_manager.vault.store import has_vault
from codex_manager.vault.upkeep import is_locked


__all__ = ["check"]


def check(patient: Patient) -> Iterator[Finding]:
    """From the file to what is in it."""
    file = patient.paths.vault_file
    try:
        if not has_vault(file):
            yield warn("vault", f"there is no vault at {file} yet", f"make one: {command('init')}")
            return
        if is_locked(file):
            yield warn("vault", "the vault is locked, so no account serves", command("vault", "unlock"))
            return
        with patient.vault() as vault:
            report = vault.verify()
            if report.ok:
                patient.accounts = vault.accounts()
    except NoMasterKeyError as error:
        yield warn("vault", f"the vault could not be opened to look at it: {error}", error.hint)
        return
    except VaultError as error:
        yield bad("vault", str(error), error.hint)
        return
    for problem in report.problems:
        yield bad("vault", problem, f"put back a backup: {command('vault', 'restore', 'FILE')}")
    if not report.ok:
        return
    keys = f", {report.client_keys} client keys" if report.client_keys else ""
    yield ok("vault", f"the vault opens and every record is sound: {_count(report.accounts)}{keys}")
    if not report.accounts:
        yield warn("vault", "there are no accounts", f"add the first: {command('add', 'LABEL')}")
    elif not any(account.enabled for account in patient.accounts):
        yield warn("vault", "every account is disabled, so none serves", command("enable", patient.accounts[0].label))


def _count(accounts: int) -> str:
    return "1 account" if accounts == 1 else f"{accounts} accounts"
