"""What is used, what is left, and what the licence in force gives."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from licensing.canonical import decode, encode
from licensing.ledger import Usage
from licensing.licence import Edition, Quota
from licensing.status import Status, UsageStatus
from licensing.usage import Available, Capabilities, Level, UsageReport, available, capabilities, merge
from tests.unit.licensing.signing import day
from tests.unit.licensing.standings import expired, status, unlicensed, used

BEFORE = Usage(day("2026-05-01"), hosts=3, cpu_cores=64)
AT = day("2026-06-01")
UNITS = ("hosts", "cpu_sockets", "cpu_cores", "vms")

# --- reports -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "report", "after"),
    [
        (None, UsageReport(hosts=2), Usage(AT, hosts=2)),
        (BEFORE, UsageReport(hosts=2), Usage(AT, hosts=2, cpu_cores=64)),
        (BEFORE, UsageReport(cpu_sockets=4), Usage(AT, hosts=3, cpu_sockets=4, cpu_cores=64)),
        (BEFORE, UsageReport(hosts=0, vms=0), Usage(AT, hosts=0, cpu_cores=64, vms=0)),
    ],
)
def test_a_unit_left_out_keeps_its_value(before: Usage | None, report: UsageReport, after: Usage) -> None:
    """A report replaces what it names, keeps the rest, and dates it all; zero is a value and not an omission."""
    assert merge(before, report, AT) == after


counts = st.none() | st.integers(0, 9)
told = st.fixed_dictionaries(dict.fromkeys(UNITS, counts)).filter(lambda units: set(units.values()) != {None})


@given(told, told)
def test_the_newest_value_of_each_unit_stays(before: dict[str, Any], after: dict[str, Any]) -> None:
    """After any two reports each unit has the newest value that was told."""
    usage = merge(merge(None, UsageReport(**before), day("2026-05-01")), UsageReport(**after), AT)
    newest = {unit: before[unit] if after[unit] is None else after[unit] for unit in UNITS}
    assert usage == Usage(AT, **newest)


@pytest.mark.parametrize("body", ["{}", '{"hosts":null}', '{"host":1}', '{"hosts":-1}', '{"hosts":"1"}', '{"vms":1.5}'])
def test_a_report_that_says_nothing_or_nonsense_is_refused(body: str) -> None:
    """A report names at least one unit, in whole numbers from zero."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(body, type=UsageReport)


def test_an_empty_report_says_which_units_there_are() -> None:
    """The error tells what to give."""
    with pytest.raises(ValueError, match="give hosts, cpuSockets, cpuCores or vms"):
        UsageReport()


# --- what is left --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quota", "usage", "left"),
    [
        (Quota(hosts=10), used(hosts=3), Available(7, None, None)),
        (Quota(cpu_sockets=4, cpu_cores=64), used(cpu_sockets=4, cpu_cores=65), Available(None, 0, 0)),
        (Quota(hosts=10, cpu_cores=64), used(hosts=3), Available(7, None, None)),
        (Quota(hosts=10), None, Available(None, None, None)),
        (Quota(), used(hosts=3), Available(None, None, None)),
        (None, used(hosts=3), Available(0, 0, 0)),
        (Quota(hosts=10), UsageStatus(3, None, None, None, AT, stale=True), Available(7, None, None)),
    ],
)
def test_what_is_left_of_a_quota(quota: Quota | None, usage: Usage | UsageStatus | None, left: Available) -> None:
    """Unlimited and unknown are None, over quota leaves 0, and without a licence nothing is left."""
    assert available(quota, usage) == left


# --- what the licence gives ----------------------------------------------------------------------------------------

ALL = (
    "logging in, viewing and licence operations",
    "operations that lower usage",
    "all other operations",
    "unknown operations",
)


@pytest.mark.parametrize(
    ("edition", "level", "service"),
    [
        (Edition.BASIC_TRIAL, Level.BASIC, "not included"),
        (Edition.BASIC_PAID, Level.BASIC, "7x24 until 2026-09-01T00:00:00Z"),
        (Edition.ADVANCED_PAID, Level.COMPLETE, "7x24 until 2026-09-01T00:00:00Z"),
    ],
)
def test_each_edition_gives_what_its_agreement_says(edition: Edition, level: Level, service: str) -> None:
    """Basic editions give basic virtualisation, the advanced one all of it; the trial comes without service."""
    given_by = capabilities(status(edition=edition, service_expires=day("2026-09-01")))
    assert given_by == Capabilities(edition.title, level, level, level, service, restricted=False, operations=ALL)


def test_a_paid_licence_without_a_service_term_has_no_service() -> None:
    """After-sales service is there only for a term that the licence names."""
    assert capabilities(status()).after_sales_service == "not included"


@pytest.mark.parametrize(
    ("site", "level", "operations"),
    [
        (status(Quota(hosts=1), used(hosts=2)), Level.BASIC, ALL[:2]),
        (expired(), Level.UNAVAILABLE, ALL[:1]),
        (expired(Quota(hosts=1), used(hosts=2)), Level.UNAVAILABLE, ALL[:1]),
        (unlicensed(), Level.UNAVAILABLE, ALL[:1]),
    ],
    ids=["over quota", "expired", "both", "no licence"],
)
def test_a_restricted_site_is_told_what_is_left(site: Status, level: Level, operations: tuple[str, ...]) -> None:
    """Over quota the features stay and most operations go; expired, the features go too."""
    given_by = capabilities(site)
    assert (given_by.restricted, given_by.compute, given_by.operations) == (True, level, operations)
    assert given_by.edition == (site.license.edition.title if site.license.edition else None)
    assert decode(encode(given_by), Capabilities) == given_by
