"""A backup of a site: everything that the leader ever wrote for it, in one canonical JSON with a checksum.

It holds no secrets but says what is licensed; whoever has it can restore the site, and nobody can make one up: every
licence in it is verified again. This file does no I/O.
"""

from __future__ import annotations

import hashlib
from typing import Literal

from msgspec.structs import replace

from cluster.keys import Keys
from coordinator.published import Snapshot
from coordinator.snapshot import BadSnapshot, facts_in
from licensing import canonical
from licensing.keyring import Keyring
from licensing.records import Record, hash_of
from licensing.value import Time, Value


class Backup(Value, frozen=True):
    """A site as it was at `taken_at`; `records` are those that there were, in order of number."""

    taken_at: Time
    snapshot: Snapshot
    records: tuple[Record, ...]


class SealedBackup(Value, frozen=True):
    """What the file holds: the SHA-256, in hex, of the backup's canonical bytes shows damage."""

    backup: Backup
    sha256: str
    version: Literal[1]


class BadBackup(ValueError):  # noqa: N818 - it says what it is
    """The bytes are no backup of this site that can be used; the text says why."""


def seal(backup: Backup) -> SealedBackup:
    """Return a backup with its checksum; what was answered is left out, for it is decided anew."""
    kept = replace(backup, snapshot=replace(backup.snapshot, published=None))
    return SealedBackup(kept, hashlib.sha256(canonical.encode(kept)).hexdigest(), 1)


def unseal(data: bytes, keys: Keys, keyring: Keyring) -> Backup:
    """Return what a backup file holds.

    Raises:
        BadBackup: damaged, of another version or site, or with a licence that the vendor did not sign.
    """
    try:
        sealed = canonical.decode(data, SealedBackup)
    except canonical.Malformed as malformed:
        raise BadBackup(f"It is no backup of this version: {malformed}.") from malformed
    backup = sealed.backup
    if hashlib.sha256(canonical.encode(backup)).hexdigest() != sealed.sha256:
        raise BadBackup("Its checksum is wrong: it was damaged or altered.")
    try:
        facts_in(backup.snapshot, keys, keyring)
    except BadSnapshot as bad:
        raise BadBackup(f"{bad}.") from bad
    _check(backup)
    return backup


def _check(backup: Backup) -> None:
    """Refuse records that are out of order, too many, or damaged by themselves."""
    numbers = [record.number for record in backup.records]
    if numbers != sorted(set(numbers)) or (numbers and numbers[-1] >= backup.snapshot.ledger.record_count):
        raise BadBackup("Its records are out of order, or more than its ledger knows.")
    bad = next((record for record in backup.records if record.hash != hash_of(record)), None)
    if bad is not None:
        raise BadBackup(f"Its record {bad.number} was altered.")
