"""Makes the two kinds of certificates: an authority's, and a leaf of it. Pure: time is a parameter, nothing is stored.

Law: an authority can vouch for its hosts and for nothing else. Its name constraints are critical and permit exactly
these DNS names; every IP address is excluded; it may not make further authorities (path length 0) and is good for
servers only. What `make_leaf` signs is not judged here: the constraints hold even against whoever has the key.
"""

import datetime as dt
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from codex_manager_certs.roots import MARK


__all__ = ["AUTHORITY_LIFETIME", "BACKDATE", "LEAF_LIFETIME", "make_authority", "make_leaf", "permitted_hosts"]

BACKDATE = dt.timedelta(days=1)
"""Certificates start this long ago, for clients whose clock is behind."""
AUTHORITY_LIFETIME = dt.timedelta(days=396)
"""With BACKDATE 397 days, the most a public authority may sign for (CA/Browser Forum, 2020 to 2026)."""
LEAF_LIFETIME = dt.timedelta(days=7)
"""Leaves live in memory and cost a millisecond; a week outlives any connection."""

_EVERY_ADDRESS = [x509.IPAddress(ipaddress.ip_network("0.0.0.0/0")), x509.IPAddress(ipaddress.ip_network("::/0"))]
_NO_USAGE = dict.fromkeys(
    ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only"),
    False,
)


def make_authority(hosts: frozenset[str], now: dt.datetime) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """A new authority for these names (canonical ones) and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    name = x509.Name([
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, MARK),
        x509.NameAttribute(NameOID.COMMON_NAME, f"codex-manager {identifier.digest.hex()[:8]}"),  # told apart in lists
    ])  # fmt: skip
    constraints = x509.NameConstraints([x509.DNSName(host) for host in sorted(hosts)], list(_EVERY_ADDRESS))
    certificate = (
        _builder(name, name, key, now, now + AUTHORITY_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.KeyUsage(digital_signature=False, key_cert_sign=True, crl_sign=True, **_NO_USAGE), critical=True
        )
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(constraints, critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate, key


def make_leaf(
    host: str, authority: x509.Certificate, authority_key: ec.EllipticCurvePrivateKey, now: dt.datetime
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """A certificate for one name with a key of its own; it ends with its authority at the latest."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)] if len(host) <= 64 else [])  # X.520's bound
    issuer = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    certificate = (
        _builder(name, authority.subject, key, now, min(now + LEAF_LIFETIME, authority.not_valid_after_utc))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=not list(name))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(digital_signature=True, key_cert_sign=False, crl_sign=False, **_NO_USAGE), critical=True
        )
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    return certificate, key


def permitted_hosts(certificate: x509.Certificate) -> frozenset[str]:
    """The names an authority is constrained to.

    Raises:
        ValueError: it is no authority as `make_authority` makes them.
    """
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.NameConstraints)
        basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    except x509.ExtensionNotFound:
        raise ValueError("it is not constrained to names") from None
    permitted = constraints.value.permitted_subtrees or []
    if not (basic.value.ca and constraints.critical and permitted):
        raise ValueError("it is not constrained to names")
    return frozenset(name.value for name in permitted if isinstance(name, x509.DNSName))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: dt.datetime, end: dt.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(end)
    )
