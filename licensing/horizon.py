"""When an answer next changes by itself: every moment at which a rule that looks at the time may say something else."""

from __future__ import annotations

from collections.abc import Iterator

from licensing import buffer
from licensing.inforce import trial_of
from licensing.ledger import KeyHistory, Ledger, Site
from licensing.licence import Licence
from licensing.policy import (
    BUFFER_ENDING_WITHIN,
    EXPIRING_WITHIN,
    SERVICE_EXPIRING_WITHIN,
    TICK,
    USAGE_FRESH_FOR,
    Policy,
)
from licensing.presence import Presence
from licensing.seen import Reading
from licensing.value import Time


def next_change(site: Site, ledger: Ledger, presence: Presence, now: Time, policy: Policy) -> Time | None:
    """Return the first moment after `now` at which a decision may differ with nothing happening; None for never."""
    instants = (*_of_ledger(site, ledger), *_of_presence(ledger, presence, policy))
    return min((at for at in instants if at > now), default=None)


def next_change_unseen(site: Site, ledger: Ledger, now: Time) -> Time | None:
    """The same for a node that sees no leader: what is remembered stays, and time passes."""
    return min((at for at in _of_ledger(site, ledger) if at > now), default=None)


def _of_ledger(site: Site, ledger: Ledger) -> Iterator[Time]:
    waiting = (history.pending for history in ledger.keys if history.pending is not None)
    for signed in (*ledger.installed, *(history.signed for history in ledger.keys), *waiting):
        yield from _of_licence(signed.licence)
    if not ledger.trial_over:
        yield from _of_licence(trial_of(site))
    for history in ledger.keys:
        yield from _of_buffer(history)
    if ledger.usage is not None:
        yield ledger.usage.reported_at + USAGE_FRESH_FOR + TICK


def _of_licence(licence: Licence) -> Iterator[Time]:
    yield licence.not_before
    yield licence.expires - EXPIRING_WITHIN + TICK
    yield licence.expires
    if licence.service_expires is not None:
        yield licence.service_expires - SERVICE_EXPIRING_WITHIN
        yield licence.service_expires


def _of_buffer(history: KeyHistory) -> Iterator[Time]:
    until = buffer.running_until(history)
    if until is not None:
        yield until - BUFFER_ENDING_WITHIN + TICK
        yield until


def _of_presence(ledger: Ledger, presence: Presence, policy: Policy) -> Iterator[Time]:
    for key in presence.readable.values():
        if key.licence is not None:
            yield key.licence.licence.not_before
            yield key.licence.licence.expires
    for since in presence.missing_since.values():
        yield since + policy.node_hold
    for keys in presence.keys.values():
        yield from (key.read_by for key in keys if key.reading is Reading.PENDING and key.read_by is not None)
        yield from (key.prove_by for key in keys if key.prove_by is not None)
    if presence.certain:
        for history in ledger.keys:
            if history.out_since is not None and not buffer.settled(history):
                yield history.out_since + policy.removal_settle
