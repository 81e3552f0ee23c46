"""What the leader writes for everybody: the answer itself, and the high-water mark of time."""

from __future__ import annotations

from licensing.model import Epoch, Index, Name, Status, Time, Value


class Leader(Value, frozen=True):
    """The node that leads, as the leader key and the published answer name it."""

    management_node_uuid: Name
    name: str


class Published(Value, frozen=True):
    """The answer of one decision.

    `epoch` is the create-revision of the leader key under which it was written. `index` counts publications and only
    rises, also where a restored store takes its revisions back. `as_of` is effective time.
    """

    site_id: Name
    status: Status
    leader: Leader
    epoch: Epoch
    index: Index
    as_of: Time


class Clock(Value, frozen=True):
    """The highest effective time any leader has seen, and the highest index, so that neither goes back."""

    high_water: Time
    index: Index
