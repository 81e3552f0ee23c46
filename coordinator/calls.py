"""What a call of the API is, how it is described, and what its handler answers from."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from aiohttp import web
from msgspec import Meta

from cluster.keys import Keys
from cluster.store import Store
from coordinator.board import Board
from coordinator.desk import Desk
from coordinator.outlook import Outlook
from coordinator.published import Leader
from coordinator.tokens import Caller, Need
from licensing.keyring import Keyring

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

Content = Mapping[str, Any]
"""The bodies that there may be: media types with the types of what is sent as such; `bytes` for files."""
JSON, TEXT, FILE = "application/json", "text/plain", "application/octet-stream"
AS_TEXT: Content = {TEXT: str}


def as_json(kind: Any) -> Content:
    """Return the content of a JSON body of this type."""
    return {JSON: kind}


def with_one_of(members: Iterable[str], kind: str) -> Meta:
    """Describe of an object that it has at least one of these members, and as this JSON type."""
    choices = [{"required": [name], "properties": {name: {"type": kind}}} for name in members]
    return Meta(extra_json_schema={"anyOf": choices})


class Parameter(NamedTuple):
    """What a call takes beside a body, described by the type of its values and in a sentence."""

    name: str
    kind: Any
    text: str
    place: Literal["query", "path", "header"] = "query"
    required: bool = False


class Call(NamedTuple):
    """One call of the API: `scope` is what its token must allow, None where it needs none.

    The rest describes it: `gives` has the good answers by status and `takes` the body, if it has one; `refuses` the
    statuses of refusals beside those that follow from the rest, such as 401 from a scope.
    """

    method: str
    path: str
    handler: Handler
    scope: Need | None
    summary: str
    gives: Mapping[int, Content]
    takes: Content | None = None
    parameters: tuple[Parameter, ...] = ()
    refuses: tuple[int, ...] = ()


@dataclass(frozen=True)
class Services:
    """What handlers answer from: the board for reading, the desk for changing, and the store for records and usage."""

    board: Board
    desk: Desk
    outlook: Outlook
    store: Store
    keys: Keys
    me: Leader
    keyring: Keyring


SERVICES = web.AppKey("services", Services)
CALLER = web.RequestKey("caller", str)
"""Under this name of a request the guard leaves whose token was used; "console" on the root-only socket."""
ADMITTED = web.RequestKey("admitted", Caller)
"""Under this one all that it knows of the caller; both are missing where a call needs no token."""
