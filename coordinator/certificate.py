"""The certificate of the API's HTTPS: it is exchanged in place, so that no connection is lost, and has an end."""

from __future__ import annotations

import datetime as dt
import ssl
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path


class BadCertificate(ValueError):  # noqa: N818 - it says what the files are
    """Certificate or key cannot be used; the text says why and what to do."""


class Certificate:
    """A certificate with its key, in PEM files; `context` serves what was loaded last.

    Raises:
        BadCertificate
    """

    def __init__(self, cert: Path, key: Path) -> None:
        self._cert, self._key = cert, key
        self.context = _new_context()
        self.ends = self.load()

    def load(self) -> dt.datetime:
        """Serve what is in the files now, and return when it ends; connections that are open stay as they are.

        Raises:
            BadCertificate: the one before is served on.
        """
        ends = end_of(self._cert)
        self._load_into(_new_context())  # the one that serves would be left with half of a pair that does not fit
        self._load_into(self.context)
        self.ends = ends
        return ends

    def _load_into(self, context: ssl.SSLContext) -> None:
        _read(self._key)
        try:
            # without a password given, OpenSSL would ask for one on the terminal
            context.load_cert_chain(self._cert, self._key, password="")
        except OSError as error:  # ssl.SSLError is one too
            text = f"{self._cert} and {self._key}: are no certificate and its key (PEM, without a password)"
            raise BadCertificate(f"{text}: {getattr(error, 'reason', None) or error.strerror}") from error


class Certificates:
    """When the certificates end that this node shows: `http` to its callers, `etcd` to the store."""

    def __init__(self, http: Certificate | None, etcd: Path | None) -> None:
        self._http, self._etcd = http, etcd

    def ends(self) -> Mapping[str, dt.datetime]:
        """Return the ends by name; a certificate that is not set or cannot be read is left out."""
        found = {"http": self._http.ends} if self._http else {}
        if self._etcd is not None:
            with suppress(BadCertificate):  # whoever connects with it says so
                found["etcd"] = end_of(self._etcd)
        return found


def end_of(path: Path) -> dt.datetime:
    """Return when the first certificate in a PEM file ends.

    Raises:
        BadCertificate
    """
    from cryptography import x509  # noqa: PLC0415 - 1 MiB, of no use without a certificate

    try:
        return x509.load_pem_x509_certificates(_read(path))[0].not_valid_after_utc
    except ValueError as error:
        if isinstance(error, BadCertificate):
            raise
        raise BadCertificate(f"{path}: is no certificate (PEM)") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadCertificate(f"{path}: cannot be read: {error.strerror}") from error


def _new_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
