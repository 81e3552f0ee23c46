"""The board: one immutable answer in memory, which every reader reads, built once per change.

A board never says less than it knows: with no leader in sight it shows the last answer as stale, and lets only time
pass in it. It does no I/O; `coordinator.answering` keeps it up to date.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable

import msgspec
from msgspec import structs
from msgspec.structs import replace

from cluster.pulse import Pulse
from coordinator.facts import Facts
from coordinator.notices import with_notices
from coordinator.published import Leader, Published
from coordinator.roles import Roles, VipState
from licensing.canonical import encode
from licensing.describe import describe, lapse
from licensing.horizon import next_change_unseen
from licensing.ledger import Ledger
from licensing.ledger_version import NO_LEDGER, version_of
from licensing.policy import Policy
from licensing.status import NodeStatus, Status, Validity
from licensing.value import Epoch, Index, Name, Time

PATIENCE = dt.timedelta(seconds=2)
"""How long after a licence's end its leader may take to say so before this node no longer believes that it will."""


_LATEST = dt.datetime.max.replace(tzinfo=dt.UTC) - PATIENCE


class StatusNode(NodeStatus, frozen=True):
    """One node: what was published of it, whether it is drained, and which version of the software it runs.

    A drained node is about to be serviced and has handed its roles over. `version` is empty where it is not known.
    """

    drained: bool = False
    version: str = ""


class StatusBody(Status, frozen=True):
    """The body of `GET /v1/status`: the law's answer, and who gave it when.

    `leader` is None when none is in sight. `stale`: this node cannot tell whether the answer is still the newest.
    `vip_state` is None on a site without a virtual IP.
    """

    nodes: tuple[StatusNode, ...]
    vip_holders: tuple[str, ...]
    vip_state: VipState | None
    site_id: Name
    leader: Leader | None
    epoch: Epoch
    index: Index
    as_of: Time
    stale: bool


class Answer(msgspec.Struct, frozen=True):
    """An answer with its bytes. `again_at`: when it changes by itself although nobody decides; None for never."""

    status: StatusBody
    body: bytes
    etag: str
    again_at: Time | None


class Sight(msgspec.Struct, frozen=True):
    """What this node sees of the site just now. `leader`: who holds the leader key; None when the store is away."""

    connected: bool
    leader: Leader | None
    roles: Roles = Roles()


class Board:
    """Holds the newest answer and wakes those who wait for the next one; `boot` is a clock in seconds."""

    def __init__(self, boot: Callable[[], float]) -> None:
        self.answer: Answer | None = None
        self._boot = boot
        self._stale_since: float | None = None
        self._pulse = Pulse()

    def show(self, answer: Answer, age: float = 0.0) -> None:
        """Replace the answer; whoever waits is woken if it differs from the one before.

        `age`: for how many seconds a first answer has been stale already.
        """
        if not answer.status.stale:
            self._stale_since = None
        elif self._stale_since is None:
            self._stale_since = self._boot() - age
        same = self.answer is not None and self.answer.body == answer.body
        self.answer = answer
        if not same:
            self._pulse.beat()

    @property
    def age(self) -> float:
        """Seconds since the answer was last known to be the newest; 0 as long as it is."""
        return 0.0 if self._stale_since is None else self._boot() - self._stale_since

    @property
    def pulse(self) -> Pulse:
        """Beats whenever `version` grows."""
        return self._pulse

    @property
    def version(self) -> int:
        """A number that grows whenever another answer is shown."""
        return self._pulse.count

    async def changed(self, seen: int) -> int:
        """Return the version as soon as it is more than `seen`."""
        return await self._pulse.after(seen)

    def wake(self) -> None:
        """Let everybody who waits look again."""
        self._pulse.beat()


def answer_from(facts: Facts, published: Published, sight: Sight, now: Time, policy: Policy) -> Answer:
    """Build this node's answer from the last published one and what the node sees itself."""
    doubts = (*_doubts(sight, published, now), *facts.blocking)
    end = _end(published.status)
    if not doubts and (end is None or now < end):
        return _answer(published.status, published, sight, (), end)
    status, again_at = _as_time_passes(facts, published, max(now, published.as_of), policy)
    if not doubts and end is not None:  # the leader is about to say so; until then nobody is told that it is valid
        return _answer(status, published, sight, (), end + PATIENCE)
    return _answer(status, published, sight, (*doubts, *facts.problems), again_at)


def _as_time_passes(facts: Facts, published: Published, now: Time, policy: Policy) -> tuple[Status, Time | None]:
    """What the last answer has become by the passing of time alone: expiries apply, nothing else does.

    Where the ledger that is known is not the one from which the answer was made, the answer says more.
    """
    if facts.site is None or facts.ledger is None or not _made_from(published, facts.ledger):
        status, again_at = lapse(published.status, now, policy)
    else:
        last = published.status
        status = describe(facts.site, facts.ledger, last.nodes, last.key_state_reason, now, policy)
        again_at = next_change_unseen(facts.site, facts.ledger, now)
    return with_notices(status, published.notices), again_at


def _made_from(published: Published, ledger: Ledger) -> bool:
    return published.ledger in {NO_LEDGER, version_of(ledger)}


def _doubts(sight: Sight, published: Published, now: Time) -> tuple[str, ...]:
    """Why the last published answer may no longer be the newest; empty when a leader answers for it."""
    if not sight.connected:
        return ("This node cannot reach etcd: this is the last answer it saw. Check etcd and the network.",)
    if sight.leader is None:
        return ("No coordinator leads just now: this is the last answer that was published.",)
    end = _end(published.status)
    if end is not None and now >= end + PATIENCE:
        return (f"The coordinator of node {sight.leader.name} leads and does not publish: see its log.",)
    return ()


def _end(status: Status) -> Time | None:
    """When a valid licence or its buffer ends, so that the leader must say something else; None for never."""
    ends = (status.license.expires, status.buffer.expires if status.buffer else None)
    known = [at for at in ends if at is not None]
    return min(*known, _LATEST) if known and status.license.status is Validity.VALID else None


def _answer(status: Status, published: Published, sight: Sight, more: tuple[str, ...], again_at: Time | None) -> Answer:
    told = {name: getattr(status, name) for name in Status.__struct_fields__}
    told["nodes"] = tuple(_with_role(node, sight.roles) for node in status.nodes)
    body = StatusBody(
        **told,
        vip_holders=sight.roles.vip_holders,
        vip_state=sight.roles.vip_state,
        site_id=published.site_id,
        leader=sight.leader,
        epoch=published.epoch,
        index=published.index,
        as_of=published.as_of,
        stale=bool(more),
    )
    body = replace(body, reasons=tuple(dict.fromkeys((*body.reasons, *more))))
    data = encode(body)
    return Answer(body, data, f'"{hashlib.sha256(data).hexdigest()[:32]}"', again_at)


def _with_role(node: NodeStatus, roles: Roles) -> StatusNode:
    role = roles.of(node.management_node_uuid)
    return StatusNode(**structs.asdict(node), drained=role.drained, version=role.version)
