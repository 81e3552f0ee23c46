"""`GET /v1/licenses/removals`: the removals of USB keys that are remembered, and the buffers they were granted.

Every node tells them from the ledger that it sees; the buffer that runs now is that of the status.
"""

from __future__ import annotations

from aiohttp import web

from coordinator.answers import Told, shown, state, told
from coordinator.calls import SERVICES, Call, as_json
from coordinator.errors import not_known
from licensing.removals import KeyRemoval, removals
from licensing.status import BufferStatus


class RemovalsAnswer(Told, frozen=True, kw_only=True):
    """What is remembered of every USB key that was in use, and the buffer licence that stands in now."""

    inventories: tuple[KeyRemoval, ...]
    buffer: BufferStatus | None


async def get_removals(request: web.Request) -> web.Response:
    """Answer with the newest removal first, also while nobody leads: then with what was seen last."""
    status, ledger = shown(request).status, request.app[SERVICES].outlook.look().ledger
    if ledger is None:
        raise not_known("its removals cannot be told")
    return state(request, RemovalsAnswer(inventories=removals(ledger), buffer=status.buffer, **told(status)))


CALLS: tuple[Call, ...] = (
    Call(
        "GET",
        "/licenses/removals",
        get_removals,
        "read",
        "Tell when USB keys were removed last and which buffers they were granted.",
        {200: as_json(RemovalsAnswer)},
        refuses=(503,),
    ),
)
