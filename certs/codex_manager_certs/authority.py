"""The certificate authority of this install: opened, made, renewed, and asked for leaves.

Files in its folder: `authority.json` (keys; see `document`), `ca.pem` (the certificates, for programs that add to their
own roots), `bundle.pem` (see `bundle`), and a lock.
Law: an `Authority` is a snapshot that never changes but for its cache of leaves; who holds one asks `is_stale` now and
then and opens it again. Every change is made under the lock, on what is then on disk.
"""

import datetime as dt
import os

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from codex_manager_certs import files, generations
from codex_manager_certs.certificates import make_leaf
from codex_manager_certs.errors import AuthorityError
from codex_manager_certs.generations import ROTATE_BEFORE, State
from codex_manager_certs.leaf import Leaf
from codex_manager_certs.names import canonical, canonical_hosts, covers
from codex_manager_certs.shelf import Shelf, certificates_content


__all__ = ["Authority"]

type _Change = Callable[[State | None, dt.datetime], tuple[State, tuple[str, ...]] | None]


class Authority:
    """A certificate authority that can vouch for its hosts, and for nothing else."""

    def __init__(self, shelf: Shelf, state: State, stamp: object, news: Iterable[str] = ()) -> None:
        self.shelf = shelf
        self.state = state
        self.news = tuple(news)
        """A sentence for each thing that opening it changed; for the user."""
        self._stamp = stamp
        self._leaves: dict[str, Leaf] = {}

    def __repr__(self) -> str:
        return f"<Authority {self.fingerprint_sha256[:11]}… for {', '.join(sorted(self.hosts))}>"

    # Ways to one -------------------------------------------------------------------------------------------------

    @classmethod
    def open_or_make(cls, folder: Path, hosts: Iterable[str] | None, *, now: dt.datetime | None = None) -> Self:
        """The authority for these hosts: as it is, or with what is due now done to it.

        `hosts` None takes the authority there is for whatever it vouches.

        Raises:
            AuthorityError: its files are damaged, too open, or cannot be written; or this clock is before its beginning.
        """
        names = canonical_hosts(hosts) if hosts is not None else None
        return cls._opened(Shelf(folder), now, lambda state, now: generations.due(state, names, now))

    @staticmethod
    def exists(folder: Path) -> bool:
        """Whether there is one, usable or not."""
        return os.path.lexists(Shelf(folder).state_file)

    @classmethod
    def rotate(cls, folder: Path, *, at_once: bool = False, now: dt.datetime | None = None) -> Self:
        """With a successor that takes over in a day, or `at_once`; the old one stays in the bundle for a while.

        Raises:
            AuthorityError: there is no authority, or as for `open_or_make`.
        """

        def change(state: State | None, now: dt.datetime) -> tuple[State, tuple[str, ...]]:
            if state is None:
                raise AuthorityError(
                    "there is no certificate authority to rotate", hint="codex-manager certs show makes one"
                )
            if at_once:
                fresh = generations.anew(state, state.active.hosts, now)
                said = "the new certificate authority signs from now on; start running clients again"
                return fresh, (said,)
            fresh = generations.renewed(state, now)
            said = "the new certificate authority is in the bundle and takes over on"
            return fresh, (f"{said} {fresh.switch_at:%Y-%m-%d %H:%M} UTC; start running clients again before that",)

        return cls._changed(Shelf(folder), now or _now(), change)

    @classmethod
    def replace(cls, folder: Path, hosts: Iterable[str], *, now: dt.datetime | None = None) -> Self:
        """A fresh authority, and nothing left of the old ones: not read, not trusted, whatever became of their file.

        Raises:
            AuthorityError: the files cannot be written.
        """
        fresh = generations.anew(None, canonical_hosts(hosts), now or _now())
        said = "there is a new certificate authority, and the bundle knows no other of ours any more"
        shelf = Shelf(folder)
        with shelf.changing():
            return cls._kept(shelf, fresh, (said,))

    # What it is ---------------------------------------------------------------------------------------------------

    @property
    def certificate_pem(self) -> bytes:
        """The certificate that signs now."""
        return self.state.active.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def certificates_pem(self) -> bytes:
        """Every certificate of ours that clients should trust, the active one first."""
        return certificates_content(self.state)

    @property
    def certificates(self) -> tuple[x509.Certificate, ...]:
        """The same, parsed."""
        return self.state.certificates

    @property
    def certificate_file(self) -> Path:
        """`certificates_pem` as a file."""
        return self.shelf.certificates_file

    @property
    def fingerprint_sha256(self) -> str:
        """As `openssl x509 -fingerprint -sha256` writes it."""
        return self.state.active.certificate.fingerprint(hashes.SHA256()).hex(":").upper()

    @property
    def name(self) -> str:
        """How certificate managers list it."""
        subject = self.state.active.certificate.subject
        return str(subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)

    @property
    def expires_at(self) -> dt.datetime:
        return self.state.active.expires_at

    @property
    def hosts(self) -> frozenset[str]:
        """The names it can vouch for; names below them are covered, too."""
        return self.state.active.hosts

    def covers(self, host: str) -> bool:
        """Whether it can vouch for this name."""
        return covers(self.hosts, host)

    def needs_rotation(self, now: dt.datetime | None = None) -> bool:
        """Whether its end is near enough for a successor and there is none."""
        return self.state.next is None and (now or _now()) >= self.expires_at - ROTATE_BEFORE

    def is_stale(self, now: dt.datetime | None = None) -> bool:
        """Whether to open it again: another process changed it, or something is due. Costs one `stat`.

        Raises:
            AuthorityError: this machine's clock is before its beginning.
        """
        if files.stamp(self.shelf.state_file) != self._stamp:
            return True
        return generations.due(self.state, None, now or _now()) is not None

    # What it does --------------------------------------------------------------------------------------------------

    def leaf(self, host: str, now: dt.datetime | None = None) -> Leaf:
        """A certificate and key for this host, the same one for half of its life.

        Raises:
            AuthorityError: the authority cannot vouch for it, or has ended.
        """
        moment = now or _now()
        name = canonical(host)
        known = self._leaves.get(name)
        if known is not None and moment < self._renew_at(known):
            return known
        if not covers(self.hosts, name):
            raise AuthorityError(f"the certificate authority cannot vouch for {name}")
        if moment >= self.expires_at:
            raise AuthorityError(f"the certificate authority ended on {self.expires_at:%Y-%m-%d}")
        active = self.state.active
        certificate, key = make_leaf(name, active.certificate, active.key, moment)
        leaf = self._leaves[name] = Leaf(name, certificate, key, active.certificate)
        return leaf

    def _renew_at(self, leaf: Leaf) -> dt.datetime:
        if leaf.expires_at >= self.expires_at:
            return leaf.expires_at  # the authority's own end; a new one would end then, too
        return leaf.expires_at - (leaf.expires_at - leaf.certificate.not_valid_before_utc) / 2

    # Disk -----------------------------------------------------------------------------------------------------------

    @classmethod
    def _opened(cls, shelf: Shelf, now: dt.datetime | None, change: _Change) -> Self:
        moment = now or _now()
        stamp = files.stamp(shelf.state_file)  # before reading: a change in between makes it stale, not lost
        state = shelf.load()
        if state is not None and change(state, moment) is None:
            authority = cls(shelf, state, stamp)
            if shelf.has(shelf.certificates_file, authority.certificates_pem):
                files.make_folder(shelf.folder)  # refuses one that others may change
                return authority
        return cls._changed(shelf, moment, change)

    @classmethod
    def _changed(cls, shelf: Shelf, now: dt.datetime, change: _Change) -> Self:
        with shelf.changing():
            stamp = files.stamp(shelf.state_file)
            state = shelf.load()  # another process may have been faster
            changed = change(state, now)
            if changed is not None:
                return cls._kept(shelf, *changed)
            assert state is not None
            shelf.announce(state)
            return cls(shelf, state, stamp)

    @classmethod
    def _kept(cls, shelf: Shelf, state: State, news: Iterable[str]) -> Self:
        shelf.save(state)
        return cls(shelf, state, files.stamp(shelf.state_file), news)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
