"""Where an authority's files lie and how they are read and changed: the authority's folder.

Law: reading needs no lock, because files are replaced whole. Whoever writes holds the lock, and decides on what is on
disk then, not on what it read before.
"""

import contextlib

from collections.abc import Iterator
from pathlib import Path

from codex_manager_certs import document, files
from codex_manager_certs.errors import AuthorityError
from codex_manager_certs.generations import State
from codex_manager_certs.lock import exclusive


__all__ = ["Shelf"]


class Shelf:
    """One folder with an authority's files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state_file = folder / "authority.json"
        self.certificates_file = folder / "ca.pem"
        self.bundle_file = folder / "bundle.pem"

    def load(self) -> State | None:
        """The state on disk; None when there is none.

        Raises:
            AuthorityError: others may read the keys, or the file is damaged.
        """
        try:
            files.check_private(self.state_file)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise AuthorityError(f"{self.state_file} cannot be read: {(error.strerror or 'error').lower()}") from None
        content = files.read(self.state_file, document.LONGEST)
        return None if content is None else document.parse(content, str(self.state_file))

    def save(self, state: State) -> None:
        """Put the state on disk; within `changing`."""
        files.write(self.state_file, document.dump(state))

    def publish(self, path: Path, content: bytes) -> None:
        """Put certificates into a file, unless they are there; within `changing`."""
        if not self.has(path, content):
            files.write(path, content)

    def has(self, path: Path, content: bytes) -> bool:
        """Whether a file of certificates is as it should be; one that cannot be read is not."""
        try:
            return files.read(path, len(content)) == content
        except AuthorityError:
            return False

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """Hold the folder, which is made when it is missing.

        Raises:
            AuthorityError: it cannot be made, is open to others, or another process holds it for too long.
        """
        files.make_folder(self.folder)
        with contextlib.ExitStack() as held:
            try:
                held.enter_context(exclusive(self.folder / "authority.lock"))
                for path in (self.state_file, self.certificates_file, self.bundle_file):
                    files.sweep(self.folder, path.name)
            except OSError as error:
                raise AuthorityError(
                    f"{self.folder} cannot be written: {(error.strerror or 'unknown error').lower()}",
                    hint="make it writable for you, or set CODEX_MANAGER_HOME to a folder of your own",
                ) from None
            yield
