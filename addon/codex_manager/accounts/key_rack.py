"""Local keys for clients, for whoever manages them over a page: made, limited, revoked.

Blocks, as the desk does: call it in a thread. Law: a key is handed out once, when it is made; the vault keeps only its digest. Usage
and limits belong to the name, so a key that is made again under its name goes on where the old one stopped.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Final

from codex_manager.accounts.errors import FieldsError
from codex_manager.accounts.fields import FieldError, check_label
from codex_manager.accounts.form import checked
from codex_manager.core.secret import Secret
from codex_manager.vault.errors import KeyNameTakenError
from codex_manager.vault.store import ClientKey, Vault


__all__ = ["DEFAULT_CLIENT", "KeyRack"]

DEFAULT_CLIENT: Final = "default"
"""What the ledger calls the clients that send `proxy.api_key`."""
CAN_BE_SET: Final = frozenset({"models", "daily_limit_usd", "monthly_limit_usd"})


class KeyRack:
    """No state of its own."""

    def __init__(self, open_vault: Callable[[], AbstractContextManager[Vault]]) -> None:
        """`open_vault` lends the vault, open; where there is none it may make one."""
        self._open_vault = open_vault

    def listed(self) -> list[ClientKey]:
        """All of them, oldest first.

        Raises:
            VaultError: it is locked, or does not open.
        """
        with self._open_vault() as vault:
            return vault.client_keys()

    def add(self, values: Mapping[str, object]) -> tuple[ClientKey, Secret]:
        """Make a key for the client `name`, of a form's values; the key itself is returned this once.

        Raises:
            FieldsError: its name is taken or unusable, or a limit cannot be; nothing was made.
        """
        wrong: dict[str, str] = {}
        fields: dict[str, Any] = {}
        name = ""
        try:
            name = check_label(values.get("name", ""), "name")
        except FieldError as error:
            wrong["name"] = str(error)
        if name.casefold() == DEFAULT_CLIENT:
            wrong["name"] = f"{name!r} is the name of the clients that send `proxy.api_key`"
        try:
            fields = _allowed({field: value for field, value in values.items() if field != "name"})
        except FieldsError as error:
            wrong |= error.fields
        if wrong:
            raise FieldsError(wrong)
        try:
            with self._open_vault() as vault:
                return vault.add_client_key(name, **fields)
        except KeyNameTakenError as error:
            raise FieldsError({"name": str(error)}) from None

    def edit(self, key_id: str, values: Mapping[str, object]) -> ClientKey:
        """Change what a key may do; the key itself stays good.

        Raises:
            FieldsError, ClientKeyNotFoundError: nothing was changed.
        """
        fields = _allowed(values)
        with self._open_vault() as vault:
            return vault.edit_client_key(key_id, **fields)

    def revoke(self, key_id: str) -> ClientKey:
        """End it.

        Raises:
            ClientKeyNotFoundError: it has ended already.
        """
        with self._open_vault() as vault:
            return vault.revoke_client_key(key_id)


def _allowed(values: Mapping[str, object]) -> dict[str, Any]:
    strange = values.keys() - CAN_BE_SET
    if strange:
        raise FieldsError(dict.fromkeys(sorted(strange), "client keys have no such field that can be set"))
    return checked(values)
