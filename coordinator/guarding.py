"""The guard in front of every call of the API: from where it may come, who may make it, and how often.

A caller shows a token, or a browser the cookie of a session. A browser tells on which page's behalf it calls; a page of
another site must not change anything here, even when it has made a name of its own point at this machine. Nothing here
knows what a call does.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import math
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.hdrs import AUTHORIZATION

from coordinator.errors import ApiError
from coordinator.sessions import COOKIE, read_session, write_session
from coordinator.tokens import (
    HOW,
    ON_CONSOLE,
    Caller,
    Need,
    Token,
    TokenFile,
    bearer,
    by_hash,
    check_scope,
    token_of,
    unauthorised,
)
from licensing.value import Time

COSTLY_PER_MINUTE = 10
"""So many calls that keep the store busy one caller may make."""
MOST_REMEMBERED = 10_000
"""Callers; beyond that those are forgotten that may do all they like again."""

_READING = {"GET", "HEAD"}
_OURSELVES = {"same-origin", "none"}


@dataclass(frozen=True)
class Rules:
    """`host_names`: names of this node beside the machine's own; `changes_per_minute`: by one caller.

    `session_lifetime`: how long somebody who signs in on the page stays signed in. `wrong_tokens_per_minute`: so many
    one address may show. The right ones are let in all the same, or anybody could lock out everybody else who calls
    from there; that nobody guesses one is for their length to see to.
    """

    host_names: tuple[str, ...] = ()
    changes_per_minute: int = 120
    session_lifetime: dt.timedelta = dt.timedelta(hours=8)
    wrong_tokens_per_minute: int = 10


class Throttle:
    """Lets every caller do something so often a minute, all at once if they like; `clock` in seconds."""

    def __init__(self, per_minute: int, clock: Callable[[], float]) -> None:
        self._most = float(per_minute)
        self._clock = clock
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, caller: str) -> float:
        """Count one more; return 0 when it is let through, else the seconds until the next may be."""
        wait = max(1 - self._now_left(caller), 0.0) * 60 / self._most
        if not wait:
            now = self._clock()
            if len(self._left) >= MOST_REMEMBERED:
                self._left = {known: kept for known, kept in self._left.items() if self._now_left(known) < self._most}
            self._left[caller] = (self._now_left(caller) - 1, now)
        return wait

    def _now_left(self, caller: str) -> float:
        now = self._clock()
        left, at = self._left.get(caller, (self._most, now))
        return min(self._most, left + (now - at) * self._most / 60)


class Guard:
    """Decides on every call whether it goes on. `now` is effective time, `clock` in seconds."""

    def __init__(
        self,
        tokens: TokenFile,
        rules: Rules,
        now: Callable[[], Time],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.generation = 0
        """How often the tokens were replaced: what was decided before the last time has to be decided again."""
        self._tokens, self._by_hash = tokens, by_hash(tokens)
        self._names = _own_names() | {name.lower() for name in rules.host_names}
        self._changes = Throttle(rules.changes_per_minute, clock)
        self._costly = Throttle(COSTLY_PER_MINUTE, clock)
        self._wrong_tokens = Throttle(rules.wrong_tokens_per_minute, clock)
        self._lifetime = rules.session_lifetime
        self._now = now

    def know(self, tokens: TokenFile) -> None:
        """Let these tokens count from now on, and no others; sessions of others have ended."""
        self._tokens, self._by_hash = tokens, by_hash(tokens)
        self.generation += 1

    def admit(self, request: web.Request, need: Need | None) -> Caller | None:
        """Return who makes a call; None where it needs none of its caller. The root-only socket needs no token.

        An Authorization header wins over a cookie.

        Raises:
            ApiError: 401, 403 or 429.
        """
        if _on_socket(request):
            return ON_CONSOLE
        header = request.headers.get(AUTHORIZATION)
        session = request.cookies.get(COOKIE) if header is None and need is not None else None
        if request.method not in _READING:
            self._check_origin(request, by_browser=session is not None)
        if need is None:
            return None
        if session is None:
            token = self._known(request, bearer(header), HOW)
            caller = Caller(token.name, token.scopes)
        else:
            caller = read_session(session, self._tokens, self._now())
        check_scope(caller, need)
        if need == "admin" and (wait := self._changes.take(caller.name)):
            raise _too_often("This token has asked for too many changes in the last minute.", wait)
        return caller

    def confirm(self, request: web.Request, caller: Caller, need: Need) -> None:
        """Refuse whoever was admitted a while ago and would not be any more.

        Raises:
            ApiError: 401, 403 or 429.
        """
        if caller != ON_CONSOLE:  # whose connection may be gone by now, and with it how we would know
            self.admit(request, need)

    def sign_in(self, request: web.Request, text: str) -> tuple[Caller, str]:
        """Return whose token this is, until when the session lasts, and the value of the cookie that stands for it.

        Raises:
            ApiError: 401 for a token that is not known, 429 after too many of them from the same address.
        """
        token = self._known(request, text, "Check the token; the site's operator gives tokens out.")
        until = (self._now() + self._lifetime).replace(microsecond=0)
        return Caller(token.name, token.scopes, until), write_session(token, until)

    def limit_costly(self, caller: Caller) -> None:
        """Count one more call that keeps the store busy; the console may make as many as it likes.

        Raises:
            ApiError: 429.
        """
        if caller != ON_CONSOLE and (wait := self._costly.take(caller.name)):
            raise _too_often("This token has asked for too much work in the last minute.", wait)

    @property
    def session_seconds(self) -> int:
        """For how many seconds a session lasts."""
        return int(self._lifetime.total_seconds())

    def _known(self, request: web.Request, text: str, hint: str) -> Token:
        """Return the token with this text.

        Raises:
            ApiError: 401 for one that is not known, 429 after too many of them from the same address.
        """
        token = token_of(text, self._by_hash)
        if token is not None:
            return token
        if wait := self._wrong_tokens.take(network_of(request.remote or "")):
            raise _too_often("Too many wrong tokens were given from this address in the last minute.", wait)
        raise unauthorised("The token is not known.", hint)

    def _check_origin(self, request: web.Request, *, by_browser: bool) -> None:
        """Refuse what a browser sends for another site's page; what is no browser says nothing of an origin."""
        origin, asked = request.headers.get("Origin"), request.headers.get("Host", "")
        site = request.headers.get("Sec-Fetch-Site")
        if by_browser and origin is None and site is None:
            raise _unknown_origin()
        if site is not None and site not in _OURSELVES:
            raise _foreign(origin or "another site")
        if origin is None:
            return
        if _place(origin) != asked.lower() or not self._is_ours(asked):
            raise _foreign(origin)
        # whoever is on the way can make such a page of our name; one of HTTPS may reach us through a proxy
        if request.secure and not origin.lower().startswith("https:"):
            raise _foreign(origin)

    def _is_ours(self, host: str) -> bool:
        name = _name_in(host)
        return name in self._names or _is_address(name)


