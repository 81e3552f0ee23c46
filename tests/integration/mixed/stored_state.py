"""All that a site of the release before this one had stored, kept in files that can be read, and put into a new etcd.

`python -m tests.integration.mixed.stored_state` writes them anew: it runs such a site and lets much happen to it. What
was under a lease then is put under one that nobody renews, as after a power cut.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import shutil
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from cluster.store import Put, Store
from tests.integration.mixed.older_release import MixedSite
from tests.integration.site.vendor import Vendor
from tests.site import KEYS, LEASE_TTL, LiveSite, keys_in
from usbwatch.simulated_key import key_path

STATE = Path(__file__).with_name("older") / "state"
STORE, KEYRING = STATE / "store.jsonl", STATE / "keyring.json"
KEY = "K1"
FOR_EVER = dt.timedelta(days=365 * 70)
"""The life of what must be valid whenever the tests run."""


class Line(NamedTuple):
    """One key of the store as it was."""

    key: str
    value: str
    leased: bool


def read_lines() -> list[Line]:
    """Return all that was stored."""
    return [Line(**json.loads(line)) for line in STORE.read_text(encoding="utf-8").splitlines()]


def data_of(lines: list[Line], key: str) -> dict[str, object]:
    """Return the data that is stored under a key."""
    (value,) = (line.value for line in lines if line.key == key)
    data: dict[str, object] = json.loads(value)["data"]
    return data


class SiteOfThen(LiveSite):
    """The site that had stored this, on new machines: its nodes have the same identities, and node a the USB key."""

    def __init__(self, folder: Path, lines: list[Line]) -> None:
        super().__init__(folder)
        members = data_of(lines, KEYS.site)["members"]
        assert isinstance(members, list)
        self.lines = lines
        shutil.copy(KEYRING, folder / "keyring.json")
        for (label, node), then in zip(tuple(self.nodes.items()), members, strict=True):
            for other in self.nodes:
                for settings in (folder / other).glob("*.toml"):
                    text = settings.read_text(encoding="utf-8").replace(node.uuid, then)
                    settings.write_text(text, encoding="utf-8")
            self.nodes = {**self.nodes, label: replace(node, uuid=then)}
        shutil.copy(key_path(STATE, KEY), self.nodes["a"].bus)

    def launch_on_it(self) -> None:
        """Start etcd, put all of it there, and start the daemons."""
        asyncio.run(self.etcd.start())
        self._load()
        self.launch()

    def _load(self) -> None:
        async def load(store: Store) -> None:
            lease = (await store.grant(LEASE_TTL)).lease_id
            for line in self.lines:
                put = Put(line.key, line.value.encode(), lease if line.leased else 0)
                await store.commit((), (put,))

        self.in_store(load)


def record(folder: Path) -> None:
    """Run a site of the older release, let what there is happen to it, and keep what it has stored."""
    site = MixedSite(folder, ("a", "b"))
    try:
        site.start()
        let_happen(site)
        shutil.rmtree(STATE, ignore_errors=True)
        STATE.mkdir()
        shutil.copy(folder / "keyring.json", KEYRING)
        shutil.copy(key_path(site.nodes["a"].bus, KEY), STATE)
        STORE.write_text("".join(f"{json.dumps(line._asdict())}\n" for line in stored_on(site)), encoding="utf-8")
    finally:
        site.close()


def let_happen(site: LiveSite) -> None:
    """Plug, pull, install, delete, report usage, read keys again and drain: a value of every kind gets stored."""
    vendor = Vendor(site)
    site.plug("b", site.new_key("K0", FOR_EVER))
    site.wait_for_all(lambda status: status["license"]["keyId"] == "K0")
    site.unplug("b", "K0")
    site.wait_for_all(lambda status: status["keyState"] == "Missing" and status["buffer"])
    gone = vendor.install(vendor.file())["inventory"]["uuid"]
    path = f"/v1/licenses/mn/{site.nodes['a'].uuid}/actions?uuid={gone}"
    assert site.call("a", "DELETE", path).status == 200
    vendor.install(vendor.file(name="Acme", expires=dt.datetime.now(dt.UTC) + FOR_EVER))
    site.plug("a", site.new_key(KEY, FOR_EVER))
    site.wait_for_all(lambda status: keys_in(status)["a"] == {KEY: "ok"})
    assert site.call("b", "PUT", "/v1/licenses/usage", b'{"hosts":3,"vms":40}').status == 200
    assert site.call("b", "PUT", "/v1/licenses/actions", b'{"reloadLicense":{}}').status == 200
    drain = f"/v1/nodes/{site.nodes['b'].uuid}/actions"
    assert site.call("b", "PUT", drain, b'{"drain":{}}').status == 200
    site.wait_for_all(lambda status: status["leader"] and status["leader"]["name"] == "a" and not status["stale"])


def stored_on(site: LiveSite) -> list[Line]:
    """Return all that a site has stored."""

    async def read(store: Store) -> list[Line]:
        entries = (await store.snapshot(KEYS.prefix)).entries.values()
        return [Line(entry.key, entry.value.decode(), bool(entry.lease_id)) for entry in entries]

    return site.in_store(read)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as given, suppress(KeyboardInterrupt):
        record(Path(given))
