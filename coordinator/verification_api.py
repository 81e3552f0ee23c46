"""`GET /v1/licenses/records/verification`: whether the history is as it was written.

It reads every record, so nobody may ask for it as often as for other things.
"""

from __future__ import annotations

from aiohttp import web

from cluster.records import missing_records, verify_stored
from cluster.store import StoreError
from coordinator.answers import state, store_away
from coordinator.calls import ADMITTED, SERVICES, Call, Services, as_json
from coordinator.errors import not_known, not_ready
from coordinator.guarding import GUARD
from licensing.ledger import Restored
from licensing.records import ChainHead
from licensing.value import Time, Value


class MissingRecords(Value, frozen=True):
    """Records that were lost, from `first` to `last`, because the store was restored from an old copy at `at`."""

    first: int
    last: int
    at: Time


class VerificationAnswer(Value, frozen=True, omit_defaults=True):
    """How many records there should be; `number` and `why` of the first that is not as written, None when all are.

    `missing`: those that are known to be lost, which alters nothing in the others; left out where there are none.
    """

    intact: bool
    count: int
    number: int | None
    why: str
    missing: tuple[MissingRecords, ...] = ()


async def verify_records(request: web.Request) -> web.Response:
    """Check every record against the chain's head, which the ledger keeps."""
    request.app[GUARD].limit_costly(request[ADMITTED])
    services = request.app[SERVICES]
    ledger = services.outlook.look().ledger
    if ledger is None:
        raise not_known("the history cannot be verified") if services.board.answer else not_ready()
    head = ChainHead(ledger.record_count, ledger.record_hash) if ledger.record_count else ChainHead()
    try:
        altered = await verify_stored(services.store, services.keys, head, ledger.restored)
        missing = await _missing(services, ledger.restored)
    except StoreError as error:
        raise store_away(error) from error
    number, why = (None, "") if altered is None else (altered.number, altered.why)
    return state(request, VerificationAnswer(altered is None, head.count, number, why, missing))


async def _missing(services: Services, losses: tuple[Restored, ...]) -> tuple[MissingRecords, ...]:
    found = [(await missing_records(services.store, services.keys, loss), loss.at) for loss in losses]
    return tuple(MissingRecords(*numbers, at) for numbers, at in found if numbers)


CALLS: tuple[Call, ...] = (
    Call(
        "GET",
        "/licenses/records/verification",
        verify_records,
        "read",
        "Check that every record is as it was written.",
        {200: as_json(VerificationAnswer)},
        refuses=(503,),
    ),
)
