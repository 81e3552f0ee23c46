"""Publishing what the agent sees: one report under a lease, and its last copy without one.

Knows the store and the shape of a report; not how keys are read nor how addresses are watched. A report is written when
the facts have changed, or when the lease that held the last one is gone, and never because time went by: an idle agent
renews its lease and writes nothing. Both copies are one transaction, conditional on what this agent wrote last, so that
a second machine with the same identity is found out and not mixed in.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from collections.abc import Callable

import msgspec
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_exponential

from agent.sight import Facts, Sight
from cluster.keys import Keys
from cluster.lease import LeaseKeeper, boottime
from cluster.report import MOST_KEYS, Fingerprint, Report, ReportedKey
from cluster.software import software_version
from cluster.store import Absent, Condition, Entry, LeaseLost, ModifiedAt, Put, Refused, Store, Unavailable
from cluster.timings import Timings
from cluster.values import BadValue, encode_value, read_message
from licensing.ledger_version import NO_LEDGER, LedgerVersion
from licensing.seen import Reading
from usbwatch.bus import KeySet, Seen

log = logging.getLogger(__name__)

Wall = Callable[[], dt.datetime]
FAREWELL = 0.7
"""Seconds that revoking the lease may take when the agent stops; after that it runs out by itself."""


class NotOurs(Exception):  # noqa: N818 - it says whose the identity is
    """Another machine reports under this node's identity; nothing was written."""


class Author(msgspec.Struct, frozen=True):
    """What is the same in every report of this agent; `version`: that of its software."""

    node: str
    name: str
    fingerprint: Fingerprint
    watches_vip: bool = False
    version: str = msgspec.field(default_factory=software_version)


