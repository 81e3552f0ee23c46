"""`PUT /v1/nodes/{node}/actions`: a node is about to be serviced, or is back."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

from cluster.store import StoreError
from coordinator.answers import Told, bad_body, shown, state, store_away, told
from coordinator.bodies import decode_body, read_within
from coordinator.calls import CALLER, SERVICES, Call, Parameter, Services, as_json, with_one_of
from coordinator.drain import Undrainable, Wish, carry_out
from coordinator.errors import ApiError, not_ready
from coordinator.ordering import CATCH_UP
from licensing.ledger import Site
from licensing.value import Name

log = logging.getLogger(__name__)

LARGEST = 16 * 1024
THIS_NODE = "self"


class DrainOptions(msgspec.Struct, rename="camel"):
    """With `force` also where no other node is there to take over."""

    force: bool = False


class UndrainOptions(msgspec.Struct, rename="camel"):
    """Nothing can be chosen."""


class RoleActions(msgspec.Struct, rename="camel"):
    """One of both."""

    drain: DrainOptions | None = None
    undrain: UndrainOptions | None = None


class DrainAnswer(Told, frozen=True, kw_only=True):
    """Which node is drained or no longer is; `changed` is false where it was so already."""

    management_node_uuid: str
    drained: bool
    changed: bool
    text: str


async def act(request: web.Request) -> web.Response:
    """Write the wish; who leads and who holds the virtual IP follows, and is to be seen in the status."""
    services = request.app[SERVICES]
    body = decode_body(await read_within(request, LARGEST), RoleActions)
    if (body.drain is None) is (body.undrain is None):
        raise bad_body("Give either drain or undrain.")
    shown(request)
    site = services.outlook.look().site
    if site is None:
        raise not_ready()
    node = _named(request, services, site)
    wish = Wish(node, drained=body.drain is not None, force=body.drain is not None and body.drain.force)
    at = services.outlook.clock.now()
    try:
        changed = await carry_out(wish, request[CALLER], at, services.store, services.keys, site)
    except Undrainable as refused:
        raise _refused(str(refused)) from refused
    except StoreError as error:
        raise store_away(error) from error
    if changed:
        log.warning("node drained" if wish.drained else "node undrained", extra={"node": node, "by": request[CALLER]})
    await _seen_here(services, wish)
    name = services.outlook.look().roles.of(node).name
    text = f"Node {name} is {'' if wish.drained else 'not '}drained{'' if changed else ', as it was before'}."
    status = shown(request).status
    answer = DrainAnswer(management_node_uuid=node, drained=wish.drained, changed=changed, text=text, **told(status))
    return state(request, answer)


def _named(request: web.Request, services: Services, site: Site) -> str:
    named = request.match_info["node"]
    node = services.me.management_node_uuid if named == THIS_NODE else named
    if node not in site.members:
        text = f"{named[:64]!r} is no management node of this site."
        raise ApiError(404, "not-found", text, hint="See GET /v1/status for the site's nodes.")
    return node


async def _seen_here(services: Services, wish: Wish) -> None:
    """Wait until this node's board shows it: who changes something must not read what was before."""
    board = services.board
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(CATCH_UP):
            while not _shows(services, wish):
                await board.changed(board.version)


def _shows(services: Services, wish: Wish) -> bool:
    answer = services.board.answer
    nodes = answer.status.nodes if answer else ()
    return any((node.management_node_uuid, node.drained) == (wish.node, wish.drained) for node in nodes)


def _refused(why: str) -> ApiError:
    hint = "Bring the other node back first, or force it: this node then goes on leading for want of another."
    return ApiError(409, "nobody-takes-over", f"The node is not drained. {why}", hint=hint)


_ACTIONS = Annotated[RoleActions, with_one_of(("drain", "undrain"), "object")]

CALLS: tuple[Call, ...] = (
    Call(
        "PUT",
        "/nodes/{node}/actions",
        act,
        "admin",
        "Drain a node, so that it hands its roles over before it is serviced, or take that back.",
        {200: as_json(DrainAnswer)},
        as_json(_ACTIONS),
        (
            Parameter(
                "node",
                Annotated[Name, Meta(examples=["self"])],
                "The `managementNodeUuid` of a node of the site, or `self` for the node that is asked.",
                "path",
                required=True,
            ),
        ),
        (404, 409, 503),
    ),
)
