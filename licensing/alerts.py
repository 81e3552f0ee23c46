"""Alerts and the banner: what an operator is told, as one table of conditions and sentences."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from licensing.inforce import USB_KEY, InForce
from licensing.ledger import KeyState
from licensing.policy import BUFFER_ENDING_WITHIN, EXPIRING_WITHIN, SERVICE_EXPIRING_WITHIN, Policy
from licensing.status import Alert, Banner
from licensing.value import Time


class Situation(msgspec.Struct, frozen=True):
    """What the alerts look at: the licence in force, the site's key state, and what is over quota or cloned.

    `keys_fail`: USB keys are inserted, and it is certain that none of them can be used.
    """

    now: Time
    in_force: InForce | None
    key_state: KeyState
    over_quota: tuple[str, ...]
    clones: tuple[str, ...]
    keys_fail: bool

    @property
    def usable(self) -> bool:
        """Whether there is a licence and it can be used."""
        return self.in_force is not None and self.in_force.usable


def _expiring(it: Situation) -> bool:
    """Less than 15 days left by the licence's own expiry; exactly 15 is not yet."""
    return it.in_force is not None and it.now < it.in_force.licence.expires < it.now + EXPIRING_WITHIN


def _service_expiring(it: Situation) -> bool:
    """After-sales service ends within 30 days; exactly 30 counts."""
    ends = it.in_force.licence.service_expires if it.in_force else None
    return ends is not None and it.now < ends <= it.now + SERVICE_EXPIRING_WITHIN


def _buffer_ending(it: Situation) -> bool:
    """The buffer that runs has less than 7 days left."""
    until = it.in_force.buffer_until if it.in_force else None
    return until is not None and it.now < until < it.now + BUFFER_ENDING_WITHIN


class Rule(NamedTuple):
    """One alert: when it holds, what the banner says, how grave it is, whether people are redirected after login."""

    alert: Alert
    holds: Callable[[Situation], bool]
    sentence: str
    level: str = "warning"
    redirect: bool = False


RULES: tuple[Rule, ...] = (
    Rule(Alert.EXPIRING, _expiring, "The licence expires soon. Contact {sales} for a new one."),
    Rule(
        Alert.SERVICE_EXPIRING,
        _service_expiring,
        "The after-sales service ends soon. Contact {sales} to extend it.",
    ),
    Rule(
        Alert.EXPIRED,
        lambda it: not it.usable,
        "The licence cannot be used. Install a valid licence; until then do not reconnect hosts or storage, running "
        "workloads go on. Contact {sales}.",
        level="error",
        redirect=True,
    ),
    Rule(
        Alert.QUOTA_EXCEEDED,
        lambda it: bool(it.over_quota),
        "More is used than the licence covers; most operations are refused. Reduce usage or update the licence, and do "
        "not shut a management node down: it would not start again. Contact {support}.",
        level="error",
    ),
    Rule(
        Alert.KEY_MISSING,
        lambda it: it.key_state is KeyState.MISSING,
        "The USB key is removed. Insert it again before the buffer licence ends.",
    ),
    Rule(
        Alert.KEY_ABNORMAL,
        lambda it: it.key_state is KeyState.ABNORMAL,
        "Both nodes have a USB key. The licence is not affected while one works; leave one working key in the site.",
    ),
    Rule(
        Alert.KEY_FAULT,
        lambda it: it.key_state is KeyState.FAULT,
        "The USB key is at fault. Leave exactly one working key in the site before the buffer licence ends.",
    ),
    Rule(
        Alert.CLONE_SUSPECTED,
        lambda it: bool(it.clones),
        "The same USB key was seen in both nodes at once: one of them may be a copy. Contact {support}.",
    ),
    Rule(
        Alert.BUFFER_ENDING,
        _buffer_ending,
        "The buffer licence ends soon. Insert the USB key that was in use, or contact {support}.",
    ),
)

_IN_A_BANNER = (
    Alert.EXPIRED,
    Alert.QUOTA_EXCEEDED,
    Alert.BUFFER_ENDING,
    Alert.EXPIRING,
    Alert.SERVICE_EXPIRING,
)
"""The alerts that make a banner, the gravest first."""


def alerts_of(situation: Situation) -> tuple[Alert, ...]:
    """Return the alerts that hold, in the order in which they are shown."""
    return tuple(rule.alert for rule in RULES if rule.holds(situation))


def banner_of(alerts: tuple[Alert, ...], policy: Policy) -> Banner | None:
    """Return the banner for the gravest alert, None when nothing needs one."""
    by_alert = {rule.alert: rule for rule in RULES}
    gravest = next((by_alert[alert] for alert in _IN_A_BANNER if alert in alerts), None)
    if gravest is None:
        return None
    text = gravest.sentence.format(sales=policy.sales, support=policy.support)
    return Banner(gravest.level, text, redirect=gravest.redirect)


def because(it: Situation) -> str:
    """Say in one sentence why the licence in force can or cannot be used."""
    held = it.in_force
    if held is None:
        return "No licence is installed."
    if it.now >= held.licence.expires:
        return f"The licence {held.licence.name} has expired."
    if not held.usable:
        return f"The licence {held.licence.name} cannot be used: its USB key is out of service and no buffer runs."
    if held.buffer_until is not None:
        return f"A buffer licence stands in for USB key {held.key_id}."
    unsettled = _unsettled(it) if held.source == USB_KEY else ""
    return unsettled or f"The licence {held.licence.name} is valid."


def _unsettled(it: Situation) -> str:
    """Say that the key whose licence is in force went out of service just now; the empty string where it did not."""
    if it.key_state in (KeyState.MISSING, KeyState.FAULT):
        return "The USB key went out of service just now; the licence is unchanged until that has settled."
    if it.key_state is KeyState.ABNORMAL and it.keys_fail:
        return "No inserted USB key can be used; the licence is unchanged until that has settled, then the buffer runs."
    return ""
