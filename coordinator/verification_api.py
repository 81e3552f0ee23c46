"""`GET /v1/licenses/records/verification`: whether the history is as it was written.

It reads every record, so it is for administrators and not for every reader.
"""

from __future__ import annotations

from aiohttp import web

from cluster.records import verify_stored
from cluster.store import StoreError
from coordinator.answers import state, store_away
from coordinator.calls import SERVICES, Call, as_json
from coordinator.errors import not_ready
from licensing.model import Value
from licensing.records import ChainHead


class VerificationAnswer(Value, frozen=True):
    """How many records there should be; `number` and `why` of the first that is not as written, None when all are."""

    intact: bool
    count: int
    number: int | None
    why: str


async def verify_records(request: web.Request) -> web.Response:
    """Check every record against the chain's head, which the ledger keeps."""
    services = request.app[SERVICES]
    ledger = services.outlook.look().ledger
    if ledger is None:
        raise not_ready()
    head = ChainHead(ledger.record_count, ledger.record_hash) if ledger.record_count else ChainHead()
    try:
        altered = await verify_stored(services.store, services.keys, head)
    except StoreError as error:
        raise store_away(error) from error
    if altered is None:
        return state(request, VerificationAnswer(intact=True, count=head.count, number=None, why=""))
    return state(request, VerificationAnswer(intact=False, count=head.count, number=altered.number, why=altered.why))


CALLS: tuple[Call, ...] = (
    Call(
        "GET",
        "/licenses/records/verification",
        verify_records,
        "admin",
        "Check that every record is as it was written.",
        {200: as_json(VerificationAnswer)},
        refuses=(503,),
    ),
)
