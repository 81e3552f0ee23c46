"""Who may call the API: bearer tokens with scopes, kept as hashes and compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from coordinator.errors import ApiError
from licensing.model import Name, Value

CONSOLE = "console"
"""The name of whoever calls on the root-only socket."""

Scope = Literal["read", "usage", "admin"]


class Token(Value, frozen=True):
    """One token: who it was given to, the SHA-256 of its text in hex, and what it allows."""

    name: Name
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    scopes: tuple[Scope, ...]


class TokenFile(Value, frozen=True):
    """The tokens file; several tokens may be valid at once, so that they can be changed one after the other."""

    tokens: tuple[Token, ...]


class BadTokens(ValueError):  # noqa: N818 - it says what the file is
    """The tokens file cannot be used; the text says why."""


def read_tokens(path: Path) -> TokenFile:
    """Read the tokens file.

    Raises:
        BadTokens: it cannot be read or has another form.
    """
    try:
        known = msgspec.json.decode(path.read_bytes(), type=TokenFile)
    except OSError as error:
        raise BadTokens(f"{path}: cannot be read: {error.strerror}; name the tokens file in the settings") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadTokens(f"{path}: is not a tokens file: {error}") from error
    if any(token.name == CONSOLE for token in known.tokens):
        raise BadTokens(f"{path}: {CONSOLE!r} is how the history names the console itself; give the token another name")
    return known


def authorise(header: str | None, scope: Scope, known: TokenFile) -> Token:
    """Return the token that an Authorization header carries.

    `Bearer` and the platform's own `OAuth` scheme mean the same.

    Raises:
        ApiError: 401 without a known token, 403 when it lacks the scope.
    """
    scheme, _, text = (header or "").strip().partition(" ")
    if scheme.lower() not in ("bearer", "oauth") or not text.strip():
        raise _unauthorised("The call carries no token.")
    given = hashlib.sha256(text.strip().encode("utf-8", "surrogateescape")).hexdigest()
    # every known token is compared, so that the time taken says nothing about which one it was
    matches = [token for token in known.tokens if hmac.compare_digest(token.sha256, given)]
    if not matches:
        raise _unauthorised("The token is not known.")
    if scope not in matches[0].scopes:
        raise ApiError(
            403,
            "forbidden",
            f"The token {matches[0].name} lacks the scope {scope}.",
            hint="Use a token with that scope.",
        )
    return matches[0]


def _unauthorised(description: str) -> ApiError:
    return ApiError(
        401,
        "unauthorised",
        description,
        hint="Send `Authorization: Bearer <token>` with a token that the site's operator gave you.",
        headers={"WWW-Authenticate": "Bearer"},
    )
