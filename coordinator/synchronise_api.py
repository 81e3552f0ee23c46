"""Synchronise: have the USB keys read again, wait for it, and install what they carry."""

from __future__ import annotations

import msgspec
from aiohttp import web

from cluster.store import StoreError
from coordinator.answers import store_away
from coordinator.bodies import decode_body, read_within
from coordinator.calls import SERVICES, Call, as_json
from coordinator.errors import ApiError, not_ready
from coordinator.facts import Facts
from coordinator.ordering import CHANGED, ordered
from coordinator.orders import Synchronise
from coordinator.rereading import reread
from licensing.seen import Visibility

LARGEST = 16 * 1024


class ReloadLicense(msgspec.Struct, rename="camel"):
    """The nodes that are to read their USB keys again; without any, all that can be reached."""

    management_node_uuids: tuple[str, ...] | None = None


class ReloadAction(msgspec.Struct, rename="camel"):
    """The action of the platform that is called Synchronise here."""

    reload_license: ReloadLicense


async def synchronise(request: web.Request) -> web.Response:
    """`PUT /licenses/actions` with `reloadLicense`: on the nodes that are named, or on all that can be reached."""
    body = decode_body(await read_within(request, LARGEST), ReloadAction)
    services = request.app[SERVICES]
    nodes = _asked(body.reload_license.management_node_uuids or (), services.outlook.look())
    try:
        await reread(services.store, services.outlook.mirror, services.keys, nodes)
    except StoreError as error:
        raise store_away(error) from error
    except TimeoutError:
        raise _not_done() from None
    return await ordered(request, Synchronise())


def _asked(named: tuple[str, ...], facts: Facts) -> tuple[str, ...]:
    """Return which nodes are to read their keys; every one that is named must be there."""
    if facts.site is None:
        raise not_ready()
    live = tuple(view.node for view in facts.views if view.visibility is Visibility.LIVE)
    for node in named:
        if node not in facts.site.members:
            text = f"{node[:64]!r} is no management node of this site."
            raise ApiError(404, "not-found", text, hint="See GET /v1/status for the site's nodes.")
        if node not in live:
            text = f"The node {node} cannot be reached, so its USB keys cannot be read now."
            raise ApiError(409, "node-unreachable", text, hint="Start its agent, or name only the other node.")
    return tuple(dict.fromkeys(named)) or live


def _not_done() -> ApiError:
    return ApiError(
        503,
        "keys-not-read",
        "A node has not read its USB keys again in time.",
        hint="See the log of the agents; remove a key that does not answer.",
        headers={"Retry-After": "5"},
    )


CALLS = (
    Call(
        "PUT",
        "/licenses/actions",
        synchronise,
        "admin",
        "Have the USB keys read again, wait for it, and install what they carry.",
        CHANGED,
        as_json(ReloadAction),
        refuses=(404, 409, 422, 503),
    ),
)