def _on_socket(request: web.Request) -> bool:
    """Whether it came on the root-only socket: only a socket of the file system has a path for its own name."""
    return isinstance(request.protocol.sockname, str)


def network_of(peer: str) -> str:
    """Return what stands for an address: with IPv6 its network, of which everybody has all addresses."""
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return peer
    if isinstance(address, ipaddress.IPv4Address) or address.ipv4_mapped:
        return peer
    return str(ipaddress.ip_network((address, 64), strict=False))


def _own_names() -> set[str]:
    return {"localhost", socket.gethostname().lower()}


def _place(origin: str) -> str:
    """Return host and port of an origin; empty for one that has none, such as `null`."""
    return origin.partition("://")[2].lower()


def _name_in(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _foreign(origin: str) -> ApiError:
    return ApiError(
        403,
        "foreign-origin",
        f"A page of {origin[:200]!r} may not make this call.",
        hint="Call from this node's own page, or name the host in the setting host_names.",
    )


def _unknown_origin() -> ApiError:
    """A browser's session without a word of which page it is; every browser that is still looked after says so."""
    return ApiError(
        403,
        "foreign-origin",
        "The call does not say which page makes it, which a session must when it changes something.",
        hint="Call from this node's own page, or send the token itself in an Authorization header.",
    )


def _too_often(text: str, wait: float) -> ApiError:
    return ApiError(
        429,
        "too-many-requests",
        text,
        hint="Wait as long as Retry-After says, in seconds.",
        headers={"Retry-After": str(math.ceil(wait))},
    )


GUARD = web.AppKey("guard", Guard)
