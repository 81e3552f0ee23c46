"""The platform's side: it reports what it uses, and asks whether it may do something.

Reports go straight into the store, because they need no decision; the leader takes them from there.
"""

from __future__ import annotations

from typing import Annotated

from aiohttp import web

from cluster.store import Absent, Entry, ModifiedAt, Put, Refused, StoreError
from cluster.values import BadValue, NewerValue, decode_value, encode_value
from coordinator import metrics
from coordinator.answers import LARGEST_QUESTION, LONGEST_QUOTE, Told, shown, state, state_of, store_away, told
from coordinator.bodies import decode_body, read_within
from coordinator.calls import SERVICES, Call, Services, as_json, with_one_of
from coordinator.errors import ApiError
from coordinator.verdicts import Question, VerdictAnswer, Verdicts
from licensing.ledger import Usage
from licensing.usage import UsageReport, merge

VERDICTS = web.AppKey("verdicts", Verdicts)
_ATTEMPTS = 10


class UsageAnswer(Told, frozen=True, kw_only=True):
    """The usage as it is stored now; what follows from it is published by the leader in its own time."""

    usage: Usage


async def post_authorize(request: web.Request) -> web.Response:
    """`POST /licenses/authorize`; a refusal is an answer too, 200 with `allowed` false."""
    body = await read_within(request, LARGEST_QUESTION)
    allowed, verdict = request.app[VERDICTS].of(shown(request), body)
    request.app[metrics.METRICS].authorised(allowed=allowed)
    return state_of(request, verdict)


async def put_usage(request: web.Request) -> web.Response:
    """`PUT /licenses/usage`; a unit that is left out keeps its value. No leader is needed, only etcd."""
    report = decode_body(await read_within(request, LARGEST_QUESTION), UsageReport)
    status = shown(request).status
    try:
        usage = await _store(request.app[SERVICES], report)
    except StoreError as error:
        raise store_away(error) from error
    return state(request, UsageAnswer(usage=usage, **told(status)))


async def _store(services: Services, report: UsageReport) -> Usage:
    """Write the report on top of the newest one, whoever else writes at the same time.

    Raises:
        StoreError: it was not written, or nobody can tell; the same report may be sent again.
    """
    key = services.keys.usage
    (entry,) = await services.store.read([key])
    for attempt in range(1, _ATTEMPTS + 1):
        usage = merge(_before(entry), report, services.outlook.clock.now())
        condition = ModifiedAt(key, entry.mod_revision) if entry else Absent(key)
        try:
            await services.store.commit([condition], [Put(key, encode_value(usage))])
        except Refused as refused:
            entry = refused.current[key]
            if attempt == _ATTEMPTS:
                raise
        else:
            break
    return usage


def _before(entry: Entry | None) -> Usage | None:
    """What was reported before; one that cannot be read is replaced, since nothing can be kept of it.

    Raises:
        ApiError: a newer version stored it, of which this one would lose a part.
    """
    try:
        return decode_value(entry.key, entry.value, Usage) if entry else None
    except NewerValue as newer:
        text = "The usage was stored by a newer version, and this node does not know all that is in it."
        hint = "Upgrade this node, or report to the other one."
        raise ApiError(409, "older-node", text, hint=hint, details=str(newer)[:LONGEST_QUOTE]) from newer
    except BadValue:
        return None


Report = Annotated[UsageReport, with_one_of(UsageReport.__struct_encode_fields__, "integer")]

CALLS: tuple[Call, ...] = (
    Call(
        "POST",
        "/licenses/authorize",
        post_authorize,
        "read",
        "Ask whether an operation is allowed now; a refusal of the operation is answered with 200 too.",
        {200: as_json(VerdictAnswer)},
        as_json(Question),
        refuses=(503,),
    ),
    Call(
        "PUT",
        "/licenses/usage",
        put_usage,
        "usage",
        "Report what the platform uses; a unit that is left out keeps its value.",
        {200: as_json(UsageAnswer)},
        as_json(Report),
        refuses=(409, 503),
    ),
)
