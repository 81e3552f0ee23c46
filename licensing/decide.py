"""The one decision: from what is seen and what is remembered to what is true.

`decide` is a pure function of its arguments. Its steps are the chapters of the law, in this order: which keys count
(`presence`), the key state (`keystate`), the key in use (`inuse`), removals and buffers (`buffer`), and the answer
(`describe`). It also says when its answer will next change by itself, so that nobody needs to ask before.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from licensing import buffer, horizon, inuse
from licensing.describe import describe, node_statuses
from licensing.keystate import key_state
from licensing.ledger import KeyHistory, Ledger, Site
from licensing.pending import ripen
from licensing.policy import Policy
from licensing.presence import Presence, observe
from licensing.seen import NodeView
from licensing.status import Status
from licensing.value import Time


class Change(msgspec.Struct, frozen=True):
    """One thing that the ledger now remembers: about which key or licence, and the sentence that says why."""

    subject: str
    sentence: str


class Decision(msgspec.Struct, frozen=True):
    """The answer at one moment. `next_change`: when it will change with nothing happening; None for never."""

    status: Status
    ledger: Ledger
    changes: tuple[Change, ...]
    next_change: Time | None

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the answer is what it is, in words for an operator."""
        return self.status.reasons


def decide(site: Site, views: Sequence[NodeView], ledger: Ledger, now: Time, policy: Policy | None = None) -> Decision:
    """Decide what is true of a site at `now`.

    Args:
        site: who the members are and when the trial started.
        views: one view for every member; their order does not matter.
        ledger: what the previous decision remembered.
        now: effective time; it never goes back from one decision to the next.
        policy: the site's settings; the law's own defaults when left out.
    """
    policy = policy or Policy()
    views = sorted(views, key=lambda view: site.members.index(view.node))
    before, ledger = ledger, ripen(ledger, now)
    presence = observe(views, ledger, now, policy)
    verdict = key_state(presence, ledger.key_state, used=ledger.in_use is not None)
    seen = replace(ledger, key_state=verdict.state, missing_since=presence.missing_since, moved=presence.moved)
    tracked = replace(seen, keys=inuse.track(seen, presence, now, policy))
    chosen, taken = _take_over(tracked, presence, now, policy)
    after, removals = _settle(chosen, presence, now, policy)
    after = _end_trial(after, now)
    if after != before:
        after = replace(after, sequence=before.sequence + 1)
    return Decision(
        status=describe(site, after, node_statuses(views, presence), verdict.sentence, now, policy),
        ledger=after,
        changes=(*taken, *removals),
        next_change=horizon.next_change(site, after, presence, now, policy),
    )


def _take_over(ledger: Ledger, presence: Presence, now: Time, policy: Policy) -> tuple[Ledger, tuple[Change, ...]]:
    """Let another key's licence take the place of the key in use, if the law says so."""
    settled, _ = _settle(ledger, presence, now, policy)
    chosen = inuse.choose(settled, presence, now, policy)
    if chosen is None or chosen == ledger.in_use:
        return ledger, ()
    keys = ledger.keys
    if not any(history.key_id == chosen for history in keys):
        signed = inuse.licences_carried(ledger, presence, policy)[chosen]
        keys = tuple(sorted((*keys, KeyHistory(chosen, signed, presence.node_of(chosen))), key=lambda h: h.key_id))
    change = Change(chosen, f"USB key {chosen} is now the key in use; a buffer of another key is void.")
    return replace(ledger, keys=keys, in_use=chosen), (change,)


def _settle(ledger: Ledger, presence: Presence, now: Time, policy: Policy) -> tuple[Ledger, tuple[Change, ...]]:
    """Turn what has lasted long enough into removals; while anything cannot be seen, nothing becomes one."""
    if not presence.certain:
        return ledger, ()
    keys, changes = [], []
    for history in ledger.keys:
        if inuse.settle_due(history, now, policy):
            after, sentence = buffer.settle(history)
            keys.append(after)
            changes.append(Change(history.key_id, sentence))
        else:
            keys.append(history)
    return replace(ledger, keys=tuple(keys)), tuple(changes)


def _end_trial(ledger: Ledger, now: Time) -> Ledger:
    """Installing any licence ends the trial for good: a request-key one, or a valid one of a key that came into use."""
    used = [] if ledger.in_use is None else [inuse.history_of(ledger, ledger.in_use).signed.licence]
    installed = [signed.licence for signed in ledger.installed]
    if any(inuse.valid(licence, now) for licence in (*used, *installed)):
        return replace(ledger, trial_over=True)
    return ledger
