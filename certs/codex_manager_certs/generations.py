"""When an authority is made, replaced and forgotten. Pure: a state and a time in, a state and what to say out.

Theory of operation: one authority signs (`active`). Well before it ends, its successor is made (`next`) and put into
the bundle, but signs nothing yet: clients read the bundle when they start, so one that runs must have been started
since the successor was there. As late as is safe the successor takes over and the old one's key is gone for good; its
certificate (`previous`) stays in the bundle for as long as another proxy may still hold that key in memory.
What cannot wait (other hosts, an authority that has ended) is replaced at once, and said so.

Law: `due` is total but for a clock that is behind, and repeats nothing: what it returns is due for nothing more.
"""

import datetime as dt

from dataclasses import dataclass, field, replace

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from codex_manager_certs.certificates import make_authority, permitted_hosts
from codex_manager_certs.errors import AuthorityError


__all__ = ["KEPT", "LEAD", "ROTATE_BEFORE", "SWITCH_BEFORE", "Issuer", "Retired", "State", "anew", "due", "renewed"]

ROTATE_BEFORE = dt.timedelta(days=60)
"""A successor is made this long before the end, as Let's Encrypt renews in the last third of a life."""
SWITCH_BEFORE = dt.timedelta(days=14)
"""It takes over this long before the end: a client that has run for less than 46 days notices nothing."""
LEAD = dt.timedelta(days=1)
"""The least a successor is in the bundle before it signs, when it was made late."""
KEPT = dt.timedelta(days=30)
"""How long a retired certificate stays in the bundle."""
_MOST_RETIRED = 4
"""Of those, at most this many: hosts that change to and fro must not fill the bundle."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """An authority that can sign."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)
    since: dt.datetime
    """When it was made."""

    @property
    def hosts(self) -> frozenset[str]:
        return permitted_hosts(self.certificate)

    @property
    def expires_at(self) -> dt.datetime:
        return self.certificate.not_valid_after_utc


@dataclass(frozen=True, slots=True)
class Retired:
    """An authority whose key is gone."""

    certificate: x509.Certificate
    since: dt.datetime
    """When it stopped signing."""


@dataclass(frozen=True, slots=True)
class State:
    """All authorities of an install."""

    active: Issuer
    next: Issuer | None = None
    switch_at: dt.datetime | None = None
    """When the successor takes over; None without one."""
    previous: tuple[Retired, ...] = ()

    @property
    def certificates(self) -> tuple[x509.Certificate, ...]:
        """All that clients should trust, the active one first."""
        successor = (self.next.certificate,) if self.next else ()
        return (self.active.certificate, *successor, *(old.certificate for old in self.previous))


def due(state: State | None, hosts: frozenset[str] | None, now: dt.datetime) -> tuple[State, tuple[str, ...]] | None:
    """What the state becomes now, and a sentence for each change; None when nothing is due.

    `hosts` None leaves them as they are.

    Raises:
        AuthorityError: this machine's clock is before the authority's beginning.
    """
    if state is None:
        return _first(hosts, now)
    if now < state.active.certificate.not_valid_before_utc:
        begin = state.active.certificate.not_valid_before_utc
        raise AuthorityError(
            f"the certificate authority is valid from {_day(begin)}, but this machine's clock says {_day(now)}",
            hint="set the clock right",
        )
    said: list[str] = []
    changed = state
    if hosts is not None and hosts != state.active.hosts:
        changed = anew(changed, hosts, now)
        said.append(
            f"the intercepted hosts changed to {', '.join(sorted(hosts))}, so there is a new certificate authority"
            " (running clients trust it when they are started again)"
        )
    elif now >= state.active.expires_at and not (state.next and now < state.next.expires_at):
        changed = anew(changed, state.active.hosts, now)
        said.append(
            f"the certificate authority ended on {_day(state.active.expires_at)}, so there is a new one"
            " (running clients trust it when they are started again)"
        )
    elif state.switch_at is not None and now >= min(state.switch_at, state.active.expires_at):
        changed = _switched(changed, now)
        said.append(
            f"the certificate authority was replaced by its successor, valid until {_day(changed.active.expires_at)}"
        )
    if changed.next is None and now >= changed.active.expires_at - ROTATE_BEFORE:
        changed = renewed(changed, now, at=changed.active.expires_at - SWITCH_BEFORE)
        said.append(
            f"the certificate authority ends on {_day(changed.active.expires_at)}; its successor is in the bundle"
            f" and takes over on {_day(changed.switch_at or now)}"
        )
    changed = replace(changed, previous=_remembered(changed.previous, now))
    return None if changed == state else (changed, tuple(said))


def renewed(state: State, now: dt.datetime, *, at: dt.datetime | None = None) -> State:
    """With a fresh successor that takes over `at` that time, as soon as it was in the bundle for LEAD without one."""
    earliest = now + LEAD
    return replace(state, next=_issuer(state.active.hosts, now), switch_at=max(earliest, at) if at else earliest)


def anew(state: State | None, hosts: frozenset[str], now: dt.datetime) -> State:
    """With a fresh authority that signs at once."""
    old = () if state is None else (Retired(state.active.certificate, now), *state.previous)
    return State(_issuer(hosts, now), previous=_remembered(old, now))


def _first(hosts: frozenset[str] | None, now: dt.datetime) -> tuple[State, tuple[str, ...]]:
    if hosts is None:
        raise AuthorityError(
            "there is no certificate authority yet", hint="start the proxy once, or run: codex-manager certs show"
        )
    said = f"made a certificate authority that can vouch for {', '.join(sorted(hosts))} and nothing else"
    return anew(None, hosts, now), (said,)


def _switched(state: State, now: dt.datetime) -> State:
    assert state.next is not None
    return State(state.next, previous=(Retired(state.active.certificate, now), *state.previous))


def _remembered(previous: tuple[Retired, ...], now: dt.datetime) -> tuple[Retired, ...]:
    kept = (old for old in previous if now < min(old.since + KEPT, old.certificate.not_valid_after_utc))
    return tuple(kept)[:_MOST_RETIRED]


def _issuer(hosts: frozenset[str], now: dt.datetime) -> Issuer:
    certificate, key = make_authority(hosts, now)
    return Issuer(certificate, key, now)


def _day(moment: dt.datetime) -> str:
    return f"{moment:%Y-%m-%d}"
