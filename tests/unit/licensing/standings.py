"""Published answers for tests: the status of a site with one licence, as the law describes it."""

from __future__ import annotations

from typing import Any

from licensing.describe import describe
from licensing.ledger import Ledger, Site, Usage
from licensing.licence import Quota, SignedLicence
from licensing.policy import Policy
from licensing.status import Status
from tests.unit.licensing.signing import AT_SITE, day, licence

NOW = day("2026-06-01")
POLICY = Policy(sales="sales@example.org", support="support@example.org")


def used(**units: int) -> Usage:
    """Return a usage that was reported just now."""
    return Usage(NOW, **units)


def status(quota: Quota | None = None, usage: Usage | None = None, **changes: Any) -> Status:
    """Return the status of a site with a good licence but for the changes."""
    told = licence(**({"name": "L", "binding": AT_SITE, "quota": quota or Quota()} | changes))
    return _status(Ledger(installed=(SignedLicence(told, b""),), trial_over=True, usage=usage))


def expired(quota: Quota | None = None, usage: Usage | None = None) -> Status:
    """Return the status of a site whose licence has run out this moment."""
    return status(quota, usage, expires=NOW)


def unlicensed(usage: Usage | None = None) -> Status:
    """Return the status of a site without any licence."""
    return _status(Ledger(trial_over=True, usage=usage))


def _status(ledger: Ledger) -> Status:
    return describe(Site("site-1", ("a", "b"), day("2026-01-01")), ledger, (), "", NOW, POLICY)
