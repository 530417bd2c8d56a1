"""Whom we believe to be OpenAI: the TLS context of every connection to an upstream.

Knows certificates and files; knows no configuration and no accounts (this package imports nothing of ours).
Law: the roots are the system's without our own authority, plus `ca_file` when the user names one; nothing in the session changes them. OpenSSL
would obey `SSL_CERT_FILE` and `SSL_CERT_DIR`, but those are how *clients* of a forward proxy are told to trust our own
authority: a proxy started in the same shell would then take anything that authority signed for OpenAI, and nothing
else. Who needs a company's authority names it in `upstream.ca_file`.
"""

import ssl

from pathlib import Path

from codex_manager_certs.roots import system_roots


__all__ = ["IGNORED_VARIABLES", "TrustError", "upstream_context"]

IGNORED_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
"""Set in a session, they change what OpenSSL trusts; here they do not."""


class TrustError(Exception):
    """A `ca_file` that cannot be used. `hint` says what to do."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


def upstream_context(ca_file: Path | None = None) -> ssl.SSLContext:
    """A context that verifies names and chains, TLS 1.2 or later.

    Raises:
        TrustError: `ca_file` is missing, unreadable or holds no certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies host names and requires certificates by itself
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # a company's intermediate in ca_file may be the anchor
    context.set_alpn_protocols(["http/1.1"])
    _load_system_roots(context)
    if ca_file is not None:
        _load_ca_file(context, ca_file)
    return context


def _load_system_roots(context: ssl.SSLContext) -> None:
    roots = system_roots()
    try:
        context.load_verify_locations(cadata=b"".join(roots))
    except ssl.SSLError:
        for root in roots:
            _load_one(context, root)


def _load_one(context: ssl.SSLContext, certificate: bytes) -> None:
    try:
        context.load_verify_locations(cadata=certificate)
    except ssl.SSLError:
        return  # a broken certificate in the store is one root fewer, as in Python's own loader


def _load_ca_file(context: ssl.SSLContext, ca_file: Path) -> None:
    hint = "name a PEM file with certificates, or unset it: codex-manager config unset upstream.ca_file"
    judged = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # empty, so that what the file adds can be counted
    try:
        judged.load_verify_locations(cafile=ca_file)
    except ssl.SSLError:
        raise TrustError(f"{ca_file} holds no PEM certificates", hint=hint) from None
    except OSError as error:
        raise TrustError(
            f"{ca_file} cannot be read: {(error.strerror or 'not a usable file').lower()}", hint=hint
        ) from None
    if not judged.cert_store_stats()["x509"]:
        raise TrustError(f"{ca_file} holds no PEM certificates", hint=hint)
    context.load_verify_locations(cafile=ca_file)
