"""Puts files of the authority on disk: private from their first moment, whole or not at all.

Law: a file is made under another name with O_EXCL and mode 0600, put on disk, and takes its place by a rename; no umask
widens the mode and no crash leaves half a file. What a crash leaves under the other name is swept by the next writer.
"""

import contextlib
import os
import secrets
import stat

from pathlib import Path

from codex_manager_certs.errors import AuthorityError


__all__ = ["check_private", "make_folder", "read", "stamp", "sweep", "write"]

_NEW = ".new-"
"""Start of the names that files have while they are written."""


def make_folder(folder: Path) -> None:
    """Make the folder and its missing parents, each 0700; one that is there must not be writable by others.

    Raises:
        AuthorityError: it cannot be made, or others may change what is in it.
    """
    missing = []
    current = folder
    try:
        while not current.exists():
            missing.append(current)
            current = current.parent
        for current in reversed(missing):
            with contextlib.suppress(FileExistsError):  # another process was faster; it made it the same way
                current.mkdir(mode=0o700)
        if not folder.is_dir():
            raise AuthorityError(f"{folder} is a file where a folder is needed", hint="move it away")
        mode = stat.S_IMODE(folder.stat().st_mode)
    except OSError as error:
        raise AuthorityError(
            f"the folder {current} cannot be made: {(error.strerror or 'unknown error').lower()}",
            hint="make its parent writable for you, or set CODEX_MANAGER_HOME to a folder of your own",
        ) from None
    if os.name != "nt" and mode & 0o022:
        raise AuthorityError(
            f"others may change the certificate authority, because the folder {folder} has mode {mode:04o}",
            hint=f"chmod 700 {folder}",
        )


def check_private(path: Path) -> None:
    """Refuse a key file that others may read or change, or that belongs to somebody else.

    Raises:
        AuthorityError: they may.
        FileNotFoundError: there is none.
    """
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode) or not stat.S_ISREG(found.st_mode):
        raise AuthorityError(f"{path} is not a plain file", hint="move it away; a new one is made")
    if os.name == "nt":  # access lists of the user's profile protect it there
        return
    if found.st_uid not in {os.geteuid(), 0}:
        raise AuthorityError(f"{path} belongs to another user", hint="move it away; a new one is made")
    mode = stat.S_IMODE(found.st_mode)
    if mode & 0o077:
        raise AuthorityError(
            f"others may use the key of the certificate authority, because {path} has mode {mode:04o}",
            hint=f"chmod 600 {path}; if somebody may have read it: codex-manager certs rotate --forget-old",
        )


def read(path: Path, most: int) -> bytes | None:
    """The file's content, None when there is no file.

    Raises:
        AuthorityError: it cannot be read, or is longer than `most` bytes.
    """
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise AuthorityError(f"{path} cannot be read: {(error.strerror or 'unknown error').lower()}") from None
    if len(content) > most:
        raise AuthorityError(f"{path} is too long to be what it should be", hint="move it away; a new one is made")
    return content


def write(path: Path, content: bytes) -> None:
    """Put a file in place, replacing what is there.

    Raises:
        AuthorityError: it cannot be written.
    """
    fresh = path.with_name(f"{_NEW}{path.name}-{secrets.token_hex(8)}")
    try:
        handle = os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0), 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(path)
        except BaseException:
            fresh.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)
    except OSError as error:
        raise AuthorityError(
            f"{path} cannot be written: {(error.strerror or 'unknown error').lower()}",
            hint="free some space, or make its folder writable for you",
        ) from None


def sweep(folder: Path, name: str) -> None:
    """Remove what writers of this file left who were killed; under the lock that its writers hold."""
    for left in folder.glob(f"{_NEW}{name}-*"):
        left.unlink(missing_ok=True)


def stamp(path: Path) -> tuple[int, int, int] | None:
    """Differs after the file was replaced or written; None without a file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # directories cannot be opened there
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
