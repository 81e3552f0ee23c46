"""HTTPS from the side of who asks: whom to trust, and what is wrong where that fails. Knows no address and no call."""

from __future__ import annotations

import ssl
from pathlib import Path

import aiohttp

_PLAIN_HTTP = {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "UNKNOWN_PROTOCOL"}
"""What OpenSSL says of an answer that is no TLS, in its several versions."""
_NOT_YET_VALID, _EXPIRED, _OTHER_NAME, _OTHER_ADDRESS = 9, 10, 62, 64
_PROBLEMS = {
    _NOT_YET_VALID: "its certificate is not valid yet: set the clocks of both machines right",
    _EXPIRED: "its certificate has expired: renew it there, or set this machine's clock right",
    _OTHER_NAME: "its certificate is not for this name: use one that it is for, or have one made for this name",
    _OTHER_ADDRESS: "its certificate is not for this address: use one that it is for, or have one made for this one",
}


class BadAuthority(ValueError):  # noqa: N818 - it says what the file is
    """The file of the authority that is to be trusted cannot be used; the text says why."""


def trusting(ca: Path | None) -> ssl.SSLContext:
    """Return what believes the certificates of this authority alone; None: of those that the system trusts.

    Raises:
        BadAuthority
    """
    if ca is None:
        return ssl.create_default_context()
    try:
        return ssl.create_default_context(cafile=ca)
    except ssl.SSLError as error:
        raise BadAuthority(f"{ca}: is not the certificate of an authority (PEM)") from error
    except OSError as error:
        raise BadAuthority(f"{ca}: cannot be read: {error.strerror}; name the authority's certificate") from error


def tls_problem(error: Exception, remedy: str) -> str:
    """Return what is wrong with TLS in a sentence; empty where it is something else.

    `remedy`: how the right authority is named here.
    """
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        why = error.certificate_error
        code = why.verify_code if isinstance(why, ssl.SSLCertVerificationError) else 0
        return _PROBLEMS.get(code) or f"its certificate is not signed by an authority that is trusted here: {remedy}"
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        reason = (getattr(error.os_error, "reason", None) or "unknown").upper().replace(" ", "_")
        if reason in _PLAIN_HTTP:
            return "it does not speak HTTPS: write http:// in the address, or give it a certificate"
        return f"TLS fails: {reason.lower().replace('_', ' ')}"
    return ""
