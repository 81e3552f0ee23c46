"""A site whose node a has its agent in the guest of a virtual machine, and the keys that its vendor makes."""

from __future__ import annotations

import datetime as dt
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.kernel.agent import START_SECONDS, GuestAgent
from tests.kernel.machine import Machine
from tests.site import TWINKEY, LiveSite, Status, node_in
from tests.usbmodel.testbed import Key
from tests.waiting import eventually_sync


@contextmanager
def site_with_guest(machine: Machine, folder: Path) -> Iterator[LiveSite]:
    """Run a site until the context is left; `folder` is empty."""
    site = LiveSite(folder)
    keyring = (folder / "keyring.json").read_bytes()
    site.agents["a"] = GuestAgent(machine, site.nodes["a"], keyring, site.etcd.endpoints[0])
    try:
        site.launch()
        eventually_sync(lambda: site.read(site.report_key("a")), START_SECONDS)
        site.start()
        yield site
    finally:
        site.close()


def licence_key(site: LiveSite, name: str, fault: str = "") -> Key:
    """Return a genuine licence key of the site's vendor."""
    made = site.new_key(name)
    assert made.device_private_key
    return Key(name, made.licence_file, made.device_private_key, fault)


def stick_licence(site: LiveSite, serial: str, folder: Path) -> bytes:
    """Return a licence that the site's vendor has issued for a stick with this serial number."""
    expires = (dt.datetime.now(dt.UTC) + dt.timedelta(days=300)).date()
    file = folder / f"{serial}.licence"
    terms = ("--name", serial, "--edition", "advanced-paid", "--hosts", "10", "--expires", str(expires))
    key = site.site.folder / "vendor.key"
    argv = [TWINKEY, "issuer", "issue", "--key", str(key), "--out", str(file), *terms, "--usb-key", serial]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr
    return file.read_bytes()


def readings(status: Status) -> dict[str, str]:
    """Return the readings of node a's keys."""
    return {key["keyId"]: key["reading"] for key in node_in(status, "a")["ukeys"]}
