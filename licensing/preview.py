"""What pulling out a USB key now would bring: the law itself, told the same facts without that key.

There are no rules of buffers here. The decision is made on what is seen now, again in the moment in which the key is
gone, and on until the removal has settled; the sentences are those of the law. Nobody sees a key go from a node that
does not report, so there the facts stay as they are.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from licensing import buffer
from licensing.decide import Change, Decision, decide
from licensing.describe import describe
from licensing.inuse import SERVING_STATES, history_of
from licensing.ledger import KeyHistory, KeyState, Ledger, Site
from licensing.policy import Policy
from licensing.seen import NodeView, Reading, Visibility
from licensing.status import Alert, BufferStatus, LicenceStatus, Status, Validity
from licensing.value import Time, Value


class RemovalPreview(Value, frozen=True):
    """How the site will stand once the removal of a key, at `at`, has settled, which is at `settled`.

    `buffer`: the buffer licence that stands in then, cut off where its licence ends; None for none. `days_left`: the
    whole days of it, counted from the removal. `after_buffer`: the licence in force when it has run out. `reason` says
    why.
    """

    key_id: str
    at: Time
    settled: Time
    key_state: KeyState
    key_state_reason: str
    license: LicenceStatus
    buffer: BufferStatus | None
    days_left: int | None
    after_buffer: LicenceStatus | None
    alerts: tuple[Alert, ...]
    reason: str


class NotInserted(LookupError):  # noqa: N818 - it says what the key is
    """The key is in no node; `inserted` has the ids of those that are."""

    def __init__(self, key_id: str, inserted: tuple[str, ...]) -> None:
        super().__init__(f"USB key {key_id} is not inserted.")
        self.inserted = inserted


def preview_removal(
    site: Site, views: Sequence[NodeView], ledger: Ledger, now: Time, policy: Policy, key_id: str
) -> RemovalPreview:
    """Say what would come of pulling a key out of every node that has it, at `now` and with nothing else happening.

    Raises:
        NotInserted: it is in no node.
    """
    before = decide(site, views, ledger, now, policy)
    inserted = inserted_keys(before.status)
    if key_id not in inserted:
        raise NotInserted(key_id, inserted)
    gone, settled = _without(views, key_id), now + policy.removal_settle
    changes, after = _go_on(site, gone, before.ledger, (now, settled), policy)
    left = after.status.buffer
    return RemovalPreview(
        key_id=key_id,
        at=now,
        settled=settled,
        key_state=after.status.key_state,
        key_state_reason=after.status.key_state_reason,
        license=after.status.license,
        buffer=left,
        days_left=None if left is None else max((left.expires - now).days, 0),
        after_buffer=None if left is None else _licence_at(site, after, max(left.expires, settled), policy),
        alerts=after.status.alerts,
        reason=_Removal(key_id, gone, before, after, changes, policy.node_hold).reason(),
    )


def inserted_keys(status: Status) -> tuple[str, ...]:
    """Return the ids of the keys that count as inserted, whatever came of reading them, each once and in order."""
    return tuple(sorted({key.key_id for node in status.nodes for key in node.ukeys}))


def _without(views: Sequence[NodeView], key_id: str) -> tuple[NodeView, ...]:
    return tuple(
        replace(view, keys=tuple(key for key in view.keys if key.key_id != key_id))
        if view.visibility is Visibility.LIVE
        else view
        for view in views
    )


def _go_on(
    site: Site, views: Sequence[NodeView], ledger: Ledger, times: tuple[Time, Time], policy: Policy
) -> tuple[tuple[Change, ...], Decision]:
    """Decide at the first of the times, whenever something falls due, and at the last; return all changes as well."""
    now, end = times
    decision = decide(site, views, ledger, now, policy)
    changes = decision.changes
    while now < end:
        now = min(decision.next_change or end, end)
        decision = decide(site, views, decision.ledger, now, policy)
        changes = (*changes, *decision.changes)
    return changes, decision


def _licence_at(site: Site, decision: Decision, at: Time, policy: Policy) -> LicenceStatus:
    """Return the licence that is in force by then if no more happens than that time passes."""
    status = decision.status
    return describe(site, decision.ledger, status.nodes, status.key_state_reason, at, policy).license


class _Removal(msgspec.Struct, frozen=True):
    """A removal with the decisions before and after it, to be explained.

    `views` are without the key, `hold` is how long the report of a node that stopped reporting counts.
    """

    key_id: str
    views: tuple[NodeView, ...]
    before: Decision
    after: Decision
    changes: tuple[Change, ...]
    hold: dt.timedelta

    def reason(self) -> str:
        """Say why it comes as it does: the first of these that there is to say."""
        return (
            self._unseen()
            or self._another_key()
            or self._of_something_else()
            or self._settled()
            or self._undecided()
            or self._out_before()
            or self.after.status.reasons[1]
        )

    def _unseen(self) -> str | None:
        """Nobody sees it go."""
        holders = [node for node in self.before.status.nodes if any(key.key_id == self.key_id for key in node.ukeys)]
        if any(node.visibility is Visibility.LIVE for node in holders):
            return None
        names = " and ".join(node.name for node in holders)
        text = f"Nobody sees the key go, as its node does not report ({names}): nothing changes before it reports again"
        since = self.before.ledger.missing_since
        ends = [since[uuid] + self.hold for uuid in (node.management_node_uuid for node in holders) if uuid in since]
        return f"{text}, at the latest on {max(ends):%Y-%m-%d %H:%M} UTC." if ends else f"{text}."

    def _another_key(self) -> str | None:
        """Another key's licence counts instead, or the key in use serves again, because of this removal."""
        key_id = self.after.ledger.in_use
        if key_id in {None, self.key_id} or self.after.ledger.key_state not in SERVING_STATES:
            return None
        assert key_id is not None
        if key_id != self.before.ledger.in_use:
            return f"USB key {key_id} takes over."
        if _history(self.before, key_id).out_since is not None and _history(self.after, key_id).out_since is None:
            return f"USB key {key_id} serves again: what put it out of service is gone."
        return None

    def _of_something_else(self) -> str | None:
        """The licence in force does not come from this key."""
        was, will_be = self.before.status.license, self.after.status.license
        if was.key_id == self.key_id or was.name != will_be.name or was.status != will_be.status:
            return None
        if will_be.name is None:
            return "No licence is installed: nothing changes about that."
        if will_be.key_id is not None:
            return f"The licence in force is that of USB key {will_be.key_id}: it does not depend on this key."
        return f"The licence in force, {will_be.name}, is not from a USB key: it stays as it is."

    def _settled(self) -> str | None:
        """The removal counts, by one of the rules of buffers."""
        rule = next((change.sentence for change in self.changes if change.subject == self.key_id), None)
        will_be = self.after.status.license
        if rule is None or will_be.key_id == self.key_id or will_be.status is not Validity.VALID:
            return rule
        return f"{rule} Meanwhile the licence {will_be.name} is in force."

    def _undecided(self) -> str | None:
        """The removal does not count as long as the key may have been put in elsewhere."""
        unknown = [view.name for view in self.views if view.visibility is Visibility.UNKNOWN]
        if unknown:
            return f"Nothing is known of node {' and '.join(unknown)}: a removal does not count until that is known."
        nodes = self.after.status.nodes
        pending = [key.key_id for node in nodes for key in node.ukeys if key.reading is Reading.PENDING]
        if pending:
            return f"USB key {' and '.join(pending)} is being read: a removal does not count until that has ended."
        return None

    def _out_before(self) -> str | None:
        """It was removed already, as the law sees it: it was at fault."""
        history = next((each for each in self.before.ledger.keys if each.key_id == self.key_id), None)
        if history is None or history.out_since is None or not buffer.settled(history):
            return None
        return "The key was out of service already, which counts as its removal: this one changes nothing more."


def _history(decision: Decision, key_id: str) -> KeyHistory:
    return history_of(decision.ledger, key_id)
