"""The platform's questions about the licence: what is in force, what it gives, and how the USB keys are.

Everything is answered from the board; what a status does not repeat is looked up in the mirror of the store,
or in what the disk remembers as long as the store was never read.
"""

from __future__ import annotations

from typing import Annotated, Any

from aiohttp import web

from coordinator.answers import LARGEST_QUESTION, Told, bad_body, shown, state, told
from coordinator.bodies import decode_body, read_within
from coordinator.calls import SERVICES, Call, as_json, with_one_of
from licensing.inventory import Inventory, inventory
from licensing.ledger import KeyState
from licensing.ukeys import UKey, UKeyReading, ukeys
from licensing.usage import Capabilities, capabilities


class LicenceAnswer(Told, frozen=True, kw_only=True):
    """The licence in force; there are no additions to licences."""

    inventory: Inventory
    additions: tuple[Inventory, ...] = ()


class AddonsAnswer(Told, frozen=True, kw_only=True):
    """The add-ons: none, because every edition is one licence."""

    addons: tuple[Inventory, ...] = ()


class CapabilitiesAnswer(Told, frozen=True, kw_only=True):
    """What the licence in force gives."""

    capabilities: Capabilities


class UKeysAnswer(Told, frozen=True, kw_only=True):
    """The USB keys with their readings, and the state of the key for the whole site."""

    inventories: tuple[UKeyReading, ...]
    key_state: KeyState
    key_state_reason: str


class UKeyStatusAnswer(Told, frozen=True, kw_only=True):
    """The USB keys as the platform's clients know them."""

    inventories: tuple[UKey, ...]


async def get_licence(request: web.Request) -> web.Response:
    """`GET /licenses`."""
    status, facts = shown(request).status, request.app[SERVICES].outlook.known()
    return state(request, LicenceAnswer(inventory=inventory(status, facts.ledger, facts.site), **told(status)))


async def get_addons(request: web.Request) -> web.Response:
    """`GET /licenses/addons`."""
    return state(request, AddonsAnswer(**told(shown(request).status)))


async def get_capabilities(request: web.Request) -> web.Response:
    """`GET /licenses/capabilities`."""
    status = shown(request).status
    return state(request, CapabilitiesAnswer(capabilities=capabilities(status), **told(status)))


async def get_ukeys(request: web.Request) -> web.Response:
    """`GET /licenses/ukeys`."""
    status = shown(request).status
    body = UKeysAnswer(
        inventories=_ukeys(request),
        key_state=status.key_state,
        key_state_reason=status.key_state_reason,
        **told(status),
    )
    return state(request, body)


ACTIONS = ("getLicenseUKeyStatus", "params")
"""The names under which clients of the platform put the action's parameters, of which it has none."""
Acting = Annotated[dict[str, Any], with_one_of(ACTIONS, "object")]


async def act(request: web.Request) -> web.Response:
    """`POST /licenses/actions`: the platform's own way to ask for the USB keys; its tags are ignored."""
    given = decode_body(await read_within(request, LARGEST_QUESTION), dict[str, Any])
    if not any(isinstance(given.get(action), dict) for action in ACTIONS):
        raise bad_body(f"It has none of the actions {' and '.join(ACTIONS)} with an object of parameters.")
    keys = tuple(UKey(key.management_node_uuid, key.key_id, key.status, key.assurance) for key in _ukeys(request))
    return state(request, UKeyStatusAnswer(inventories=keys, **told(shown(request).status)))


def _ukeys(request: web.Request) -> tuple[UKeyReading, ...]:
    return ukeys(shown(request).status, request.app[SERVICES].outlook.known().ledger)


CALLS: tuple[Call, ...] = (
    Call(
        "GET",
        "/licenses",
        get_licence,
        "read",
        "Tell the licence in force.",
        {200: as_json(LicenceAnswer)},
        refuses=(503,),
    ),
    Call(
        "GET",
        "/licenses/addons",
        get_addons,
        "read",
        "Tell the add-ons, of which there are none.",
        {200: as_json(AddonsAnswer)},
        refuses=(503,),
    ),
    Call(
        "GET",
        "/licenses/capabilities",
        get_capabilities,
        "read",
        "Tell what the licence in force gives.",
        {200: as_json(CapabilitiesAnswer)},
        refuses=(503,),
    ),
    Call(
        "GET",
        "/licenses/ukeys",
        get_ukeys,
        "read",
        "Tell the USB keys with their readings.",
        {200: as_json(UKeysAnswer)},
        refuses=(503,),
    ),
    Call(
        "POST",
        "/licenses/actions",
        act,
        "read",
        "Tell the USB keys as the platform's clients ask for them.",
        {200: as_json(UKeyStatusAnswer)},
        as_json(Acting),
        refuses=(503,),
    ),
)
