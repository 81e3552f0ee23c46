"""The site as a whole: a backup of all of it, restoring one, and a second node for a site of one."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from typing import Annotated

import msgspec
from aiohttp import web

from cluster.identity import BadIdentity, parse_uuid
from cluster.record_batches import clear_staging, read_records, stage
from cluster.store import Absent, Condition, ModifiedAt, Refused, StoreError
from coordinator.answers import bad_body, store_away
from coordinator.backup import Backup, BadBackup, SealedBackup, seal, unseal
from coordinator.bodies import decode_body, read_within
from coordinator.calls import SERVICES, Call, Services, as_json, with_one_of
from coordinator.desk import Receipt
from coordinator.errors import ApiError, not_known, not_ready
from coordinator.ordering import CHANGED, answer_of, give, json_answer
from coordinator.orders import AddNode, Restore
from coordinator.restoring import BUSY, on_its_way, refusal_of
from coordinator.snapshot import snapshot_of
from licensing.install import NotInstalled
from licensing.ledger import Ledger, Staged
from licensing.records import GENESIS, Record

FILE_NAME = "twinkey-backup.json"
LARGEST = 32 * 1024 * 1024
"""Bytes of a backup: some ten thousand records."""


class AddNodeOptions(msgspec.Struct, rename="camel"):
    """The node that is to become the site's second member."""

    management_node_uuid: str


class SiteActions(msgspec.Struct, rename="camel"):
    """One of both; `restore` is what `GET /v1/site/backup` gave, byte for byte."""

    add_node: AddNodeOptions | None = None
    restore: SealedBackup | None = None


class _Given(msgspec.Struct, rename="camel"):
    """The same as it is read: a backup is judged by its bytes."""

    add_node: AddNodeOptions | None = None
    restore: msgspec.Raw = msgspec.Raw()


async def get_backup(request: web.Request) -> web.Response:
    """`GET /site/backup`: the ledger is read first, so that the records are all that it knows of."""
    services = request.app[SERVICES]
    outlook = services.outlook
    facts = outlook.look()
    snapshot = snapshot_of(facts)
    if not outlook.mirror.connected:
        raise not_ready()
    if snapshot is None:
        raise not_known("there is nothing whole to back up") if services.board.answer else not_ready()
    if on_its_way(snapshot.ledger) is not None:
        raise _refused(BUSY)
    try:
        records = await read_records(services.store, services.keys, snapshot.ledger.record_count)
    except StoreError as error:
        raise store_away(error) from error
    sealed = seal(Backup(outlook.clock.now(), snapshot, records))
    headers = {"Content-Disposition": f'attachment; filename="{FILE_NAME}"', "Cache-Control": "no-store"}
    return json_answer(sealed, headers=headers)


async def act(request: web.Request) -> web.Response:
    """`PUT /site/actions`: add a node, or restore a backup."""
    body = decode_body(await read_within(request, LARGEST), _Given)
    restore = bytes(body.restore)
    if (body.add_node is None) is not bool(restore):
        raise bad_body("Give either addNode or restore.")
    if body.add_node is not None:
        return await answer_of(request, await give(request, AddNode(_uuid(body.add_node.management_node_uuid))))
    services = request.app[SERVICES]
    try:
        backup = await asyncio.to_thread(unseal, restore, services.keys, services.keyring)
    except BadBackup as bad:
        hint = "Take another copy of the backup, and one of this site."
        raise ApiError(422, "bad-backup", "The backup cannot be used.", details=str(bad)[:300], hint=hint) from bad
    return await answer_of(request, await _restored(request, services, backup))


async def _restored(request: web.Request, services: Services, backup: Backup) -> Receipt:
    """Stage the backup's history in the store, and have the leader switch to it.

    Raises:
        ApiError: it was refused, or could not be done.
    """
    facts = services.outlook.look()
    if facts.blocking:
        raise not_ready()
    refusal = refusal_of(backup.snapshot, facts, None)
    if refusal is not None:
        raise _refused(refusal)
    ledger, still, area = facts.ledger or Ledger(), _as_it_is(services), secrets.token_hex(8)
    try:
        present = await read_records(services.store, services.keys, ledger.record_count)
        staged = Staged(area, _first_other(backup, present))
        records = tuple(record for record in backup.records if record.number >= staged.first)
        await stage(services.store, services.keys, area, still, records)
        receipt = await give(request, Restore(backup.snapshot, ledger.sequence, staged, _before(backup, staged.first)))
        if receipt.outcome is not None and receipt.outcome.refused:  # else it is in use, or may be yet
            with contextlib.suppress(StoreError):
                await clear_staging(services.store, services.keys, area)
    except Refused as refused:
        raise _refused(_CHANGED) from refused
    except StoreError as error:
        raise store_away(error) from error
    return receipt


def _first_other(backup: Backup, present: tuple[Record, ...]) -> int:
    """Return the number from which on the backup's history is another one, after a record whose hash is known."""
    stored, kept = ({record.number: record for record in records} for records in (present, backup.records))
    numbers = (number for number in sorted(stored.keys() | kept.keys()) if stored.get(number) != kept.get(number))
    first = next(numbers, backup.snapshot.ledger.record_count)
    while first and first not in kept and first - 1 not in kept:
        first -= 1
    return first


def _before(backup: Backup, first: int) -> str:
    """Return the hash of the record before the one of this number."""
    for record in backup.records:
        if record.number == first - 1:
            return record.hash
        if record.number == first:
            return record.previous_hash
    return GENESIS


_CHANGED = NotInstalled(
    "changed-meanwhile", 409, "The site changed while the backup was being restored.", "Restore it again."
)


def _as_it_is(services: Services) -> Condition:
    key = services.keys.ledger
    entry = services.outlook.mirror.view.entries.get(key)
    return ModifiedAt(key, entry.mod_revision) if entry else Absent(key)


def _refused(why: NotInstalled) -> ApiError:
    return ApiError(why.http, why.code, why.text, hint=why.hint)


def _uuid(text: str) -> str:
    try:
        return parse_uuid(text, "managementNodeUuid")
    except BadIdentity as bad:
        raise bad_body(str(bad)) from bad


Acting = Annotated[SiteActions, with_one_of(("addNode", "restore"), "object")]

CALLS = (
    Call(
        "GET",
        "/site/backup",
        get_backup,
        "admin",
        "Download a backup of the whole site: identity, ledger, usage, clock and history.",
        {200: as_json(SealedBackup)},
        refuses=(409, 503),
    ),
    Call(
        "PUT",
        "/site/actions",
        act,
        "admin",
        "Add the second node to a site of one, or restore a backup.",
        CHANGED,
        as_json(Acting),
        refuses=(409, 422, 503),
    ),
)
