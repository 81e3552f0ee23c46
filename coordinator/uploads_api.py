"""Licences come in and go: uploads in every form, dry runs, deletions, and what became of an order.

A body is read into memory within limits, unpacked there and verified before the leader hears of it; the leader verifies
it again. Nothing is written to a disk here.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

from cluster.keys import BadKey
from coordinator.answers import Told, bad_body, shown, state, told
from coordinator.bodies import decode_body, read_within
from coordinator.calls import CALLER, FILE, SERVICES, Call, Content, Handler, Parameter, Services, as_json
from coordinator.carrying_out import Scene, carry_out
from coordinator.errors import ApiError, bad_parameter, not_ready
from coordinator.forms import BadForm, file_in_form
from coordinator.metrics import METRICS, Uploaded
from coordinator.ordering import CHANGED, WaitingAnswer, json_answer, ordered, still_waiting
from coordinator.orders import Install, Order, Origin, Outcome, Remove
from coordinator.tokens import CONSOLE
from licensing.archive import UploadRefused, read_upload
from licensing.decide import decide
from licensing.envelope import LicenceRefused, open_licence
from licensing.keyring import Keyring
from licensing.licence import Quota
from licensing.status import LicenceStatus
from licensing.unpacking import MAX_BYTES
from licensing.value import Name, Value

LARGEST = MAX_BYTES * 3 // 2 + 16 * 1024
"""Bytes of a body: base64 takes a third more, and a form or JSON around it a little."""
LONGEST_ID = 256
ACCEPTED = 202
SERVER_ERRORS = 500


class UpdateLicense(msgspec.Struct):
    """A licence file or an archive of some, in base64."""

    license: str


class NodeAction(msgspec.Struct, rename="camel"):
    """The platform's own way to upload."""

    update_license: UpdateLicense


class LicenceForm(msgspec.Struct):
    """A form with one file, a licence file or an archive of some; the field's name does not count."""

    file: Annotated[str, Meta(extra_json_schema={"format": "binary", "contentMediaType": FILE})]


class OutcomeAnswer(Value, frozen=True):
    """What became of an order, as the leader wrote it."""

    id: str
    outcome: Outcome


class QuotaAfter(Value, frozen=True):
    """The quota that would be in force after an upload; None without a licence."""

    quota: Quota | None


class InspectAnswer(Told, frozen=True, kw_only=True):
    """What an upload would do if it came now; `license` is what would be in force, as it is where it is refused.

    `quota` is the one in force now, `after` has the one with that licence.
    """

    accepted: bool
    outcome: Outcome
    license: LicenceStatus
    restricted: bool
    quota: Quota | None
    after: QuotaAfter


async def upload(request: web.Request) -> web.Response:
    """`POST /licenses`: a file or an archive, as a form with one file or as the body itself."""
    return await ordered(request, _install(await _uploaded(request), request.app[SERVICES].keyring))


async def act_on_node(request: web.Request) -> web.Response:
    """`PUT /licenses/mn/{node}/actions` with `updateLicense`: the base64 of a file or an archive."""
    services = request.app[SERVICES]
    _check_member(request, services)
    body = decode_body(await read_within(request, LARGEST), NodeAction)
    try:
        data = body.update_license.license.encode("ascii")
    except UnicodeEncodeError as error:
        raise bad_body("license is not base64.") from error
    return await ordered(request, _install(data, services.keyring))


async def delete(request: web.Request) -> web.Response:
    """`DELETE /licenses/mn/{node}/actions?uuid=`: remove an installed licence."""
    _check_member(request, request.app[SERVICES])
    licence_id = request.query.get("uuid", "")
    if not 0 < len(licence_id) <= LONGEST_ID:
        raise bad_parameter("uuid", licence_id[:64], "the uuid of the licence to remove")
    return await ordered(request, Remove(licence_id))


async def inspect(request: web.Request) -> web.Response:
    """`POST /licenses/inspect`: what an upload would do now; nothing is written."""
    data, services = await _uploaded(request), request.app[SERVICES]
    facts, now = services.outlook.look(), services.outlook.clock.now()
    if facts.site is None or facts.ledger is None:
        raise not_ready()
    scene = Scene(facts.site, facts.views, facts.ledger, services.keyring, now, services.outlook.policy)
    who = request[CALLER]
    origin = Origin(who, services.me.management_node_uuid, now, who == CONSOLE)
    try:
        carried = carry_out(Order(origin, _install(data, services.keyring), fresh="dry-run"), scene)
        site, ledger, outcome = carried.site, carried.ledger, carried.outcome
    except ApiError as error:
        site, ledger, outcome = facts.site, facts.ledger, _as_outcome(error)
    before = shown(request).status
    after = decide(site, facts.views, ledger, now, services.outlook.policy).status
    answer = InspectAnswer(
        accepted=not outcome.refused,
        outcome=outcome,
        license=after.license,
        restricted=after.restricted,
        quota=before.quota,
        after=QuotaAfter(after.quota),
        **told(before),
    )
    return state(request, answer)


