"""Licence keys on a real kernel's USB bus, all the way to what both nodes answer."""

from __future__ import annotations

from cluster.report import Report
from cluster.store import Entry
from cluster.values import decode_value
from licensing.seen import Challenge
from tests.kernel.agent import READ_DEADLINE
from tests.kernel.devices import Devices
from tests.kernel.guest_site import licence_key, readings
from tests.kernel.machine import Machine
from tests.site import LiveSite, Status, node_in
from tests.usbmodel.testbed import KEY_IDS, KEYBOARD
from tests.waiting import eventually_sync

SCSI_PATIENCE = 45.0
"""Seconds: the kernel's disk driver gives up a command after 30, also when the stick is not there any more."""
EMULATED_KEYBOARD, CARD_READER = (0x0627, 0x0001), (0x08E6, 0x4433)


def not_answering(status: Status) -> list[str]:
    """Return node a's keys that are faulty because they do not answer, each named after its port."""
    keys = node_in(status, "a")["ukeys"]
    return [key["keyId"] for key in keys if key["reading"] == "faulty" and "did not answer" in key["reason"]]


def test_a_key_among_other_devices_becomes_the_published_status(
    site: LiveSite, devices: Devices, machine: Machine
) -> None:
    """A key is Ready on both nodes, then Missing; keyboards and card readers are not opened and change nothing."""
    devices.plug_other(0, KEYBOARD)
    devices.add("keyboard", "usb-kbd")
    devices.add("reader", "usb-ccid")
    others = [devices.listed(ids)[0]["node"] for ids in (KEYBOARD, EMULATED_KEYBOARD, CARD_READER)]
    machine.order("watch_openings", paths=others)
    devices.plug(1, licence_key(site, "LK-1"))
    for status in site.wait_for_all(lambda status: status["keyState"] == "Ready", 15):
        assert (status["license"]["keyId"], status["license"]["status"]) == ("LK-1", "Valid")
        assert readings(status) == {"LK-1": "ok"}
    before = site.read(site.report_key("a")).mod_revision
    devices.remove("keyboard")
    devices.add("keyboard", "usb-kbd")
    devices.listed(EMULATED_KEYBOARD)
    assert site.read(site.report_key("a")).mod_revision == before
    devices.unplug(1)
    site.wait_for_all(lambda status: status["keyState"] == "Missing" and status["buffer"] is not None)
    assert machine.order("openings") == dict.fromkeys(others, 0)
    assert devices.transfers(0) == 0


def test_keys_that_do_not_answer_leave_a_good_key_alone(site: LiveSite, devices: Devices) -> None:
    """A dead key and a stick that never ends a READ say what is wrong, and do not delay the good key beside them."""
    devices.plug(0, licence_key(site, "LK-2", fault="dead"))
    devices.plug_stick(1, "ST-1", bytes(1 << 18), fault="hang")
    devices.plug(2, licence_key(site, "LK-3"))
    site.wait_for("b", lambda status: readings(status).get("LK-3") == "ok", READ_DEADLINE)
    site.wait_for("b", lambda status: len(not_answering(status)) == 2, 3 * READ_DEADLINE)
    devices.unplug(0, 1)
    site.wait_for("b", lambda status: readings(status) == {"LK-3": "ok"}, SCSI_PATIENCE)


def test_a_reset_of_a_hub_is_a_few_reports_at_most(site: LiveSite, devices: Devices, machine: Machine) -> None:
    """Keys that leave together and come back one after the other are not reported one by one.

    It is one report, unless this emulated machine is so slow that the agent's patience, which counts in real time, ends
    in between; that it is exactly one is seen on the bus made of software.
    """
    keys = [licence_key(site, f"LK-{number}") for number in range(10, 14)]
    everything = {key.serial: "ok" for key in keys}
    devices.plug_all(keys)
    site.wait_for("b", lambda status: readings(status) == everything, 30)
    before = site.history(site.report_key("a"))
    machine.order("uevents")
    devices.unplug(*range(len(keys)))
    devices.listed(KEY_IDS, 0)
    devices.plug_all(keys)
    devices.listed(KEY_IDS, len(keys))
    old = challenges(before[-1])
    eventually_sync(lambda: len(new := challenges(site.read(site.report_key("a")))) == len(old) and not new & old, 30)
    reports = site.history(site.report_key("a"))[len(before) :]
    told = [len(decode_value(each.key, each.value, Report).keys) for each in reports]
    assert len(told) <= 3, (told, machine.order("uevents"))
    assert told[-1] == len(keys)


def challenges(report: Entry) -> set[Challenge]:
    """Return what the keys in this report have signed."""
    keys = decode_value(report.key, report.value, Report).keys
    return {key.challenge for key in keys if key.challenge is not None}
