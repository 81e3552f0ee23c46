"""Which operations the platform may do: by name, by standing, and by what they would add to usage."""

from __future__ import annotations

import itertools
from fnmatch import fnmatchcase

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from licensing.canonical import decode, encode
from licensing.ledger import Usage
from licensing.licence import Quota
from licensing.operations import (
    OPERATIONS,
    PERMITTED,
    BadOperation,
    Delta,
    Kind,
    Standing,
    Verdict,
    authorize,
    kind_of,
    standing,
)
from licensing.status import Status
from tests.unit.licensing.signing import day
from tests.unit.licensing.standings import NOW, POLICY, expired, status, unlicensed, used

VALID = status(Quota(hosts=10), used(hosts=10))
OVER = status(Quota(hosts=10), used(hosts=11))
EXPIRED = expired(Quota(hosts=10), used(hosts=10))
BOTH = expired(Quota(hosts=10), used(hosts=11))
NO_LICENCE = unlicensed(used(hosts=1))

LOGIN = ["session.login"]
VIEWING = ["host.get", "vm.query", "volume.refresh", "no-such-thing.get"]
LICENCE_MANAGEMENT = ["license.upload", "license.delete", "license.get", "license.no-such-verb"]
LOWERING = ["host.delete", "cluster.delete", "vm.delete", "host.changeState"]
REST = ["host.add", "vm.create"]
UNKNOWN = ["host.reconnect", "volume.delete", "session.create", "licenses.upload", "Host.Delete", "host.deletes", "0.-"]
ALWAYS = LOGIN + VIEWING + LICENCE_MANAGEMENT


def asked(site: Status, operation: str, delta: Delta | None = None) -> Verdict:
    """Return the answer to the platform's question."""
    return authorize(site, operation, delta, POLICY)


# --- by name and standing ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", ALWAYS)
@pytest.mark.parametrize("site", [VALID, OVER, EXPIRED, BOTH, NO_LICENCE])
def test_login_viewing_and_licence_operations_are_always_allowed(site: Status, operation: str) -> None:
    """However a site stands, people can log in, look, and put the licence right; a delta changes nothing of that."""
    expected = Verdict(allowed=True, reason="Logging in, viewing and licence operations are always allowed.")
    assert asked(site, operation) == asked(site, operation, Delta(hosts=99)) == expected


@pytest.mark.parametrize("operation", LOWERING + REST + UNKNOWN)
def test_everything_is_allowed_within_the_quota(operation: str) -> None:
    """While the licence is valid and the quota is kept, even an unknown operation is allowed."""
    assert asked(VALID, operation) == Verdict(allowed=True, reason="The licence L is valid and the quota is kept.")


@pytest.mark.parametrize("operation", LOWERING)
def test_what_lowers_usage_is_allowed_over_quota(operation: str) -> None:
    """Over quota, usage can be lowered, also where it stays above the quota for now."""
    expected = Verdict(
        allowed=True,
        reason="Operations that lower usage are allowed while more is used than the licence covers.",
    )
    far_over = status(Quota(hosts=10), used(hosts=99))
    assert asked(far_over, operation) == asked(far_over, operation, Delta(hosts=-1)) == expected


@pytest.mark.parametrize("operation", REST + UNKNOWN)
def test_everything_else_is_refused_over_quota(operation: str) -> None:
    """Over quota all other operations are refused, the unknown ones too, with the unit, the figures and a contact."""
    verdict = asked(OVER, operation)
    assert (verdict.allowed, verdict.code, verdict.unit) == (False, "LICENSE.1001", "hosts")
    assert verdict.reason.startswith("More is used than the licence covers (11 hosts of 10): only logging in, viewing")
    assert ("is unknown" in verdict.reason) == (operation in UNKNOWN)
    assert verdict.hint == "Lower usage or update the licence; contact support@example.org."


@pytest.mark.parametrize("operation", LOWERING + REST + UNKNOWN)
@pytest.mark.parametrize("delta", [None, Delta(hosts=-5), Delta(hosts=5)])
@pytest.mark.parametrize(
    ("site", "why"),
    [
        (EXPIRED, "The licence L cannot be used any more"),
        (BOTH, "The licence L cannot be used any more"),
        (NO_LICENCE, "No licence is installed"),
    ],
    ids=["expired", "expired and over quota", "no licence"],
)
def test_everything_else_is_refused_when_expired(site: Status, why: str, delta: Delta | None, operation: str) -> None:
    """Expired, also what lowers usage is refused; a site that is over quota as well may do what both allow."""
    verdict = asked(site, operation, delta)
    assert (verdict.allowed, verdict.code, verdict.unit) == (False, "LICENSE.1000", None)
    assert verdict.reason.startswith(f"{why}: only logging in, viewing and licence operations are allowed.")
    assert ("is unknown" in verdict.reason) == (operation in UNKNOWN)
    assert verdict.hint == "Install a valid licence; contact sales@example.org."


@pytest.mark.parametrize("delta", [None, Delta(hosts=-5)])
def test_an_unknown_operation_that_claims_to_lower_usage_is_refused_over_quota(delta: Delta | None) -> None:
    """The table says what lowers usage, not the one who asks."""
    assert not asked(OVER, "volume.delete", delta).allowed


