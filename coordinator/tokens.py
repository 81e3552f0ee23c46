"""Who may call the API: bearer tokens with scopes, kept as hashes and found by them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta

from coordinator.errors import ApiError
from licensing.value import Name, Time, Value

Scope = Literal["read", "usage", "admin"]
Need = Scope | Literal["any"]
"""What a call needs of whoever makes it: a scope, or any token that is known."""


class Token(Value, frozen=True):
    """One token: who it was given to, the SHA-256 of its text in hex, and what it allows."""

    name: Name
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    scopes: tuple[Scope, ...]


class TokenFile(Value, frozen=True):
    """The tokens file; several tokens may be valid at once, so that they can be changed one after the other."""

    tokens: tuple[Token, ...]


class Caller(Value, frozen=True):
    """Who makes a call: named like the token, and what it allows. `expires`: when a session ends; None for a token."""

    name: str
    scopes: tuple[Scope, ...]
    expires: Time | None = None


HOW = "Send `Authorization: Bearer <token>` with a token that the site's operator gave you."
"""What to do without a token that is known."""
CONSOLE = "console"
"""The name of whoever calls on the root-only socket."""
ON_CONSOLE = Caller(CONSOLE, get_args(Scope))


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


def by_hash(known: TokenFile) -> Mapping[str, Token]:
    """Return the tokens by their hashes; of several with the same text the first one counts."""
    return {token.sha256: token for token in reversed(known.tokens)}


def token_of(text: str, known: Mapping[str, Token]) -> Token | None:
    """Return the token with this text, of those that `by_hash` returned; None where it is not known.

    The time that this takes can tell something of the hash of what was given, which says nothing of any known text.
    """
    return known.get(hashlib.sha256(text.strip().encode("utf-8", "surrogateescape")).hexdigest())


def bearer(header: str | None) -> str:
    """Return the text of the token that an Authorization header carries.

    `Bearer` and the platform's own `OAuth` scheme mean the same.

    Raises:
        ApiError: 401 without a token.
    """
    scheme, _, text = (header or "").strip().partition(" ")
    if scheme.lower() not in ("bearer", "oauth") or not text.strip():
        raise unauthorised("The call carries no token.")
    return text


def check_scope(caller: Caller, need: Need) -> None:
    """Refuse a caller whose token does not allow what a call needs.

    Raises:
        ApiError: 403.
    """
    if need != "any" and need not in caller.scopes:
        raise ApiError(
            403,
            "forbidden",
            f"The token {caller.name} lacks the scope {need}.",
            hint="Use a token with that scope.",
        )


def unauthorised(description: str, hint: str = HOW) -> ApiError:
    """A call without a token that is known. The challenge is one at which no browser asks for a password."""
    return ApiError(401, "unauthorised", description, hint=hint, headers={"WWW-Authenticate": "Bearer"})
