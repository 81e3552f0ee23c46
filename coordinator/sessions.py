"""Sessions of the web page: what a browser's cookie carries in place of a token, and when it counts.

It says whose token was given and until when, under a MAC that is keyed by that token's hash in the tokens file. So it
counts on every node that has the same tokens file, nothing is kept of it, and it ends when the coordinators reread that
file without the token. Signing out clears the browser's cookie; a copy of it would still count.
"""

from __future__ import annotations

import datetime as dt
import hmac
from base64 import urlsafe_b64encode

from coordinator.errors import ApiError
from coordinator.tokens import Caller, Token, TokenFile
from licensing.value import Time

COOKIE = "twinkey"

_PURPOSE = b"twinkey session\n1\n"
"""What the MAC is for, and the version of what it covers: the hash of a token may key nothing else with it."""
_SECOND_DIGITS = 12
_LAST_SECOND = 253_402_300_799  # of the year 9999


def write_session(token: Token, until: Time) -> str:
    """Return the value of a cookie that stands for this token until then, to the second."""
    claim = f"{_text(token.name.encode())}.{int(until.timestamp())}"
    mac = hmac.digest(bytes.fromhex(token.sha256), _PURPOSE + claim.encode(), "sha256")
    return f"{claim}.{_text(mac)}"


def read_session(value: str, known: TokenFile, now: Time) -> Caller:
    """Return whose session the value of a cookie is.

    Raises:
        ApiError: 401 when it has ended, its token is no longer known, or we never wrote it.
    """
    until = _end(value)
    if until is None or until <= now:
        raise _session_over()
    given = value.encode("utf-8", "surrogateescape")
    # what is written anew is compared, so no other spelling of the same session counts
    matches = [token for token in known.tokens if hmac.compare_digest(write_session(token, until).encode(), given)]
    if not matches:
        raise _session_over()
    return Caller(matches[0].name, matches[0].scopes, until)


def cookie_header(value: str, seconds: int, *, secure: bool = False) -> str:
    """Return a Set-Cookie header that no script can read and no other site's page makes the browser send.

    `seconds` is how long the browser keeps it; 0 removes it. `secure`: only over TLS.
    """
    return f"{COOKIE}={value}; Max-Age={seconds}; Path=/; HttpOnly; SameSite=Strict" + ("; Secure" if secure else "")


def _end(value: str) -> Time | None:
    _, _, rest = value.partition(".")
    second = rest.partition(".")[0]
    if not (second.isascii() and second.isdigit() and len(second) <= _SECOND_DIGITS):
        return None
    return dt.datetime.fromtimestamp(min(int(second), _LAST_SECOND), dt.UTC)


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _session_over() -> ApiError:
    return ApiError(
        401,
        "session-expired",
        "The session has ended.",
        hint="Sign in again with your token.",
        headers={"WWW-Authenticate": "Bearer", "Set-Cookie": cookie_header("", 0)},
    )
