"""The authority's file: every key and certificate of it in one JSON document.

One file, so that a key and its certificate, a successor and what it succeeds, change in one rename or not at all.
Law: what is read is checked as if a stranger had written it; whatever is wrong is one sentence, never a traceback, and
no sentence holds a key.
"""

import datetime as dt
import json
import warnings

from typing import Any, Never

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from codex_manager_certs.certificates import permitted_hosts
from codex_manager_certs.errors import AuthorityError
from codex_manager_certs.generations import Issuer, Retired, State
from codex_manager_certs.roots import MARK


__all__ = ["LONGEST", "dump", "parse"]

LONGEST = 256 * 1024
"""Bytes; an authority with its key is 1.5 kB, more for many hosts."""
_VERSION = 1
_NOTE = "Private keys of this install's certificate authority (codex-manager certs). Never share this file."


_UNUSABLE = (
    ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm, x509.DuplicateExtension, x509.InvalidVersion,
)  # fmt: skip
"""What cryptography raises about a certificate, found by flipping every bit of one."""


class _DamageError(Exception):
    """What is wrong, as the end of a sentence."""


def dump(state: State) -> bytes:
    """The document of a state."""
    document = {
        "note": _NOTE,
        "version": _VERSION,
        "active": _issuer_out(state.active),
        "next": _issuer_out(state.next) if state.next else None,
        "switch_at": state.switch_at.isoformat() if state.switch_at else None,
        "previous": [{"certificate": _pem(old.certificate), "since": old.since.isoformat()} for old in state.previous],
    }
    return (json.dumps(document, indent=1) + "\n").encode()


def parse(content: bytes, where: str) -> State:
    """The state in a document; `where` names the file in the sentence.

    Raises:
        AuthorityError: it is damaged, or of a newer version.
    """
    try:
        return _state(content, where)
    except _DamageError as damage:
        raise AuthorityError(
            f"the certificate authority in {where} is damaged: {damage}",
            hint="make a new one: codex-manager certs rotate --forget-old",
        ) from None


def _state(content: bytes, where: str) -> State:
    if not content:
        _damaged("the file is empty")
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        _damaged("it is no JSON document")
    if not isinstance(document, dict) or not isinstance(document.get("version"), int):
        _damaged("it has no version")
    if document["version"] > _VERSION:
        raise AuthorityError(
            f"{where} was written by a newer codex-manager", hint="update this one, or use another CODEX_MANAGER_HOME"
        )
    if document["version"] != _VERSION:
        _damaged("it has no version")
    previous = document.get("previous", [])
    if not isinstance(previous, list):
        _damaged("it has no list of previous authorities")
    successor = document.get("next")
    return State(
        _issuer_in(document.get("active"), "the active authority"),
        _issuer_in(successor, "the next authority") if successor is not None else None,
        _time(document.get("switch_at"), "the next authority") if successor is not None else None,
        tuple(_retired_in(old) for old in previous),
    )


def _issuer_out(issuer: Issuer) -> dict[str, str]:
    key = issuer.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return {"certificate": _pem(issuer.certificate), "key": key.decode(), "since": issuer.since.isoformat()}


def _issuer_in(entry: Any, what: str) -> Issuer:
    certificate = _certificate(entry, what)
    try:
        key = serialization.load_pem_private_key(_text(entry, "key", what), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        _damaged(f"the key of {what} cannot be read")
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        _damaged(f"key and certificate of {what} do not belong together")
    return Issuer(certificate, key, _time(entry.get("since"), what))


def _retired_in(entry: Any) -> Retired:
    what = "a previous authority"
    return Retired(_certificate(entry, what), _time(entry.get("since"), what))


def _certificate(entry: Any, what: str) -> x509.Certificate:
    if not isinstance(entry, dict):
        _damaged(f"{what} is missing")
    try:
        with warnings.catch_warnings(action="ignore"):  # about oddities; the signature below says enough
            certificate = x509.load_pem_x509_certificate(_text(entry, "certificate", what))
        certificate.verify_directly_issued_by(certificate)  # parts are parsed late: a good signature vouches for all
        organization = certificate.subject.get_attributes_for_oid(x509.NameOID.ORGANIZATION_NAME)
        permitted_hosts(certificate)
    except _UNUSABLE:
        _damaged(f"the certificate of {what} cannot be used")
    if [name.value for name in organization] != [MARK]:
        _damaged(f"the certificate of {what} was not made by codex-manager")
    return certificate


def _text(entry: dict[str, Any], name: str, what: str) -> bytes:
    value = entry.get(name)
    if not isinstance(value, str) or not value.isascii():
        _damaged(f"{what} has no {name}")
    return value.encode()


def _time(value: Any, what: str) -> dt.datetime:
    try:
        moment = dt.datetime.fromisoformat(value)
    except (ValueError, TypeError):
        _damaged(f"{what} has no time")
    if moment.tzinfo is None:
        _damaged(f"{what} has no time")
    return moment


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _damaged(what: str) -> Never:
    raise _DamageError(what)
