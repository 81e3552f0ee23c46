"""The site's own certificate authority: what signs the certificates of etcd's members, of its clients and of HTTPS.

Who a certificate is for is decided by the caller. Knows no file.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from ipaddress import ip_address
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_LASTS = dt.timedelta(days=3650)
CERTIFICATE_LASTS = dt.timedelta(days=397)
EARLIER = dt.timedelta(hours=1)
"""Certificates are valid from a little before they are made: the other machines' clocks may be behind."""
SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH


class BadAuthority(ValueError):  # noqa: N818 - it says what the files are
    """The authority's key or certificate cannot be used; the text says why."""


class Pair(NamedTuple):
    """A certificate and its private key, in PEM."""

    certificate: bytes
    key: bytes


class Subject(NamedTuple):
    """Who a certificate is for.

    `user`: the name that etcd takes its bearer for; None for none. `names`: host names and IP addresses. `uses`:
    SERVER, CLIENT or both.
    """

    user: str | None
    names: tuple[str, ...]
    uses: tuple[x509.ObjectIdentifier, ...]


class Authority:
    """An authority whose key and certificate are known."""

    def __init__(self, key: bytes, certificate: bytes) -> None:
        """Take the authority's key and certificate in PEM.

        Raises:
            BadAuthority: they cannot be read, or do not belong together.
        """
        self._key = _private_key(key)
        try:
            self.certificate = x509.load_pem_x509_certificate(certificate)
        except ValueError as error:
            raise BadAuthority("the authority's certificate is not in PEM") from error
        if self._key.public_key() != self.certificate.public_key():
            raise BadAuthority("the authority's certificate and its key do not belong together")

    @property
    def ends(self) -> dt.datetime:
        """Until when what it signs counts."""
        return self.certificate.not_valid_after_utc

    def issue(self, subject: Subject, now: dt.datetime) -> Pair:
        """Make a key, and a certificate of it that ends no later than the authority."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            _builder(key.public_key(), _name("Twinkey", subject.user), self.certificate.subject, now)
            .not_valid_after(min(now + CERTIFICATE_LASTS, self.ends))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage(subject.uses), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
        )
        if subject.names:
            names = x509.SubjectAlternativeName([_general_name(name) for name in dict.fromkeys(subject.names)])
            builder = builder.add_extension(names, critical=False)
        return Pair(builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM), _pem(key))


def new_key() -> bytes:
    """Make the private key of an authority, in PEM."""
    return _pem(ec.generate_private_key(ec.SECP256R1()))


def certify(key: bytes, site_id: str, now: dt.datetime) -> bytes:
    """Return the certificate of the site's authority with this key.

    Raises:
        BadAuthority: the key cannot be read.
    """
    private = _private_key(key)
    name = _name(f"Twinkey site {site_id}", None)
    return (
        _builder(private.public_key(), name, name, now)
        .not_valid_after(now + AUTHORITY_LASTS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .sign(private, hashes.SHA256())
        .public_bytes(Encoding.PEM)
    )


def valid_from(certificate: bytes) -> dt.datetime | None:
    """Return from when a certificate counts, None where it cannot be read."""
    try:
        return x509.load_pem_x509_certificate(certificate).not_valid_before_utc
    except ValueError:
        return None


def ends_at(certificate: bytes) -> dt.datetime:
    """Return when a certificate ends.

    Raises:
        ValueError: it cannot be read.
    """
    return x509.load_pem_x509_certificate(certificate).not_valid_after_utc


def matches(pair: Pair) -> bool:
    """Whether key and certificate belong together."""
    try:
        certificate = x509.load_pem_x509_certificate(pair.certificate)
        return _private_key(pair.key).public_key() == certificate.public_key()
    except ValueError:
        return False


def _builder(
    key: ec.EllipticCurvePublicKey, subject: x509.Name, issuer: x509.Name, now: dt.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - EARLIER)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _name(organisation: str, common_name: str | None) -> x509.Name:
    parts: Iterable[tuple[x509.ObjectIdentifier, str | None]] = (
        (NameOID.ORGANIZATION_NAME, organisation),
        (NameOID.COMMON_NAME, common_name),
    )
    return x509.Name([x509.NameAttribute(kind, text) for kind, text in parts if text])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _private_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadAuthority("this is no private key in PEM") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise BadAuthority("the private key is not one of an elliptic curve")
    return key


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
