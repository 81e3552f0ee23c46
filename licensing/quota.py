"""Quota against usage: in which units a site uses more than its licence covers."""

from __future__ import annotations

from licensing.ledger import Usage
from licensing.licence import Quota

UNITS = {"hosts": "hosts", "cpu_sockets": "CPU sockets", "cpu_cores": "CPU cores"}
"""The units by which a licence may be limited, with their names for people."""


def over_quota(quota: Quota | None, usage: Usage | None) -> tuple[str, ...]:
    """Return the units in which usage is above the quota.

    Usage equal to the quota is fine; a unit absent from the licence is unlimited; usage never reported is unknown, and
    unknown is never over.
    """
    if quota is None or usage is None:
        return ()
    return tuple(unit for unit in UNITS if _above(getattr(usage, unit), getattr(quota, unit)))


def _above(used: int | None, allowed: int | None) -> bool:
    return used is not None and allowed is not None and used > allowed


def explain(unit: str, quota: Quota, usage: Usage) -> str:
    """Say in one sentence that a unit is over quota and what to do about it."""
    used, allowed = getattr(usage, unit), getattr(quota, unit)
    return f"{used} {UNITS[unit]} are used and the licence covers {allowed}: reduce usage or update the licence."
