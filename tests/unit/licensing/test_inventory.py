"""The licence in force and the USB keys, in the words of the platform's own API."""

from __future__ import annotations

import msgspec
import pytest
from msgspec.structs import replace

from licensing.describe import describe
from licensing.inventory import Inventory, inventory
from licensing.ledger import Ledger, Site, Usage
from licensing.licence import Edition, Quota, SignedLicence
from licensing.seen import NodeView, Reading
from licensing.status import Status
from licensing.ukeys import UKeyReading, ukeys
from tests.unit.licensing.signing import AT_SITE, day, licence
from tests.unit.licensing.sites import DAY, SECOND, START, Told, broken, live, reading, works
from tests.unit.licensing.standings import NOW, POLICY, unlicensed

SITE = Site("site-1", ("a", "b"), day("2026-01-01"), request="the request code")
QUOTA = Quota(hosts=10, cpu_cores=64)
UPLOADED = day("2026-02-03")

API_FIELDS = """
uuid user prodInfo cpuNum hostNum vmNum capacity licenseType quotaType expiredDate issuedDate uploadDate
managementNodeUuid expired source platformId licenseRequest availableHostNum availableCpuNum availableVmNum usage
edition serviceExpiredDate cpuCoreNum keyId assurance
"""


def installed(licence_id: str = "L-1", node: str = "b") -> SignedLicence:
    """Return an installed request-key licence."""
    told = licence(licence_id=licence_id, lineage=licence_id, binding=AT_SITE, quota=QUOTA)
    return SignedLicence(told, b"", UPLOADED, node, "operator")


def shown(ledger: Ledger) -> Status:
    """Return what the law says of a ledger."""
    return describe(SITE, ledger, (), "", NOW, POLICY)


# --- the licence in force ------------------------------------------------------------------------------------------


def test_the_platforms_names_are_all_there() -> None:
    """Clients of the platform find every member that they know, and ours, and no others."""
    names = {field.encode_name for field in msgspec.structs.fields(Inventory)}
    assert names == set(API_FIELDS.split())


def test_a_request_key_licence_is_told_in_full() -> None:
    """Numbers, dates, where it belongs, who has it and what is left of it."""
    ledger = Ledger(installed=(installed(),), trial_over=True, usage=Usage(NOW, hosts=4, cpu_sockets=8, vms=90))
    status = shown(ledger)
    assert inventory(status, ledger, SITE) == Inventory(
        uuid="L-1",
        user="Müller & Söhne",
        prod_info="Basic Edition - Paid",
        cpu_num=None,
        host_num=10,
        vm_num=None,
        capacity=None,
        license_type="Paid",
        quota_type="Host+CPUCore",
        expired_date=day("2027-01-01"),
        issued_date=day("2026-01-01"),
        upload_date=UPLOADED,
        management_node_uuid="b",
        expired=False,
        source="request-key",
        platform_id="site-1",
        license_request="the request code",
        available_host_num=6,
        available_cpu_num=None,
        available_vm_num=None,
        usage=status.usage,
        edition=Edition.BASIC_PAID,
        service_expired_date=None,
        cpu_core_num=64,
        key_id=None,
        assurance=None,
    )


def test_the_trial_is_told_as_a_trial() -> None:
    """It has an id and no upload, and ends with its term."""
    told = inventory(shown(Ledger()), Ledger(), SITE)
    assert (told.uuid, told.license_type, told.source, told.host_num) == ("trial-site-1", "Trial", "built-in", 1)
    assert (told.upload_date, told.management_node_uuid, told.expired) == (None, None, True)


def test_without_a_licence_nothing_is_granted() -> None:
    """No name, expired, and zero of everything, which is not the same as no limit."""
    told = inventory(unlicensed(), Ledger(trial_over=True), SITE)
    assert (told.uuid, told.user, told.license_type, told.quota_type, told.expired) == (None, None, None, None, True)
    assert (told.host_num, told.cpu_num, told.cpu_core_num, told.available_host_num) == (0, 0, 0, 0)


