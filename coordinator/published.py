"""What the leader writes for everybody: the answer itself, the high-water mark of time, and all of it together."""

from __future__ import annotations

from msgspec.structs import replace

from coordinator.notices import Notice, with_notices
from licensing.ledger import Ledger, Site, Usage
from licensing.ledger_version import NO_LEDGER, LedgerVersion
from licensing.status import Status
from licensing.value import Epoch, Index, Name, Time, Value


class Leader(Value, frozen=True):
    """The node that leads, as the leader key and the published answer name it."""

    management_node_uuid: Name
    name: str


class Published(Value, frozen=True, omit_defaults=True):
    """The answer of one decision.

    `epoch` is the create-revision of the leader key under which it was written. `index` counts publications and only
    rises, also where a restored store takes its revisions back. `as_of` is effective time. `ledger` says
    from which ledger the answer was made. `notices` are in the status too; here they are told apart from the law's.
    """

    site_id: Name
    status: Status
    leader: Leader
    epoch: Epoch
    index: Index
    as_of: Time
    ledger: LedgerVersion = NO_LEDGER
    notices: tuple[Notice, ...] = ()


def with_own_notices(published: Published, notices: tuple[Notice, ...]) -> Published:
    """Return the answer as a node shows it that has something to tell of itself; the leader may not know of it."""
    if not notices:
        return published
    status = with_notices(published.status, notices)
    return replace(published, status=status, notices=tuple(dict.fromkeys((*published.notices, *notices))))


class Clock(Value, frozen=True):
    """The highest effective time any leader has seen, and the highest index, so that neither goes back."""

    high_water: Time
    index: Index


class Snapshot(Value, frozen=True, omit_defaults=True):
    """A site's state as of one moment, without its records; `ledger` has no usage, which is kept beside it."""

    site: Site
    ledger: Ledger
    usage: Usage | None = None
    clock: Clock | None = None
    published: Published | None = None
