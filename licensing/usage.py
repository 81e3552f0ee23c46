"""What the platform reports to use, what a licence leaves of its quota, and what the licence in force gives.

These are the plain answers; whether one operation is allowed is asked in `licensing.operations`.
"""

from __future__ import annotations

from enum import Enum

import msgspec
from msgspec.structs import replace

from licensing.ledger import Usage
from licensing.licence import Edition, Quota
from licensing.operations import permitted
from licensing.quota import UNITS
from licensing.status import Status, UsageStatus, Validity
from licensing.value import Count, Time, Value

# --- reports -------------------------------------------------------------------------------------------------------


class UsageReport(Value, frozen=True, omit_defaults=True):
    """What the platform says it uses now, in at least one unit.

    Raises:
        ValueError: no unit is given (a `msgspec.ValidationError` when decoding).
    """

    hosts: Count | None = None
    cpu_sockets: Count | None = None
    cpu_cores: Count | None = None
    vms: Count | None = None

    def __post_init__(self) -> None:
        if not _told(self):
            raise ValueError("The report names no unit: give hosts, cpuSockets, cpuCores or vms.")


def merge(before: Usage | None, report: UsageReport, at: Time) -> Usage:
    """Return the usage after a report that came `at` this time; a unit left out keeps its value."""
    return replace(before or Usage(at), reported_at=at, **_told(report))


def _told(report: UsageReport) -> dict[str, int]:
    units = {unit: getattr(report, unit) for unit in report.__struct_fields__}
    return {unit: value for unit, value in units.items() if value is not None}


# --- what is left --------------------------------------------------------------------------------------------------


class Available(Value, frozen=True):
    """What is left of a quota, never below 0; None where the unit is unlimited or its usage unknown."""

    hosts: int | None
    cpu_sockets: int | None
    cpu_cores: int | None


def available(quota: Quota | None, usage: Usage | UsageStatus | None) -> Available:
    """Return what is left in every unit; without a licence, which is no quota, nothing is."""
    if quota is None:
        return Available(0, 0, 0)
    return Available(**{unit: _left(getattr(quota, unit), getattr(usage, unit, None)) for unit in UNITS})


def _left(limit: int | None, used: int | None) -> int | None:
    return None if limit is None or used is None else max(0, limit - used)


# --- what the licence gives ----------------------------------------------------------------------------------------


class Level(Enum):
    """How much of a field of virtualisation there is."""

    COMPLETE = "complete"
    BASIC = "basic"
    UNAVAILABLE = "unavailable"


_LEVELS = {
    Edition.BASIC_TRIAL: Level.BASIC,
    Edition.BASIC_PAID: Level.BASIC,
    Edition.ADVANCED_PAID: Level.COMPLETE,
}


class Capabilities(Value, frozen=True):
    """What the licence in force gives, in words.

    `edition` is the agreement's title, None without a licence; `operations` are the classes of operations that are
    allowed now, which are not all of them when `restricted`.
    """

    edition: str | None
    compute: Level
    storage: Level
    network: Level
    after_sales_service: str
    restricted: bool
    operations: tuple[str, ...]


def capabilities(status: Status) -> Capabilities:
    """Return what the licence in force gives; one that is expired gives no virtualisation."""
    edition = status.license.edition
    usable = edition is not None and status.license.status is Validity.VALID
    level = _LEVELS[edition] if edition is not None and usable else Level.UNAVAILABLE
    return Capabilities(
        edition=edition.title if edition is not None else None,
        compute=level,
        storage=level,
        network=level,
        after_sales_service=_service(edition, status.license.service_expires),
        restricted=status.restricted,
        operations=tuple(kind.value for kind in permitted(status)),
    )


def _service(edition: Edition | None, until: Time | None) -> str:
    """The service has a term of its own, which the licence's expiry does not end; the trial comes without."""
    if edition is None or edition is Edition.BASIC_TRIAL or until is None:
        return "not included"
    return f"7x24 until {msgspec.to_builtins(until)}"
