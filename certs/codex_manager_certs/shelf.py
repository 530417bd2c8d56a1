"""Where an authority's files lie and how they are read and changed: the authority's folder.

Law: reading needs no lock, because files are replaced whole. Whoever writes holds the lock, and decides on what is on
disk then, not on what it read before.
"""

import contextlib
import ssl

from collections.abc import Iterable, Iterator
from pathlib import Path

from cryptography.hazmat.primitives import serialization

from codex_manager_certs import document, files
from codex_manager_certs.errors import AuthorityError
from codex_manager_certs.generations import State
from codex_manager_certs.lock import exclusive
from codex_manager_certs.roots import MARK, certificates_in


__all__ = ["Shelf", "bundle_content", "certificates_content"]

_LONGEST_BUNDLE = 16 * 1024 * 1024
"""Bytes; systems have 250 kB of roots, companies add a few."""
_NOTE = "# Made by codex-manager: the system's roots and the authority of this install. Rebuilt when either changes.\n"


def certificates_content(state: State) -> bytes:
    """What is in `ca.pem`: every certificate of ours that clients should trust, the active one first."""
    return b"".join(certificate.public_bytes(serialization.Encoding.PEM) for certificate in state.certificates)


def bundle_content(state: State, others: Iterable[bytes]) -> bytes:
    """What is in the bundle: ours first, then the others (in DER), each once."""
    ours = [certificate.public_bytes(serialization.Encoding.DER) for certificate in state.certificates]
    every = dict.fromkeys([*ours, *others])
    return (_NOTE + "".join(ssl.DER_cert_to_PEM_cert(der) for der in every)).encode()


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
        """Put the state on disk, and tell of it; within `changing`."""
        files.write(self.state_file, document.dump(state))
        self.announce(state)

    def announce(self, state: State) -> None:
        """What clients are to trust: into a bundle that exists, then into `ca.pem`; within `changing`.

        Variables in somebody's profile name that bundle: it must know an authority before that signs. `ca.pem` comes last,
        so when it is right the bundle is, too.
        """
        bundle = files.read(self.bundle_file, _LONGEST_BUNDLE)
        if bundle is not None:  # whoever wants one makes it
            others = [der for der in certificates_in(bundle) if MARK.encode() not in der]
            self.publish(self.bundle_file, bundle_content(state, others))
        self.publish(self.certificates_file, certificates_content(state))

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
