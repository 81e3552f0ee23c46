"""Which records somebody asks for, in which order: the query parameters that the calls about the history share."""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar, get_args

from aiohttp import web
from msgspec import Meta

from cluster.record_filter import RecordFilter
from cluster.record_pages import SortBy
from coordinator.calls import SERVICES, Parameter
from coordinator.errors import bad_parameter
from licensing.records import ManagementType
from licensing.status import Validity
from licensing.value import Value

T = TypeVar("T")

LONGEST_TEXT = 256

_SORT_BY: dict[str, SortBy] = {name: name for name in get_args(SortBy)}
_DESCENDING = {"asc": False, "desc": True}
_MANAGEMENT = {kind.value: kind for kind in ManagementType}
_STATUS = {status.value: status for status in Validity}


class Order(Value, frozen=True):
    """By which date to sort, and whether the newest comes first."""

    sort_by: SortBy
    descending: bool


def order_in(request: web.Request) -> Order:
    """Return the order that is asked for.

    Raises:
        ApiError: 400.
    """
    return Order(choice(request, "sortBy", _SORT_BY), choice(request, "sortDirection", _DESCENDING))


def filter_in(request: web.Request) -> RecordFilter:
    """Return what the records must be like.

    Raises:
        ApiError: 400.
    """
    text = request.query.get("text", "")
    if len(text) > LONGEST_TEXT:
        raise bad_parameter("text", text[:64], f"at most {LONGEST_TEXT} characters")
    return RecordFilter(
        management_type=choice(request, "managementType", _MANAGEMENT) if "managementType" in request.query else None,
        status=choice(request, "status", _STATUS) if "status" in request.query else None,
        text=text,
        nodes=_nodes_called(request, text) if text else frozenset(),
    )


def _nodes_called(request: web.Request, text: str) -> frozenset[str]:
    """Return the uuids of the nodes that the answer shows under a name with this text."""
    answer = request.app[SERVICES].board.answer
    nodes = answer.status.nodes if answer else ()
    return frozenset(node.management_node_uuid for node in nodes if text.casefold() in node.name.casefold())


def choice(request: web.Request, name: str, allowed: dict[str, T]) -> T:
    """Return what a parameter stands for; where it is left out the first is meant.

    Raises:
        ApiError: 400, it is none of those that are allowed.
    """
    given = request.query.get(name, next(iter(allowed)))
    if given not in allowed:
        raise bad_parameter(name, given[:64], " or ".join(word for word in allowed if word))
    return allowed[given]


IN_ORDER = (
    Parameter("sortBy", SortBy, "The date by which to sort; `uploadDate` when left out."),
    Parameter("sortDirection", Literal["asc", "desc"], "Whether to begin with the oldest or the newest."),
)
FILTERED = (
    Parameter("managementType", ManagementType, "Only records of licences that are bound to this."),
    Parameter("status", Validity, "Only records that say this of their licence."),
    Parameter(
        "text",
        Annotated[str, Meta(max_length=LONGEST_TEXT)],
        "Only records that have this text in sentence, item, name, keyId, who, node or the node's name, in capitals or "
        "not.",
    ),
)