def test_a_restricted_status_without_a_cause_still_restricts() -> None:
    """What the status says of the site counts, also where its figures do not show why."""
    verdict = asked(msgspec.structs.replace(VALID, restricted=True), "vm.create")
    assert (verdict.allowed, verdict.code, verdict.unit) == (False, "LICENSE.1001", None)


def test_every_unit_over_quota_is_named() -> None:
    """The reason has every unit, in the order of the licence; the unit of the verdict is the first."""
    site = status(Quota(hosts=1, cpu_sockets=2, cpu_cores=3), used(hosts=1, cpu_sockets=5, cpu_cores=8))
    verdict = asked(site, "vm.create")
    assert verdict.unit == "cpuSockets"
    assert "(5 CPU sockets of 2, 8 CPU cores of 3)" in verdict.reason


# --- the table -----------------------------------------------------------------------------------------------------


def test_no_operation_is_in_two_classes() -> None:
    """A name that two patterns match is of the same class by either, so their order does not matter."""
    rows = [(pattern, kind) for kind, patterns in OPERATIONS.items() for pattern in patterns]
    for (one, kind), (other, other_kind) in itertools.combinations(rows, 2):
        met = [
            first if first != "*" else second for first, second in zip(one.split("."), other.split("."), strict=True)
        ]
        name = ".".join(met)
        if fnmatchcase(name, one) and fnmatchcase(name, other):
            assert kind is other_kind, f"{one} and {other}"


@pytest.mark.parametrize(("kind", "patterns"), OPERATIONS.items())
def test_every_row_is_of_its_class(kind: Kind, patterns: tuple[str, ...]) -> None:
    """A name that fits a row is of that row's class."""
    assert {kind_of(pattern.replace("*", "any")) for pattern in patterns} == {kind}


def test_what_expiry_leaves_open_is_open_over_quota_too() -> None:
    """Being expired is the stricter standing, so a site that is both may do what both allow."""
    assert set(PERMITTED[Standing.EXPIRED]) < set(PERMITTED[Standing.OVER_QUOTA]) < set(PERMITTED[Standing.FREE])


MALFORMED = ["", ".", "vm", "vm.", ".create", "vm.create.now", "vm..create", "vm create", " vm.create", "vm.create\n"]
FORBIDDEN_LETTERS = ["*.get", "license.*", "vm/create", "vm_a.create", "vm.créer", "vm.get\u0660"]


@pytest.mark.parametrize("name", [*MALFORMED, *FORBIDDEN_LETTERS, "v" * 60 + ".get1"])
def test_what_is_no_operation_says_what_one_looks_like(name: str) -> None:
    """A malformed name is an error with the right form in it, however the site stands."""
    for site in (VALID, OVER, EXPIRED):
        with pytest.raises(
            BadOperation, match=r"write resource\.verb, such as vm\.create, .* 64 characters at most\.$"
        ):
            asked(site, name)


def test_a_name_of_64_characters_is_an_operation() -> None:
    """The longest name that is allowed is allowed."""
    assert kind_of("v" * 60 + ".get") is Kind.ALWAYS


def test_a_hostile_name_is_not_repeated_in_full() -> None:
    """The error quotes no more than a name's length, in printable ASCII."""
    with pytest.raises(BadOperation) as refused:
        kind_of("\x1b\u202e" * 10_000)
    assert str(refused.value).isascii()
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 600


# --- by what it adds -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quota", "usage", "delta", "unit"),
    [
        (Quota(hosts=10), used(hosts=9), Delta(hosts=1), None),
        (Quota(hosts=10), used(hosts=9), Delta(hosts=2), "hosts"),
        (Quota(hosts=10), used(hosts=10), Delta(hosts=1), "hosts"),
        (Quota(hosts=10), used(hosts=10), Delta(), None),
        (Quota(hosts=10), used(hosts=10), Delta(hosts=-1), None),
        (Quota(cpu_sockets=4), used(cpu_sockets=4), Delta(cpu_sockets=1), "cpuSockets"),
        (Quota(cpu_cores=64), used(cpu_cores=60), Delta(cpu_cores=5), "cpuCores"),
        (Quota(hosts=10, cpu_cores=64), used(hosts=1, cpu_cores=64), Delta(hosts=1, cpu_cores=1), "cpuCores"),
        (Quota(hosts=10), used(hosts=1), Delta(cpu_cores=10**6, vms=10**6), None),
        (Quota(), used(hosts=1), Delta(hosts=10**6), None),
        (Quota(hosts=0), used(hosts=0), Delta(hosts=1), "hosts"),
        (Quota(hosts=10), None, Delta(hosts=11), "hosts"),
        (Quota(hosts=10), None, Delta(hosts=10), None),
        (Quota(hosts=10), used(vms=3), Delta(hosts=11), "hosts"),
        (Quota(hosts=10), used(vms=3), Delta(hosts=10), None),
    ],
)
def test_a_delta_that_would_exceed_the_quota_is_refused(
    quota: Quota, usage: Usage | None, delta: Delta, unit: str | None
) -> None:
    """Equal to the quota is fine, an absent unit is unlimited, of unknown usage the delta alone can be too much."""
    verdict = asked(status(quota, usage), "host.add", delta)
    expected = (True, None, None) if unit is None else (False, unit, "LICENSE.1007")
    assert (verdict.allowed, verdict.unit, verdict.code) == expected
    assert verdict.reason
    assert ("contact support@example.org" in verdict.hint) == (unit is not None)


