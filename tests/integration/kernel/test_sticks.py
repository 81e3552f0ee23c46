"""An ordinary stick on a real kernel: written at the vendor's desk through its disk, read by the agent through USB."""

from __future__ import annotations

from pathlib import Path
from signal import SIGTERM

from tests.kernel.agent import EMULATED_STICK, START_SECONDS
from tests.kernel.devices import Devices
from tests.kernel.guest_site import readings, stick_licence
from tests.kernel.machine import Machine
from tests.site import TWINKEY, LiveSite, node_in
from tests.waiting import eventually_sync

SERIAL = "ST-7"
SIZE = 16 << 20
LICENCE = "/run/desk/licence"


def test_a_stick_written_by_the_vendor_is_a_copyable_key(
    site: LiveSite, devices: Devices, machine: Machine, tmp_path: Path
) -> None:
    """What `write-key --stick` has put on a stick is read in another node as a key that could be a copy."""
    image = tmp_path / "stick"
    with image.open("wb") as file:
        file.truncate(SIZE)
    site.agents["a"].end(SIGTERM)  # the vendor's desk is no node
    machine.write(LICENCE, stick_licence(site, SERIAL, tmp_path))
    devices.add_stick("stick", image, SERIAL)
    disk = eventually_sync(lambda: devices.listed(EMULATED_STICK)[0]["disks"], 10)[0]
    argv = [TWINKEY, "issuer", "write-key", LICENCE, "--stick", f"/dev/{disk}", "--yes"]
    assert machine.run("write", argv, within=START_SECONDS) == 0, machine.order("state", name="write")
    devices.remove("stick")
    site.agents["a"].start()
    devices.add_stick("stick", image, SERIAL)
    for status in site.wait_for_all(lambda status: readings(status) == {SERIAL: "ok"}, START_SECONDS):
        assert status["license"]["keyId"] == SERIAL
        (key,) = node_in(status, "a")["ukeys"]
        assert key["assurance"] == "copyable"
    devices.remove("stick")
    site.wait_for_all(lambda status: status["keyState"] == "Missing", 10)