class Reporter:
    """Keeps the node's report in the store up to date for as long as `run` runs.

    `ledger_seen` tells the newest ledger that was seen; it alone is no reason for a new report.
    """

    def __init__(
        self,
        store: Store,
        keys: Keys,
        author: Author,
        sight: Sight,
        timings: Timings,
        wall: Wall,
        ledger_seen: Callable[[], LedgerVersion] = lambda: NO_LEDGER,
    ) -> None:
        self._store = store
        self._live = keys.node(author.node)
        self._last_seen = keys.last_seen(author.node)
        self._author = author
        self._sight = sight
        self._timings = timings
        self._wall = wall
        self._ledger_seen = ledger_seen
        self._condition: Condition = Absent(self._live)
        self._complaint = ""

    async def run(self) -> None:
        """Report for ever, under one lease after the other; revoke the lease when cancelled.

        Raises:
            PermissionRefused: the store does not allow this node to report.
        """
        while True:
            lease = await self._new_lease()
            try:
                await self._report_under(lease)
            finally:
                await _end(lease)

    async def _new_lease(self) -> LeaseKeeper:
        ttl = self._timings.agent_lease_ttl
        return await self._patiently(Unavailable)(LeaseKeeper.start, self._store, ttl, self._timings)

    async def _report_under(self, lease: LeaseKeeper) -> None:
        """Publish every change of the facts until the lease is lost."""
        self._condition = Absent(self._live)  # the former report went with its lease
        publishing = asyncio.create_task(self._publish_changes(lease.lease_id))
        lost = asyncio.create_task(lease.lost.after(0))
        try:
            await asyncio.wait((publishing, lost), return_when=asyncio.FIRST_COMPLETED)
            if publishing.done():
                publishing.result()
        finally:
            publishing.cancel()
            lost.cancel()
            await asyncio.wait((publishing, lost))

    async def _publish_changes(self, lease_id: int) -> None:
        """Publish the newest facts after each change; what changes during a write goes into the next one."""
        published: Facts | None = None
        try:
            while True:
                seen = self._sight.changed.count
                if self._sight.facts in (None, published):
                    await self._sight.changed.after(seen)
                else:
                    published = await self._patiently(Unavailable, Refused, NotOurs)(self._publish, lease_id)
        except LeaseLost as error:
            log.warning("lease lost", extra={"why": error})

    async def _publish(self, lease_id: int) -> Facts:
        facts = self._sight.facts
        assert facts is not None, "published before anything was seen"
        value = self._encoded(facts)
        try:
            revision = await self._store.commit(
                (self._condition,), (Put(self._live, value, lease_id), Put(self._last_seen, value))
            )
        except Refused as refused:
            self._condition = self._condition_after(refused.current.get(self._live), lease_id)
            raise
        self._condition = ModifiedAt(self._live, revision)
        self._complaint = ""
        log.info("report published", extra={"keys": len(facts.keys), "vip": facts.vip, "revision": revision})
        return facts

    def _condition_after(self, entry: Entry | None, lease_id: int) -> Condition:
        """Return what the next write should build on, given what stands in the store instead of what we expected.

        Raises:
            NotOurs: a report of another machine, which only its agent may replace.
        """
        if entry is None:
            return Absent(self._live)
        if entry.lease_id == lease_id or self._wrote(entry):
            return ModifiedAt(self._live, entry.mod_revision)
        raise NotOurs(
            f"another machine reports as node {self._author.node}: give each node an identity of its own "
            "(setting node); if this machine was changed, wait until its former report has run out"
        )

    def _wrote(self, entry: Entry) -> bool:
        """Tell whether an earlier life of this agent wrote the entry, whose lease has not run out yet."""
        try:
            report = read_message(entry.key, entry.value, Report)
        except BadValue:
            return False
        return (report.name, report.fingerprint) == (self._author.name, self._author.fingerprint)

    def _encoded(self, facts: Facts) -> bytes:
        try:
            return encode_value(self._report(facts))
        except BadValue as error:
            log.error("report too large", extra={"why": error, "keys": len(facts.keys)})  # noqa: TRY400
            return encode_value(self._report(facts._replace(keys=tuple(map(_without_evidence, facts.keys)))))

    def _report(self, facts: Facts) -> Report:
        return Report(
            node=self._author.node,
            name=self._author.name,
            keys=tuple(ReportedKey(**msgspec.structs.asdict(key)) for key in _as_many_as_allowed(facts.keys)),
            vip=facts.vip,
            fingerprint=self._author.fingerprint,
            written_at=self._wall(),
            uptime=boottime(),
            reread=facts.reread,
            abandoned_readers=facts.abandoned,
            watches_vip=self._author.watches_vip,
            contested=facts.contested,
            serving=facts.serving,
            ledger=self._ledger_seen(),
            version=self._author.version,
        )

    def _patiently(self, *errors: type[Exception]) -> AsyncRetrying:
        return AsyncRetrying(
            retry=retry_if_exception_type(errors),
            wait=wait_exponential(multiplier=0.1, max=2),
            before_sleep=self._complain,
        )

    def _complain(self, state: RetryCallState) -> None:
        """Log why an attempt failed, once per reason; being refused is no reason, as the next attempt knows more."""
        assert state.outcome is not None, "asked before an attempt was over"
        error = state.outcome.exception()
        if not isinstance(error, Refused) and str(error) != self._complaint:
            self._complaint = str(error)
            log.warning("report waits", extra={"why": error})


def _as_many_as_allowed(keys: KeySet) -> KeySet:
    """Return the keys, or of too many the first, usable ones before others, and one entry in place of the rest."""
    if len(keys) <= MOST_KEYS:
        return keys
    told = sorted(keys, key=lambda key: key.reading is not Reading.OK)[: MOST_KEYS - 1]
    left_out = len(keys) - len(told)
    reason = f"{len(keys)} keys are in this node and {MOST_KEYS} can be reported: remove all but one"
    return (*told, Seen(key_id=f"{left_out} more keys", reading=Reading.FAULTY, reason=reason))


def _without_evidence(key: Seen) -> Seen:
    """Return the key as inserted and unusable, for a node with more keys than a report can hold."""
    return Seen(key_id=key.key_id, reading=Reading.FAULTY, reason="too many keys in this node: remove all but one")


async def _end(lease: LeaseKeeper) -> None:
    try:
        async with asyncio.timeout(FAREWELL):
            await lease.close()
    except TimeoutError:
        log.info("lease is left to run out", extra={"lease": f"{lease.lease_id:x}"})
