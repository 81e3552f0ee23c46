"""Which operations of the platform are allowed: the table, and the answer to one question about one operation.

What the platform may do follows from the published status alone. This file knows no clock and no ledger, and nothing
of what an operation does beyond its name and the change of usage that the platform declares for it.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Annotated

import msgspec
from msgspec import Meta

from licensing.ledger import Usage
from licensing.licence import Quota
from licensing.policy import Policy
from licensing.quota import UNITS, over_quota
from licensing.status import Status, Validity
from licensing.value import Value

# --- the table -----------------------------------------------------------------------------------------------------


class Kind(Enum):
    """The classes of operations, as people call them."""

    ALWAYS = "logging in, viewing and licence operations"
    LOWERS = "operations that lower usage"
    OTHER = "all other operations"
    UNKNOWN = "unknown operations"


OPERATIONS: dict[Kind, tuple[str, ...]] = {
    Kind.ALWAYS: ("session.login", "session.logout", "*.get", "*.query", "*.refresh", "license.*"),
    Kind.LOWERS: ("host.delete", "cluster.delete", "vm.delete", "host.changeState"),
    Kind.OTHER: ("host.add", "vm.create"),
}
"""The operations by class; `*` stands for any resource or any verb. What is not here is unknown."""


class Standing(Enum):
    """How a site stands with its licence; one that is both over quota and expired is held to the stricter, EXPIRED."""

    FREE = "free"
    OVER_QUOTA = "over-quota"
    EXPIRED = "expired"


PERMITTED: dict[Standing, tuple[Kind, ...]] = {
    Standing.FREE: tuple(Kind),
    Standing.OVER_QUOTA: (Kind.ALWAYS, Kind.LOWERS),
    Standing.EXPIRED: (Kind.ALWAYS,),
}
"""The classes that each standing leaves open."""

# --- the question and its answer -----------------------------------------------------------------------------------

Change = Annotated[int, Meta(ge=-(2**31 - 1), le=2**31 - 1)]


class Delta(Value, frozen=True, omit_defaults=True):
    """By how much an operation would change usage; negative lowers it. No licence limits `vms`."""

    hosts: Change = 0
    cpu_sockets: Change = 0
    cpu_cores: Change = 0
    vms: Change = 0


class Verdict(Value, frozen=True):
    """Whether an operation is allowed and why; if not, what to do, the unit at fault and the platform's own code."""

    allowed: bool
    reason: str
    hint: str = ""
    unit: str | None = None
    code: str | None = None


class BadOperation(ValueError):  # noqa: N818 - it says what the name is
    """The text is not the name of an operation; the message says what one looks like."""


EXPIRED, NOT_PERMITTED, CAPACITY_MISMATCH = "LICENSE.1000", "LICENSE.1001", "LICENSE.1007"

_MAX_NAME = 64
_NAME = re.compile(r"([A-Za-z0-9-]+)\.([A-Za-z0-9-]+)")
OperationName = Annotated[str, Meta(extra_json_schema={"pattern": f"^{_NAME.pattern}$", "maxLength": _MAX_NAME})]
"""Described and not checked when decoding, since `authorize` says more of a bad one."""
_KINDS = {pattern: kind for kind, patterns in OPERATIONS.items() for pattern in patterns}
_API_NAMES = {field.name: field.encode_name for field in msgspec.structs.fields(Quota)}


def authorize(status: Status, operation: str, delta: Delta | None, policy: Policy) -> Verdict:
    """Say whether the platform may do `operation`, which would change usage by `delta`.

    What is always allowed changes no usage, so its `delta` counts for nothing.

    Raises:
        BadOperation: `operation` is not of the form `resource.verb`.
    """
    kind = kind_of(operation)
    if kind is Kind.ALWAYS:
        return Verdict(allowed=True, reason=f"{_sentence(Kind.ALWAYS.value)} are always allowed.")
    if kind not in permitted(status):
        return _refused(status, operation, kind, policy)
    change = delta or Delta()
    excess = _excess(status, change)
    if excess is not None:
        return _too_much(status, excess, change, policy)
    return Verdict(allowed=True, reason=_why_allowed(status))


