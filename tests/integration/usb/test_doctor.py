"""`twinkey doctor` on a USB bus made of software: what it says of keys, and that it leaves other devices alone."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.usbmodel.testbed import KEYBOARD, Key, UmockBus
from tests.usbmodel.vendor import Vendor


def doctor(umock_bus: UmockBus, *words: str) -> tuple[int, dict[str, list[dict[str, Any]]]]:
    """Run the doctor on the bus; return its exit code, and its findings by what they are about."""
    config = umock_bus.directory / "agent.toml"
    config.write_text('site_id = "s"\nread_deadline = 2.5\n')
    twinkey = str(Path(sys.executable).with_name("twinkey"))
    argv = [twinkey, "doctor", "--config", str(config), "--json", *words]
    process = umock_bus.spawn(argv, stdout=subprocess.PIPE)
    said, _ = process.communicate(timeout=30)
    findings: dict[str, list[dict[str, Any]]] = {}
    for finding in json.loads(said)["findings"]:
        findings.setdefault(finding["about"], []).append(finding)
    return process.returncode, findings


def texts(findings: list[dict[str, Any]]) -> str:
    """Return all that findings say."""
    return "\n".join(finding["text"] for finding in findings)


def test_nothing_is_opened_unless_that_is_asked_for(umock_bus: UmockBus, vendor: Vendor) -> None:
    """Keys are found with their kind and node, other devices are counted, and none is touched."""
    umock_bus.plug_other("1-1", KEYBOARD, "kbd", driver="usbhid")
    umock_bus.plug("1-3", Key("LK-1", vendor.licence_file("LK-1"), vendor.device_key))
    _, findings = doctor(umock_bus)
    assert "vendor-key 1209:a1a1" in texts(findings["port 1-3"])
    assert "open /dev/bus/usb/001/" in texts(findings["port 1-3"])
    assert "never opened: 1" in texts(findings["others"])
    assert re.match(r"libusb 1\.0\.\d+ is here", texts(findings["libusb"]))
    assert (umock_bus.touched("1-1"), umock_bus.touched("1-3")) == (0, 0)


def test_keys_are_read_when_that_is_asked_for(umock_bus: UmockBus, vendor: Vendor) -> None:
    """Each says its id and the time it took, one that cannot be read says why and is a problem; others stay alone."""
    umock_bus.plug_other("1-1", KEYBOARD, "kbd", driver="usbhid")
    umock_bus.plug("1-3", Key("LK-1", vendor.licence_file("LK-1"), vendor.device_key))
    umock_bus.plug("1-4", Key("LK-2", b"", fault="stall"))
    code, findings = doctor(umock_bus, "--read")
    assert "USB key LK-1 was read in " in texts(findings["port 1-3"])
    assert {finding["level"] for finding in findings["port 1-3"]} == {"ok"}
    assert "refused to answer" in texts(findings["port 1-4"])
    assert (code, findings["port 1-4"][-1]["level"]) == (1, "problem")
    assert umock_bus.touched("1-1") == 0
