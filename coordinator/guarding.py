"""The guard in front of every call of the API: from where it may come, who may make it, and how often.

A browser tells on which page's behalf it calls; a page of another site must not change anything here, even when it has
made a name of its own point at this machine. Nothing here knows what a call does.
"""

from __future__ import annotations

import ipaddress
import math
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from aiohttp import web

from coordinator.errors import ApiError
from coordinator.tokens import CONSOLE, Scope, TokenFile, authorise

_READING = {"GET", "HEAD"}
_OURSELVES = {"same-origin", "none"}


@dataclass(frozen=True)
class Rules:
    """`host_names`: names of this node beside the machine's own; `changes_per_minute`: by one caller."""

    host_names: tuple[str, ...] = ()
    changes_per_minute: int = 120


class Throttle:
    """Lets every caller do something so often a minute, all at once if they like; `clock` in seconds."""

    def __init__(self, per_minute: int, clock: Callable[[], float]) -> None:
        self._most = float(per_minute)
        self._clock = clock
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, caller: str) -> float:
        """Count one more; return 0 when it is let through, else the seconds until the next may be."""
        now = self._clock()
        left, at = self._left.get(caller, (self._most, now))
        left = min(self._most, left + (now - at) * self._most / 60)
        allowed = left >= 1
        self._left[caller] = (left - 1 if allowed else left, now)
        return 0.0 if allowed else (1 - left) * 60 / self._most


class Guard:
    """Decides on every call whether it goes on."""

    def __init__(self, tokens: TokenFile, rules: Rules, clock: Callable[[], float] = time.monotonic) -> None:
        self._tokens = tokens
        self._names = _own_names() | {name.lower() for name in rules.host_names}
        self._throttle = Throttle(rules.changes_per_minute, clock)

    def admit(self, request: web.Request, scope: Scope) -> str:
        """Return who makes a call that needs this scope; the root-only socket needs no token.

        Raises:
            ApiError: 401, 403 or 429.
        """
        if _on_socket(request):
            return CONSOLE
        if request.method not in _READING:
            self._check_origin(request)
        caller = authorise(request.headers.get("Authorization"), scope, self._tokens).name
        if scope == "admin" and (wait := self._throttle.take(caller)):
            raise _too_often(wait)
        return caller

    def _check_origin(self, request: web.Request) -> None:
        """Refuse what a browser sends for another site's page; what is no browser says nothing of an origin."""
        origin, asked = request.headers.get("Origin"), request.headers.get("Host", "")
        if request.headers.get("Sec-Fetch-Site", "none") not in _OURSELVES:
            raise _foreign(origin or "another site")
        if origin is not None and (_place(origin) != asked.lower() or not self._is_ours(asked)):
            raise _foreign(origin)

    def _is_ours(self, host: str) -> bool:
        name = _name_in(host)
        return name in self._names or _is_address(name)


def _on_socket(request: web.Request) -> bool:
    own = request.transport.get_extra_info("socket") if request.transport else None
    return own is not None and own.family == socket.AF_UNIX


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


def _too_often(wait: float) -> ApiError:
    return ApiError(
        429,
        "too-many-requests",
        "This token has asked for too many changes in the last minute.",
        hint="Wait as long as Retry-After says, in seconds.",
        headers={"Retry-After": str(math.ceil(wait))},
    )
