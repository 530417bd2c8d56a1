"""The bundle: one file with the system's roots and our certificates, for clients that take one file instead of adding.

Law: always the system's roots of now, those of the file the user trusts besides, and every certificate of ours that is to
be trusted, so a client given the bundle trusts what it trusted before; replaced whole, and only when it has to change.
Variables of the session change nothing in it, for sessions share it; `missing_from` tells what one would lose.
"""

from pathlib import Path

from codex_manager_certs.authority import Authority
from codex_manager_certs.errors import AuthorityError
from codex_manager_certs.roots import certificates_in, system_roots
from codex_manager_certs.shelf import Shelf, bundle_content


__all__ = ["missing_from", "write_bundle"]


def write_bundle(folder: Path, authority: Authority, *, also: Path | None = None) -> Path:
    """Bring the bundle in the authority's folder up to date and return its path; reads 250 kB and writes nothing when it is.

    `also` is a file of further roots that the user trusts, such as a company's.

    Raises:
        AuthorityError: it cannot be written, or `also` cannot be read.
    """
    shelf = Shelf(folder)
    further = _further(also) if also is not None else []
    if not authority.is_stale() and shelf.has(
        shelf.bundle_file, bundle_content(authority.state, [*system_roots(), *further])
    ):
        return shelf.bundle_file
    with shelf.changing():
        state = shelf.load() or authority.state  # what is on disk now counts, not what the caller read once
        shelf.publish(shelf.bundle_file, bundle_content(state, [*system_roots(), *further]))
    return shelf.bundle_file


def missing_from(bundle: Path, file: Path) -> int:
    """How many certificates of a file the bundle lacks; none of one that cannot be read."""
    try:
        return len(set(certificates_in(file.read_bytes())) - set(certificates_in(bundle.read_bytes())))
    except OSError:
        return 0


def _further(path: Path) -> list[bytes]:
    try:
        return certificates_in(path.read_bytes())
    except OSError as error:
        raise AuthorityError(f"{path} cannot be read: {(error.strerror or 'unknown error').lower()}") from None
