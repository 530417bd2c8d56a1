"""Whom we believe to be OpenAI: the TLS context of every connection to an upstream.

Knows certificates and files; knows no configuration and no accounts (this package imports nothing of ours).
Law: the roots are the system's, plus `ca_file` when the user names one; nothing in the session changes them. OpenSSL
would obey `SSL_CERT_FILE` and `SSL_CERT_DIR`, but those are how *clients* of a forward proxy are told to trust our own
authority: a proxy started in the same shell would then take anything that authority signed for OpenAI, and nothing
else. Who needs a company's authority names it in `upstream.ca_file`.
"""

import ssl
import sys

from pathlib import Path


__all__ = ["IGNORED_VARIABLES", "TrustError", "upstream_context"]

IGNORED_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
"""Set in a session, they change what OpenSSL trusts; here they do not."""

BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch, Alpine
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/ssl/cert.pem",  # macOS, FreeBSD, OpenBSD
)
"""Where systems keep their roots (the list Go's crypto/x509 uses), for a Python whose own OpenSSL looks elsewhere."""


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
    if sys.platform == "win32":
        for store in ("ROOT", "CA"):
            for certificate, encoding, trust in ssl.enum_certificates(store):
                if encoding == "x509_asn" and (trust is True or "1.3.6.1.5.5.7.3.1" in trust):  # server authentication
                    _load_one(context, certificate)
    else:
        compiled = ssl.get_default_verify_paths()  # the `openssl_` fields are those no variable can move
        files = (compiled.openssl_cafile, *BUNDLES)
        found = next((name for name in files if _is_filled_file(name)), None)
        if found is not None:
            context.load_verify_locations(cafile=found)
        elif _is_filled_folder(compiled.openssl_capath):
            context.load_verify_locations(capath=compiled.openssl_capath)
            return  # looked up by hash when needed, so there is nothing to count
    if not context.cert_store_stats()["x509_ca"]:
        import certifi  # a platform without roots of its own, such as a slim container

        context.load_verify_locations(cafile=certifi.where())


def _load_one(context: ssl.SSLContext, certificate: bytes) -> None:
    try:
        context.load_verify_locations(cadata=certificate)
    except ssl.SSLError:
        return  # a broken certificate in the Windows store is one root fewer, as in Python's own loader


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


def _is_filled_file(name: str) -> bool:
    path = Path(name)
    try:
        return path.is_file() and path.stat().st_size > 0
    except OSError:
        return False


def _is_filled_folder(name: str) -> bool:
    try:
        return any(Path(name).iterdir())
    except OSError:
        return False
