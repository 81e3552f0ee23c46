"""The port to the shared store: what the daemons may ask of it, and in which words it refuses.

This file knows neither etcd nor the licensing law. Two implementations keep its contract: `cluster.etcd` and
`cluster.memory`; one suite of tests runs against both.

Revisions count every change of the whole store, as in etcd. They only mean something within one life of the store: a
store that was restored from a copy may take them back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence


# --- what is read --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Entry:
    """One key as stored; `lease_id` is 0 when no lease holds it."""

    key: str
    value: bytes
    create_revision: int
    mod_revision: int
    lease_id: int = 0


@dataclass(frozen=True, slots=True)
class View:
    """Everything under a prefix as of one revision; the mapping cannot be changed and is in order of key."""

    revision: int = 0
    entries: Mapping[str, Entry] = field(default_factory=lambda: MappingProxyType({}))

    def under(self, prefix: str) -> tuple[Entry, ...]:
        """Return the entries whose key begins with `prefix`, in order of key."""
        return tuple(entry for key, entry in self.entries.items() if key.startswith(prefix))


@dataclass(frozen=True, slots=True)
class Part:
    """How many keys there are in a range, and the first of them; None when there is none."""

    count: int
    first: str | None


@dataclass(frozen=True, slots=True)
class Event:
    """One key was written (`entry`) or is gone (None)."""

    key: str
    entry: Entry | None


@dataclass(frozen=True, slots=True)
class Changes:
    """What happened up to and including `revision`: one transaction or several, and never a part of one.

    Without events it says that the watch was interrupted.
    """

    revision: int
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease as granted; `ttl` in seconds may be more than was asked for."""

    lease_id: int
    ttl: int


# --- what is written -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Absent:
    """The key does not exist."""

    key: str


@dataclass(frozen=True, slots=True)
class CreatedAt:
    """The key exists and is still the one that was created at `revision`."""

    key: str
    revision: int

    def __post_init__(self) -> None:
        """Refuse the revision that etcd takes for "does not exist"."""
        _check_revision(self.revision)


@dataclass(frozen=True, slots=True)
class ModifiedAt:
    """The key exists and was last written at `revision`."""

    key: str
    revision: int

    def __post_init__(self) -> None:
        """Refuse the revision that etcd takes for "does not exist"."""
        _check_revision(self.revision)


def _check_revision(revision: int) -> None:
    if revision < 1:
        raise ValueError(f"revision {revision} never was: say Absent for a key that does not exist")


Condition = Absent | CreatedAt | ModifiedAt


@dataclass(frozen=True, slots=True)
class Put:
    """Write the key; it goes with its lease unless `lease_id` is 0."""

    key: str
    value: bytes
    lease_id: int = 0


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete the key; deleting what is not there is no error."""

    key: str


Write = Put | Delete


# --- refusals ------------------------------------------------------------------------------------------------------


class StoreError(Exception):
    """The store did not do what was asked."""


class Unavailable(StoreError):  # noqa: N818 - it says what the store is
    """No member answered in time.

    After `commit` the write may or may not have been applied: read again, decide again.
    """


class Refused(StoreError):  # noqa: N818 - it says what became of the commit
    """A condition of a commit did not hold and nothing was written.

    `current` maps every compared key to its entry at `revision`, or to None where it does not exist.
    """

    def __init__(self, current: Mapping[str, Entry | None], revision: int) -> None:
        super().__init__(f"a condition on {', '.join(current)} did not hold at revision {revision}")
        self.current = current
        self.revision = revision


class Compacted(StoreError):  # noqa: N818 - it says what became of the history
    """The history asked for is gone: take a snapshot and watch from there."""

    def __init__(self, revision: int) -> None:
        super().__init__(f"the history before revision {revision} is gone: take a new snapshot")
        self.revision = revision


class LeaseLost(StoreError):  # noqa: N818 - it says what became of the lease
    """The lease is unknown to the store: it ran out or was revoked."""


class PermissionRefused(StoreError):  # noqa: N818 - it says what became of the request
    """The store knows us and does not allow this, or does not accept our name and password."""


# --- the port ------------------------------------------------------------------------------------------------------

MOST_PARTS = 128
"""How much may be asked in one call; etcd refuses transactions of more parts."""


class Store(Protocol):
    """One client of the shared store; every call ends within a deadline of its own."""

    async def snapshot(self, prefix: str, without: str = "") -> View:
        """Read everything under `prefix` at one revision, agreed by a majority.

        `without`: a prefix that begins with `prefix`; what is under it is neither read nor returned.

        Raises:
            Unavailable, PermissionRefused
        """

    async def page(self, start: str, end: str, limit: int) -> tuple[Entry, ...]:
        """Read the first `limit` (1 or more) entries from the key `start` on and before `end`.

        Raises:
            Unavailable, PermissionRefused
        """

    async def read(self, keys: Sequence[str]) -> tuple[Entry | None, ...]:
        """Read up to `MOST_PARTS` keys at one revision, in the order given; None for one that does not exist.

        Raises:
            Unavailable, PermissionRefused
        """

    async def parts(self, bounds: Sequence[str]) -> tuple[Part, ...]:
        """Return what there is from each of up to `MOST_PARTS` + 1 ascending bounds to before the next.

        All are counted at one revision, without being read.

        Raises:
            Unavailable, PermissionRefused
        """

    def watch(self, prefix: str, after: int) -> AsyncGenerator[Changes, None]:
        """Yield every change under `prefix` later than revision `after`, in order, leaving nothing out.

        It survives members that fail and waits, mute, while none answers: ask `probe` whether there is one. When it
        goes on after that it yields changes without events: the store may have been put back to an old copy meanwhile,
        whose revisions have caught up, so that only a new snapshot tells what is there. Close the generator
        (`contextlib.aclosing`) to end the watch.

        Raises:
            Compacted, PermissionRefused
        """

    async def probe(self, key: str, silence: float) -> int:
        """Wait until no call has been answered for `silence` seconds, then ask a majority for the store's revision.

        It reads `key` and goes through the same channel as the watches: a member that does not answer loses its
        watches, which resume elsewhere.

        Raises:
            Unavailable, PermissionRefused
        """

    async def commit(self, conditions: Sequence[Condition], writes: Sequence[Write]) -> int:
        """Apply all writes if all conditions hold, in one transaction; return its revision.

        Nothing is sent twice.

        Raises:
            Refused, LeaseLost, PermissionRefused: nothing was written.
            Unavailable: it may or may not have been written.
        """

    async def grant(self, ttl: int) -> Lease:
        """Ask for a lease of `ttl` seconds.

        Raises:
            Unavailable
        """

    async def keep_alive(self, lease_id: int) -> int:
        """Renew the lease once and return its time to live in seconds, to be counted from *before* this call.

        Raises:
            LeaseLost, Unavailable
        """

    async def revoke(self, lease_id: int) -> None:
        """End the lease, and with it the keys it holds; one that is gone already is no error.

        Raises:
            Unavailable
        """

    async def voters(self) -> int:
        """Return how many members the store has; two tolerate no failure, three tolerate one.

        Raises:
            Unavailable
        """

    async def close(self) -> None:
        """Let go of all connections; leases are left to run out."""