def test_a_keys_licence_is_told_with_its_key_and_node() -> None:
    """The key's id, and the node in which it is."""
    site = Told()
    decision = site.sees(DAY, live("a"), live("b", works("K1")))
    told = inventory(decision.status, decision.ledger, SITE)
    assert (told.uuid, told.key_id, told.management_node_uuid, told.source) == ("K1", "K1", "b", "usb-key")


def test_of_equal_licences_the_one_that_the_law_prefers_is_told() -> None:
    """Two contracts that look the same to people are told apart as the law does, by the highest id."""
    ledger = Ledger(installed=(installed("L-1"), installed("L-2", node="a"), installed("L-0")), trial_over=True)
    told = inventory(shown(ledger), ledger, SITE)
    assert (told.uuid, told.management_node_uuid) == ("L-2", "a")


@pytest.mark.parametrize("ledger", [None, Ledger(), Ledger(installed=(installed(),))], ids=["none", "empty", "newer"])
def test_a_ledger_of_another_moment_adds_nothing_wrong(ledger: Ledger | None) -> None:
    """What the status says stays, and what only the ledger knows is left out rather than taken from another licence."""
    held = replace(installed(), licence=licence(binding=AT_SITE, name="Another"))
    told = inventory(shown(Ledger(installed=(held,), trial_over=True)), ledger, None)
    assert (told.user, told.host_num, told.expired) == ("Another", 10, False)
    assert (told.uuid, told.upload_date, told.platform_id, told.license_request) == (None, None, None, None)


# --- the keys ------------------------------------------------------------------------------------------------------

NODES: dict[str, tuple[tuple[NodeView, NodeView], list[tuple[str, str, str]]]] = {
    "one": ((live("a", works("K1")), live("b")), [("a", "K1", "Ready")]),
    "one on each": (
        (live("a", works("K1")), live("b", works("K2"))),
        [("a", "K1", "Abnormal"), ("b", "K2", "Abnormal")],
    ),
    "a broken one": ((live("a"), live("b", broken("K1"))), [("b", "K1", "Fault")]),
    "two on one": ((live("a", works("K1"), works("K2")), live("b")), [("a", "K1", "Fault"), ("a", "K2", "Fault")]),
    "none ever": ((live("a"), live("b")), []),
}


@pytest.mark.parametrize(("views", "rows"), NODES.values(), ids=NODES)
def test_every_inserted_key_shows_the_sites_state(
    views: tuple[NodeView, NodeView], rows: list[tuple[str, str, str]]
) -> None:
    """Each key with its node and the one state that the site has."""
    decision = Told().sees(DAY, *views)
    told = [(key.management_node_uuid, key.key_id, key.status) for key in ukeys(decision.status, decision.ledger)]
    assert told == rows


def test_a_missing_key_is_told_at_the_node_that_had_it() -> None:
    """A pulled key does not vanish from the list: that it is missing is the news."""
    site = Told()
    site.sees(DAY, live("a", works("K1")), live("b"))
    decision = site.sees(DAY + SECOND, live("a"), live("b"))
    (key,) = ukeys(decision.status, decision.ledger)
    assert (key.management_node_uuid, key.key_id, key.status, key.reading) == ("a", "K1", "Missing", None)
    assert key.reason == decision.status.key_state_reason
    assert ukeys(decision.status, None) == ()


def test_a_key_that_is_being_read_is_not_there_yet() -> None:
    """The platform knows four words; a first key that has not been read is Missing, and its reading says why."""
    decision = Told().sees(DAY, live("a", reading("K1", START + DAY + 2 * SECOND)), live("b"))
    (key,) = ukeys(decision.status, decision.ledger)
    assert key == UKeyReading("a", "K1", "Missing", None, Reading.PENDING, key.reason)