def kind_of(operation: str) -> Kind:
    """Return the class of an operation, the most specific pattern first.

    Raises:
        BadOperation: `operation` is not of the form `resource.verb`.
    """
    parts = _NAME.fullmatch(operation) if len(operation) <= _MAX_NAME else None
    if parts is None:
        raise BadOperation(
            f"{operation[:_MAX_NAME]!a} is not an operation: write resource.verb, such as vm.create, in letters, "
            f"digits and hyphens, {_MAX_NAME} characters at most."
        )
    patterns = (operation, f"{parts[1]}.*", f"*.{parts[2]}")
    return next((_KINDS[pattern] for pattern in patterns if pattern in _KINDS), Kind.UNKNOWN)


def standing(status: Status) -> Standing:
    """Return how a site stands with its licence."""
    if status.license.status is Validity.EXPIRED:
        return Standing.EXPIRED
    return Standing.OVER_QUOTA if status.restricted else Standing.FREE


def permitted(status: Status) -> tuple[Kind, ...]:
    """Return the classes of operations that are open as the site stands."""
    return PERMITTED[standing(status)]


# --- refusals ------------------------------------------------------------------------------------------------------


def _refused(status: Status, operation: str, kind: Kind, policy: Policy) -> Verdict:
    open_kinds = " and ".join(each.value for each in permitted(status))
    unknown = f" {operation} is unknown." if kind is Kind.UNKNOWN else ""
    only = f"only {open_kinds} are allowed.{unknown}"
    if standing(status) is Standing.EXPIRED:
        name = status.license.name
        trouble = "No licence is installed" if name is None else f"The licence {name} cannot be used any more"
        return Verdict(
            allowed=False,
            reason=f"{trouble}: {only}",
            hint=f"Install a valid licence; contact {policy.sales}.",
            code=EXPIRED,
        )
    over = over_quota(status.quota, _reported(status))
    used = ", ".join(f"{_used(status, unit)} {UNITS[unit]} of {_limit(status, unit)}" for unit in over)
    return Verdict(
        allowed=False,
        reason=f"More is used than the licence covers ({used}): {only}" if over else f"The site is restricted: {only}",
        hint=f"Lower usage or update the licence; contact {policy.support}.",
        unit=_API_NAMES[over[0]] if over else None,
        code=NOT_PERMITTED,
    )


def _too_much(status: Status, unit: str, delta: Delta, policy: Policy) -> Verdict:
    used = _used(status, unit)
    in_use = "an unknown number" if used is None else used
    return Verdict(
        allowed=False,
        reason=(
            f"It would exceed the quota of {UNITS[unit]}: {in_use} in use, {getattr(delta, unit)} more asked for, "
            f"{_limit(status, unit)} licensed."
        ),
        hint=f"Ask for less, lower usage first or update the licence; contact {policy.support}.",
        unit=_API_NAMES[unit],
        code=CAPACITY_MISMATCH,
    )


def _excess(status: Status, delta: Delta) -> str | None:
    """The first unit that `delta` would take above the quota.

    A unit that is not raised is not taken anywhere, however high it is; of unknown usage all that is known is that the
    raise alone comes on top.
    """
    for unit in UNITS:
        limit, change = _limit(status, unit), getattr(delta, unit)
        if limit is not None and change > 0 and (_used(status, unit) or 0) + change > limit:
            return unit
    return None


# --- what the status says ------------------------------------------------------------------------------------------


def _why_allowed(status: Status) -> str:
    if standing(status) is Standing.OVER_QUOTA:
        return f"{_sentence(Kind.LOWERS.value)} are allowed while more is used than the licence covers."
    valid = f"The licence {status.license.name} is valid"
    unknown = [UNITS[unit] for unit in UNITS if _limit(status, unit) is not None and _used(status, unit) is None]
    if unknown:
        return f"{valid}; usage of {' and '.join(unknown)} is unknown, so nobody can say whether the quota is kept."
    if status.usage is not None and status.usage.stale:
        return f"{valid} and the quota is kept, by a usage report that is more than a day old."
    return f"{valid} and the quota is kept."


def _limit(status: Status, unit: str) -> int | None:
    limit: int | None = getattr(status.quota, unit, None)
    return limit


def _used(status: Status, unit: str) -> int | None:
    used: int | None = getattr(status.usage, unit, None)
    return used


def _reported(status: Status) -> Usage | None:
    shown = status.usage
    if shown is None:
        return None
    return Usage(shown.reported_at, shown.hosts, shown.cpu_sockets, shown.cpu_cores, shown.vms)


def _sentence(words: str) -> str:
    return words[0].upper() + words[1:]
