"""A small client of the site's HTTP API: where it is, the token, requests, and the shape of a status.

It reads tolerantly: members that this version does not know are ignored, so that an older console can talk to a newer
site. Knows nothing of a terminal.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import aiohttp
import msgspec
from msgspec import Struct

from cluster.https import BadAuthority, tls_problem, trusting
from licensing.value import Time, is_possible

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CONNECT_WITHIN = 2.0
ANSWER_WITHIN = 5.0
UNAVAILABLE = 503
LONGEST_AGE = 3_153_600_000.0
"""Seconds, a century; no answer is older."""


class Unreachable(Exception):  # noqa: N818 - it says what is wrong
    """None of the addresses answered; the text has each with its reason."""


@dataclass(frozen=True)
class Answer:
    """What the site answered; header names are matched in any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether it is a success."""
        return self.status < 400  # noqa: PLR2004 - where HTTP's errors begin


@dataclass(frozen=True)
class Request:
    """One request: `path` with its query, and what is sent; `within` is how many seconds an answer may take."""

    method: str
    path: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    within: float = ANSWER_WITHIN

    @property
    def changes(self) -> bool:
        """Whether it may change something."""
        return self.method != "GET"


@dataclass(frozen=True)
class Api:
    """Where the site answers, in order of preference, and the bearer token, if any.

    With a `socket`, all goes through this unix socket, whatever the host in `urls`. `ca` is the file of the authority
    that HTTPS trusts; the system's own without.
    """

    urls: tuple[str, ...]
    token: str | None = None
    socket: Path | None = None
    ca: Path | None = None

    async def get(self, path: str, within: float = ANSWER_WITHIN, etag: str | None = None) -> Answer:
        """Return the answer to a GET.

        With the `etag` of an answer that is known already, the answer is 304 where that is still the newest.

        Raises:
            Unreachable: none did, or an address is not one.
        """
        return await self.send(Request("GET", path, headers={"If-None-Match": etag} if etag else {}, within=within))

    async def send(self, request: Request) -> Answer:
        """Return the answer of the first address that gives one; 503 only where no other has a better one.

        A request that may change something goes to the next address only where the one before cannot have acted on it.

        Raises:
            Unreachable: none did, or an address is not one.
        """
        timeout = aiohttp.ClientTimeout(total=request.within, sock_connect=CONNECT_WITHIN)
        own = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        failures, unavailable = list[str](), list[Answer]()
        async with aiohttp.ClientSession(timeout=timeout, headers=own, connector=self._connector()) as session:
            for url in self.urls:
                try:
                    answer = await _ask(session, url, request)
                except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                    failures.append(f"{self.socket or url}: {_why(error, url)}")
                    if request.changes and not isinstance(error, _NOT_SENT):
                        raise Unreachable(f"{failures[-1]}; whether it was carried out is not known") from error
                else:
                    if answer.status != UNAVAILABLE:
                        return answer
                    unavailable.append(answer)
        if unavailable:
            return unavailable[0]
        raise Unreachable("; ".join(failures))

    def _connector(self) -> aiohttp.BaseConnector:
        if self.socket:
            return aiohttp.UnixConnector(str(self.socket))
        if self.ca is None:  # the system's authorities are loaded where they are needed
            return aiohttp.TCPConnector()
        try:
            return aiohttp.TCPConnector(ssl=trusting(self.ca))
        except BadAuthority as error:
            raise Unreachable(str(error)) from error


_NOT_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL, ValueError)
_NO_HTTP = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, aiohttp.ClientResponseError)
"""How it looks where a request is not understood at all."""


async def _ask(session: aiohttp.ClientSession, url: str, request: Request) -> Answer:
    url, body = url.rstrip("/") + request.path, request.body or None
    async with session.request(request.method, url, data=body, headers=request.headers) as answer:
        return Answer(answer.status, answer.headers, await answer.read())


def _why(error: Exception, url: str) -> str:
    if problem := tls_problem(error, "give the authority of the site with --ca FILE"):
        return problem
    if isinstance(error, aiohttp.InvalidURL):
        return "not an address of the form https://HOST:PORT"
    if isinstance(error, TimeoutError):
        return "does not answer in time"
    if isinstance(error, aiohttp.ClientConnectorError):
        return error.os_error.strerror or str(error.os_error)
    why = str(error) or type(error).__name__
    if url.startswith("http:") and isinstance(error, _NO_HTTP):
        return f"{why}: where it speaks HTTPS, write https:// in the address"
    return why


# --- the shape of GET /v1/status -----------------------------------------------------------------------------------


class Body(Struct, frozen=True, rename="camel"):
    """Base of what is read from answers: tolerant of members that it does not know."""


class Licence(Body, frozen=True):
    """The licence in force."""

    status: str
    name: str | None = None
    expires: Time | None = None
    edition: str | None = None
    source: str | None = None
    key_id: str | None = None
    issued: Time | None = None
    service_expires: Time | None = None


class Buffer(Body, frozen=True):
    """The buffer licence."""

    expires: Time


class Banner(Body, frozen=True):
    """The sentence on top of the platform's pages."""

    level: str
    text: str
    redirect: bool = False


