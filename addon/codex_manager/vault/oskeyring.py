"""A thin typed face over the operating system's keyring: get, set, delete one secret by name.

What it knows: how keyring backends fail. Laws: a backend that keeps nothing (null, fail) or keeps it readable (plaintext
files) is refused by name, inside a chain as well; what was set is read back, because a backend may accept and forget;
every call runs in a thread with a time limit, because a desktop may be asking somebody who is not there. Use it at
start-up and in commands, never while a request is carried.

The keyring library is imported on first use: it is slow to load and rarely needed when CAM_MASTER_KEY is set.
"""

import contextlib
import queue
import threading

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from codex_manager.core.secret import Secret
from codex_manager.vault.errors import (
    KeyringError,
    KeyringLockedError,
    KeyringMissingError,
    KeyringRefusedError,
    KeyringTimeoutError,
)


if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

__all__ = ["SERVICE", "Keyring"]

SERVICE: Final = "codex-manager"
TIMEOUT_S: Final = 60.0  # time to type a password into a desktop prompt
INSTEAD: Final = "set CAM_MASTER_KEY, or type the master key when asked"


class Keyring:
    """The keyring of this session."""

    def __init__(self, *, timeout_s: float = TIMEOUT_S, may_ask: bool = True) -> None:
        """`may_ask`: a keyring that is locked may have its owner asked for a password; else it counts as locked."""
        self._timeout_s = timeout_s
        self._may_ask = may_ask

    def get(self, name: str) -> Secret | None:
        """The secret of that name, or None.

        Raises:
            KeyringError: one of its kinds.
        """

        def ask() -> Secret | None:
            backend = _backend()
            if not self._may_ask and _would_ask(backend):
                raise KeyringLockedError("the keyring is locked, or would ask", hint=INSTEAD)
            text = backend.get_password(SERVICE, name)
            return Secret(text) if text else None

        return self._call(ask)

    def set(self, name: str, secret: Secret) -> None:
        """Keep a secret, and see that it was kept.

        Raises:
            KeyringRefusedError: it was not kept.
            KeyringError: one of the other kinds.
        """

        def keep() -> None:
            backend = _backend()
            backend.set_password(SERVICE, name, secret.reveal())
            if Secret(backend.get_password(SERVICE, name) or "") != secret:
                raise KeyringRefusedError(f"the keyring {_name(backend)} did not keep what it was given", hint=INSTEAD)

        self._call(keep)

    def delete(self, name: str) -> bool:
        """Remove a secret; whether there was one.

        Raises:
            KeyringError: one of its kinds.
        """

        def remove() -> bool:
            backend = _backend()
            if backend.get_password(SERVICE, name) is None:
                return False
            backend.delete_password(SERVICE, name)
            return True

        return self._call(remove)

    def _call[T](self, function: Callable[[], T]) -> T:
        outcome: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()

        def run() -> None:
            try:
                outcome.put((function(), None))
            except BaseException as error:  # noqa: BLE001 - it is raised again in the caller's thread
                outcome.put((None, error))

        # A daemon: a prompt that nobody answers must not keep the process from ending.
        threading.Thread(target=run, name="keyring", daemon=True).start()
        try:
            value, error = outcome.get(timeout=self._timeout_s)
        except queue.Empty:
            raise KeyringTimeoutError(
                f"the keyring did not answer within {self._timeout_s:g} s; a prompt may be waiting on the desktop",
                hint=INSTEAD,
            ) from None
        if error is not None:
            raise _sentence(error) from None
        return value  # type: ignore[return-value]  # without an error it is what `function` returned


def _backend() -> "KeyringBackend":
    """The backend in use, or of a chain the first that keeps secrets.

    Raises:
        KeyringRefusedError: none does.
    """
    import keyring

    from keyring.backends import chainer, fail

    chosen = keyring.get_keyring()
    if isinstance(chosen, fail.Keyring):
        raise KeyringMissingError("there is no keyring service in this session", hint=INSTEAD)
    offered: list[KeyringBackend] = list(chosen.backends) if isinstance(chosen, chainer.ChainerBackend) else [chosen]
    for backend in offered:
        if not _keeps_nothing_safe(backend):
            return backend
    names = ", ".join(_name(backend) for backend in offered) or _name(chosen)
    raise KeyringRefusedError(f"the keyring on offer does not keep secrets safe: {names}", hint=INSTEAD)


def _keeps_nothing_safe(backend: object) -> bool:
    kind = type(backend)
    return (
        kind.__module__ in {"keyring.backends.null", "keyring.backends.fail"}
        or kind.__module__.startswith(
            "keyrings.alt."
        )  # files, registry and other places that were never meant for this
        or "plaintext" in kind.__name__.casefold()
    )


def _would_ask(backend: object) -> bool:
    """Whether a question to it may end in one to a person. Keychain and Credential Manager are open while somebody is logged in."""
    kind = type(backend).__module__
    if kind == "keyring.backends.SecretService":
        import secretstorage

        with contextlib.closing(secretstorage.dbus_init()) as connection:
            return bool(secretstorage.get_default_collection(connection).is_locked())
    return kind in {"keyring.backends.kwallet", "keyring.backends.libsecret"}


def _name(backend: object) -> str:
    return f"{type(backend).__module__}.{type(backend).__qualname__}"


def _sentence(error: BaseException) -> BaseException:
    """The keyring's errors in our words; its own texts may name what was looked for, so they are not repeated."""
    from keyring import errors

    if isinstance(error, KeyringError):
        return error
    if isinstance(error, errors.KeyringLocked):
        return KeyringLockedError("the keyring is locked", hint=f"unlock it (log in to the desktop), or {INSTEAD}")
    if isinstance(error, errors.NoKeyringError):
        return KeyringMissingError("there is no keyring service in this session", hint=INSTEAD)
    if isinstance(error, Exception):  # backends speak to services and raise whatever those raise
        return KeyringRefusedError(f"the keyring failed with {type(error).__name__}", hint=INSTEAD)
    return error