def test_the_refusal_of_a_delta_has_the_figures() -> None:
    """The reason says what is in use, what was asked for and what is licensed."""
    known = asked(status(Quota(cpu_cores=64), used(cpu_cores=60)), "host.add", Delta(cpu_cores=8))
    unknown = asked(status(Quota(cpu_cores=64)), "host.add", Delta(cpu_cores=65))
    assert known.reason == "It would exceed the quota of CPU cores: 60 in use, 8 more asked for, 64 licensed."
    assert "CPU cores: an unknown number in use, 65 more" in unknown.reason


def test_unknown_usage_is_said() -> None:
    """An operation that is allowed without knowing what is used says so, and in which unit."""
    site = status(Quota(hosts=10, cpu_cores=64), used(hosts=1))
    reason = "The licence L is valid; usage of CPU cores is unknown, so nobody can say whether the quota is kept."
    assert asked(site, "host.add", Delta(hosts=1)) == asked(site, "vm.create") == Verdict(allowed=True, reason=reason)


def test_a_stale_report_counts_and_is_said() -> None:
    """A report older than a day still decides."""
    site = status(Quota(hosts=10), Usage(day("2026-05-30"), hosts=10))
    assert "more than a day old" in asked(site, "vm.create").reason
    assert not asked(site, "host.add", Delta(hosts=1)).allowed


def test_what_lowers_one_unit_may_not_take_another_above_its_quota() -> None:
    """Over quota in hosts, an operation that lowers usage is refused when it would exceed the quota of cores."""
    site = status(Quota(hosts=1, cpu_cores=64), used(hosts=2, cpu_cores=64))
    verdict = asked(site, "host.changeState", Delta(hosts=-1, cpu_cores=1))
    assert (verdict.allowed, verdict.unit, verdict.code) == (False, "cpuCores", "LICENSE.1007")


# --- for all -------------------------------------------------------------------------------------------------------

small = st.integers(0, 6)
maybe = st.none() | small
quotas = st.builds(Quota, hosts=maybe, cpu_sockets=maybe, cpu_cores=maybe)
usages = st.none() | st.builds(Usage, st.just(NOW), hosts=maybe, cpu_sockets=maybe, cpu_cores=maybe, vms=maybe)
sites = st.builds(status, quotas, usages) | st.builds(expired, quotas, usages) | st.builds(unlicensed, usages)
words = st.from_regex(r"[A-Za-z0-9-]{1,20}", fullmatch=True)
operations = st.sampled_from(ALWAYS + LOWERING + REST + UNKNOWN) | st.builds("{}.{}".format, words, words)
change = st.integers(-6, 6)
deltas = st.builds(Delta, hosts=change, cpu_sockets=change, cpu_cores=change, vms=change)


@given(sites, operations, deltas, st.tuples(small, small, small, small))
def test_less_is_never_refused_where_more_is_allowed(
    site: Status, operation: str, more: Delta, by: tuple[int, ...]
) -> None:
    """Answers are monotone: a delta that is smaller in every unit is allowed wherever the larger one is."""
    less = Delta(*(unit - cut for unit, cut in zip(msgspec.structs.astuple(more), by, strict=True)))
    assert asked(site, operation, less).allowed or not asked(site, operation, more).allowed


@given(sites, operations, st.none() | deltas)
def test_a_restricted_site_allows_only_what_the_table_names(site: Status, operation: str, delta: Delta | None) -> None:
    """While over quota or expired everything is refused but what the rules list."""
    verdict = asked(site, operation, delta)
    names = [name for kind in (Kind.ALWAYS, Kind.LOWERS) for name in OPERATIONS[kind]]
    if site.restricted and not any(fnmatchcase(operation, name) for name in names):
        assert not verdict.allowed
    if standing(site) is Standing.EXPIRED and verdict.allowed:
        assert kind_of(operation) is Kind.ALWAYS


@given(sites, operations, st.none() | deltas)
def test_a_verdict_explains_itself(site: Status, operation: str, delta: Delta | None) -> None:
    """Every answer has a reason, every refusal a next step and a code, and all of it can be sent."""
    verdict = asked(site, operation, delta)
    assert verdict.reason.endswith(".")
    assert bool(verdict.hint) == bool(verdict.code) == (not verdict.allowed)
    assert decode(encode(verdict), Verdict) == verdict


@pytest.mark.parametrize("body", ['{"host":1}', '{"hosts":1.5}', '{"hosts":true}', '{"hosts":2147483648}', "[]"])
def test_a_delta_is_decoded_strictly(body: str) -> None:
    """A delta in an unknown unit or not in whole numbers is refused, not ignored."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(body, type=Delta)