class Key(Body, frozen=True):
    """One inserted USB key."""

    key_id: str
    reading: str
    reason: str = ""
    assurance: str | None = None


class Node(Body, frozen=True):
    """One management node; `abandoned_readers` are processes that hang while they read a USB key.

    `version` is that of its software, empty where it is not known.
    """

    management_node_uuid: str
    name: str
    reachable: bool
    vip: bool
    ukeys: tuple[Key, ...] = ()
    problem: str = ""
    drained: bool = False
    abandoned_readers: int = 0
    version: str = ""


class Leader(Body, frozen=True):
    """The node that decides."""

    management_node_uuid: str
    name: str


class Units(Body, frozen=True):
    """A usage or a quota; a unit that is None is unknown, or unlimited."""

    hosts: int | None = None
    cpu_sockets: int | None = None
    cpu_cores: int | None = None
    vms: int | None = None
    reported_at: Time | None = None
    stale: bool = False


class SiteStatus(Body, frozen=True):
    """Everything at once."""

    key_state: str
    license: Licence
    buffer: Buffer | None
    alerts: tuple[str, ...]
    restricted: bool
    start_allowed: bool
    nodes: tuple[Node, ...]
    index: int
    as_of: Time
    stale: bool
    key_state_reason: str = ""
    banner: Banner | None = None
    usage: Units | None = None
    quota: Units | None = None
    leader: Leader | None = None
    reasons: tuple[str, ...] = ()
    site_id: str = ""
    vip_holders: tuple[str, ...] = ()
    vip_state: str | None = None


def parse_status(answer: Answer) -> SiteStatus:
    """Return the status in an answer.

    Raises:
        msgspec.DecodeError: it is no status; the server is something else, or much older.
    """
    return msgspec.json.decode(answer.body, type=SiteStatus)


def age_of(answer: Answer) -> float:
    """Return how many seconds ago the answer was true; 0 where the server does not say, or says what cannot be."""
    try:
        age = float(answer.headers.get("Age", "0"))
    except ValueError:
        return 0.0
    return age if 0 <= age <= LONGEST_AGE else 0.0


def told_at(answer: Answer) -> dt.datetime | None:
    """Return when the server answered, by its own clock; None where it does not say."""
    try:
        at = parsedate_to_datetime(answer.headers.get("Date", "")).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return None
    return at if is_possible(at) else None


def members(answer: Answer, *names: str) -> bytes:
    """Return a JSON object with some members of the answer, as they were told.

    Raises:
        msgspec.DecodeError: the answer is no JSON.
    """
    told = msgspec.json.decode(answer.body)
    return msgspec.json.encode({name: told.get(name) for name in names})


def error_text(answer: Answer) -> str:
    """Return the server's own words for an error, with its hint."""
    try:
        error = msgspec.json.decode(answer.body)["error"]
        words = [error.get(part) for part in ("description", "details", "hint")]
        return " ".join(str(each) for each in words if each)
    except (msgspec.DecodeError, LookupError, TypeError, AttributeError):
        return f"the server answered {answer.status} without saying why."
