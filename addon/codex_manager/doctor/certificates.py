"""The certificate authority of this install: whether it can vouch, for whom and until when, and whether the system trusts it."""

import datetime as dt
import ssl

from collections.abc import Iterator
from pathlib import Path

from cryptography.hazmat.primitives import serialization

from codex_manager.config.hosts import intercepted_hosts
from codex_manager.doctor.finding import Finding, bad, ok, warn
from codex_manager.doctor.patient import Patient, command
from codex_manager_certs.errors import AuthorityError
from codex_manager_certs.generations import State
from codex_manager_certs.names import covers
from codex_manager_certs.roots import BUNDLES, certificates_in
from codex_manager_certs.shelf import Shelf


__all__ = ["check"]

SOON = dt.timedelta(days=14)
"""A successor takes over before that (certs.generations), while a proxy runs."""


def check(patient: Patient) -> Iterator[Finding]:
    """Reads the files and changes nothing; the proxy renews what is due."""
    if not patient.config.forward.enabled:
        yield ok("certificates", "the way through HTTPS_PROXY is turned off, so no certificate is needed")
        return
    shelf = Shelf(patient.paths.authority_dir)
    try:
        state = shelf.load()
    except AuthorityError as error:
        yield bad("certificates", str(error), error.hint)
        return
    if state is None:
        yield ok("certificates", "there is no certificate authority yet; the first proxy that starts makes it")
        return
    yield _lifetime(state, dt.datetime.now(dt.UTC))
    missing = sorted(host for host in intercepted_hosts(patient.config) if not covers(state.active.hosts, host))
    if missing:
        yield warn(
            "certificates",
            f"the certificate authority cannot vouch for {', '.join(missing)}",
            "start the proxy again, which makes a new one; clients trust that when they are started again",
        )
    yield from _bundle(patient, shelf, state)
    yield _system(state)


def _lifetime(state: State, now: dt.datetime) -> Finding:
    end = state.active.expires_at
    hosts = ", ".join(sorted(state.active.hosts))
    if now < state.active.certificate.not_valid_before_utc:
        return bad(
            "certificates",
            "the certificate authority is not valid yet: this machine's clock is behind",
            "set the clock",
        )
    if now >= end:
        return bad("certificates", f"the certificate authority ended on {end:%Y-%m-%d}", "start the proxy again")
    if end - now < SOON and state.next is None:
        return warn("certificates", f"the certificate authority ends on {end:%Y-%m-%d}", command("certs", "rotate"))
    return ok("certificates", f"the certificate authority vouches for {hosts} and nothing else, until {end:%Y-%m-%d}")


def _bundle(patient: Patient, shelf: Shelf, state: State) -> Iterator[Finding]:
    """Variables of this session that name one of our files must name one that is there and knows the authority."""
    active = state.active.certificate.public_bytes(serialization.Encoding.DER)
    for name in (
        "SSL_CERT_FILE",
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
        "NODE_EXTRA_CA_CERTS",
        "CODEX_CA_CERTIFICATE",
    ):
        value = patient.environ.get(name, "")
        if not value or Path(value).parent != shelf.folder:
            continue
        if active not in certificates_in(_content(Path(value))):
            yield bad(
                "certificates", f"{name} names {value}, which does not hold the authority", command("certs", "env")
            )


def _system(state: State) -> Finding:
    ours = {certificate.public_bytes(serialization.Encoding.DER) for certificate in state.certificates}
    places = dict.fromkeys([ssl.get_default_verify_paths().openssl_cafile, *BUNDLES])
    if any(ours & set(certificates_in(_content(Path(place)))) for place in places if place):
        return ok("certificates", "the system trusts it")
    return ok(
        "certificates",
        "the system does not trust it, and need not: `codex-manager run` and `certs env` tell programs to; `certs doctor` tries which do",
    )


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
