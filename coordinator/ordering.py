"""Giving an order for a call and answering with what became of it: the part that all changing calls share."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping

from aiohttp import web

from cluster.values import BadValue
from coordinator.answers import Told, shown, told
from coordinator.calls import CALLER, SERVICES, Content, Services, as_json
from coordinator.desk import Closed, Receipt
from coordinator.errors import ApiError
from coordinator.orders import Errand, Outcome, Restore
from coordinator.tokens import CONSOLE
from licensing.canonical import encode
from licensing.inventory import Inventory, inventory
from licensing.value import Value

UNAVAILABLE = 503
CATCH_UP = 2.0
"""Seconds that an answer waits until this node shows what was changed."""


class ChangeAnswer(Told, frozen=True, kw_only=True):
    """What a change did, see `coordinator.orders.Outcome`, and the licence that is in force after it.

    `id`: the order's, under which the outcome can be asked for again for some minutes.
    """

    id: str
    changed: bool
    text: str
    hint: str
    node: str
    licences: tuple[str, ...]
    warnings: tuple[str, ...]
    inventory: Inventory


class WaitingAnswer(Value, frozen=True):
    """The order was accepted and its outcome is not known yet; ask `location` for it."""

    id: str
    location: str
    text: str
    hint: str


CHANGED: Mapping[int, Content] = {200: as_json(ChangeAnswer), 202: as_json(WaitingAnswer)}
"""What `ordered` answers, by status."""


async def ordered(request: web.Request, errand: Errand) -> web.Response:
    """Give an order in the caller's name and answer the call with its outcome.

    Raises:
        ApiError: it was refused, or could not be given.
    """
    return await answer_of(request, await give(request, errand))


async def answer_of(request: web.Request, receipt: Receipt) -> web.Response:
    """Answer the call with what became of its order.

    Raises:
        ApiError: it was refused.
    """
    if receipt.outcome is None:
        return still_waiting(request, receipt.order_id)
    refuse(receipt.outcome)
    services = request.app[SERVICES]
    await shown_here(services)
    if services.board.answer is None:  # it is done all the same, and must not look as if it were not
        return still_waiting(request, receipt.order_id)
    return json_answer(_changed(request, receipt.order_id, receipt.outcome))


async def give(request: web.Request, errand: Errand | Restore) -> Receipt:
    """Give an order in the caller's name and wait for its outcome.

    Raises:
        ApiError: it could not be given.
    """
    who = request[CALLER]
    try:
        node = request.match_info.get("node", "")
        return await request.app[SERVICES].desk.give(errand, who, console=who == CONSOLE, node=node)
    except Closed as closed:
        raise unavailable(str(closed)) from closed
    except BadValue as bad:
        raise ApiError(413, "too-large", f"The order {bad.why}.", hint="Install fewer licences at a time.") from bad


def refuse(outcome: Outcome) -> None:
    """Raise what refused an order as the answer of the call."""
    if outcome.refused:
        headers = {"Retry-After": "2"} if outcome.http == UNAVAILABLE else {}
        raise ApiError(outcome.http, outcome.code, outcome.text, hint=outcome.hint, headers=headers)


def still_waiting(request: web.Request, order_id: str) -> web.Response:
    """Return the answer for an order that a leader has not answered yet."""
    prefix = _prefix_of(request.path)
    location = f"{prefix}/licenses/uploads/{order_id}"
    text, hint = "The order was accepted; its outcome is not known yet.", f"Ask for it: GET {location}."
    return json_answer(WaitingAnswer(order_id, location, text, hint), 202, {"Location": location, "Retry-After": "1"})


def _prefix_of(path: str) -> str:
    """Return under which prefix a call was made: its path without the resource."""
    return path.partition("/licenses")[0].partition("/site/")[0]


def unavailable(why: str) -> ApiError:
    """Nothing can be changed just now."""
    hint = "Ask again in a moment; if it stays so, check etcd and that a coordinator leads."
    return ApiError(503, "unavailable", why, hint=hint, headers={"Retry-After": "2"})


async def shown_here(services: Services) -> None:
    """Wait until this node's board shows what its mirror has: who changes something must not read what was before."""
    published = services.outlook.look().published
    board = services.board
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(CATCH_UP):
            while published and (board.answer is None or board.answer.status.index < published.index):
                await board.changed(board.version)


def json_answer(body: Value, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """Return a body as a JSON answer."""
    return web.Response(status=status, body=encode(body), content_type="application/json", headers=headers)


def _changed(request: web.Request, order_id: str, outcome: Outcome) -> ChangeAnswer:
    status, facts = shown(request).status, request.app[SERVICES].outlook.look()
    return ChangeAnswer(
        id=order_id,
        changed=outcome.changed,
        text=outcome.text,
        hint=outcome.hint,
        node=outcome.node,
        licences=outcome.licences,
        warnings=outcome.warnings,
        inventory=inventory(status, facts.ledger, facts.site),
        **told(status),
    )