async def get_outcome(request: web.Request) -> web.Response:
    """`GET /licenses/uploads/{id}`: 200 with what became of an order, 202 while it waits, 404 when nobody knows."""
    desk, order_id = request.app[SERVICES].desk, request.match_info["id"]
    try:
        outcome, waits = desk.outcome(order_id), desk.waits(order_id)
    except BadKey:
        outcome, waits = None, False
    if outcome is not None:
        return json_answer(OutcomeAnswer(order_id, outcome))
    if waits:
        return still_waiting(request, order_id)
    hint = "Outcomes are kept for some minutes; see GET /v1/licenses for the licence in force."
    raise ApiError(404, "not-found", "No upload of this id is known.", hint=hint)


async def _uploaded(request: web.Request) -> bytes:
    body = await read_within(request, LARGEST)
    if request.content_type != "multipart/form-data":
        return body
    try:
        return file_in_form(request.headers["Content-Type"], body)
    except BadForm as error:
        raise ApiError(400, "LICENSE.1006", str(error), hint="Send the licence file as the form's one file.") from error


def _install(data: bytes, keyring: Keyring) -> Install:
    """Return the order to install what was uploaded; everything that no facts are needed for is refused here."""
    try:
        files = tuple(file.data for file in read_upload(data))
        for file in files:
            open_licence(file, keyring)
    except (UploadRefused, LicenceRefused) as refused:
        raise ApiError(refused.http, refused.code, refused.text, hint=refused.hint) from refused
    return Install(files)


def _as_outcome(error: ApiError) -> Outcome:
    return Outcome(error.http, error.detail.code, error.detail.description, error.detail.hint, changed=False)


def _check_member(request: web.Request, services: Services) -> None:
    site, node = services.outlook.look().site, request.match_info["node"]
    if site is None:
        raise not_ready()
    if node not in site.members:
        text = f"{node[:64]!r} is no management node of this site."
        raise ApiError(404, "not-found", text, hint="See GET /v1/status for the site's nodes.")


def _counted(handler: Handler) -> Handler:
    """Count every upload by its result."""

    async def counting(request: web.Request) -> web.StreamResponse:
        result: Uploaded = "failed"
        try:
            response = await handler(request)
            result = "waiting" if response.status == ACCEPTED else "accepted"
        except ApiError as error:
            result = "refused" if error.http < SERVER_ERRORS else "failed"
            raise
        finally:
            request.app[METRICS].saw_upload(result)
        return response

    return counting


_UPLOAD: Content = {FILE: bytes, "multipart/form-data": LicenceForm}
_NODE = Parameter("node", Name, "The `managementNodeUuid` of a node of the site.", "path", required=True)

CALLS = (
    Call(
        "POST",
        "/licenses",
        _counted(upload),
        "admin",
        "Install a licence file or an archive of some, all or none.",
        CHANGED,
        _UPLOAD,
        refuses=(409, 422, 503),
    ),
    Call(
        "PUT",
        "/licenses/mn/{node}/actions",
        _counted(act_on_node),
        "admin",
        "Install a licence file or an archive of some in the platform's own way.",
        CHANGED,
        as_json(NodeAction),
        (_NODE,),
        (404, 409, 422, 503),
    ),
    Call(
        "DELETE",
        "/licenses/mn/{node}/actions",
        delete,
        "admin",
        "Remove an installed licence; that of a USB key cannot be removed.",
        CHANGED,
        parameters=(_NODE, Parameter("uuid", Name, "The uuid of the licence to remove.", required=True)),
        refuses=(404, 409, 413, 503),
    ),
    Call(
        "POST",
        "/licenses/inspect",
        inspect,
        "admin",
        "Tell what an upload would do if it came now; nothing is changed.",
        {200: as_json(InspectAnswer)},
        _UPLOAD,
        refuses=(422, 503),
    ),
    Call(
        "GET",
        "/licenses/uploads/{id}",
        get_outcome,
        "read",
        "Tell what became of an upload or another change that was answered with 202.",
        {200: as_json(OutcomeAnswer), 202: as_json(WaitingAnswer)},
        parameters=(Parameter("id", Name, "The id that the answer 202 gave.", "path", required=True),),
        refuses=(404,),
    ),
)
