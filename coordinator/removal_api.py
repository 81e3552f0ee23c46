"""`GET /v1/licenses/ukeys/removal`: what pulling out a USB key now would bring.

Every node works it out by itself from what is stored, with the law; nothing is changed by asking. The key is named in
the query and not in the path, because a key may call itself `..` or have a slash in its id.
"""

from __future__ import annotations

from typing import Annotated

from aiohttp import web
from msgspec import Meta
from msgspec.structs import replace

from coordinator.answers import Told, shown, state, told
from coordinator.calls import SERVICES, Call, Parameter, as_json
from coordinator.errors import ApiError, bad_parameter, not_known
from licensing.ledger import Ledger, Site
from licensing.preview import NotInserted, RemovalPreview, preview_removal
from licensing.seen import InsertedKey, NodeView, Reading
from licensing.status import Status

LONGEST_ID = 256
KeyId = Annotated[str, Meta(min_length=1, max_length=LONGEST_ID)]


class RemovalAnswer(Told, frozen=True, kw_only=True):
    """What the removal would bring; `reasons` are about the site as it is now."""

    removal: RemovalPreview


async def get_removal(request: web.Request) -> web.Response:
    """Answer with the preview for the key `?keyId=`, also while nobody leads: then for what was seen last."""
    key_id = request.query.get("keyId", "")
    if not 1 <= len(key_id) <= LONGEST_ID:
        raise bad_parameter("keyId", key_id[:64], f"the id of an inserted key, 1 to {LONGEST_ID} characters")
    status, outlook = shown(request).status, request.app[SERVICES].outlook
    facts, now = outlook.look(), outlook.clock.now()
    site, ledger = _needed(facts.site, facts.ledger)
    try:
        removal = preview_removal(site, _as_told(facts.views, status), ledger, now, outlook.policy, key_id)
    except NotInserted as refused:
        raise _not_inserted(refused) from refused
    return state(request, RemovalAnswer(removal=removal, **told(status)))


def _as_told(views: tuple[NodeView, ...], status: Status) -> tuple[NodeView, ...]:
    """Return the nodes with every key at fault that the leader has called so: it knows deadlines that others do not."""
    at_fault = {
        (node.management_node_uuid, key.key_id): InsertedKey(key.key_id, key.reading, key.reason)
        for node in status.nodes
        for key in node.ukeys
        if key.reading not in {Reading.OK, Reading.PENDING}
    }
    return tuple(
        replace(view, keys=tuple(at_fault.get((view.node, key.key_id), key) for key in view.keys)) for view in views
    )


def _needed(site: Site | None, ledger: Ledger | None) -> tuple[Site, Ledger]:
    if site is None or ledger is None:
        raise not_known("nothing can be foretold")
    return site, ledger


def _not_inserted(refused: NotInserted) -> ApiError:
    there = ", ".join(refused.inserted) or "none"
    return ApiError(404, "not-inserted", str(refused), hint=f"Name a key that is inserted: {there}.")


CALLS: tuple[Call, ...] = (
    Call(
        "GET",
        "/licenses/ukeys/removal",
        get_removal,
        "read",
        "Tell what pulling out a USB key now would bring: the key state, the licence and the buffer.",
        {200: as_json(RemovalAnswer)},
        parameters=(Parameter("keyId", KeyId, "The id of an inserted USB key.", required=True),),
        refuses=(404, 503),
    ),
)
