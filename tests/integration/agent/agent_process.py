"""A real agent process of one node: simulated keys in a folder, a file for the virtual IP, a real etcd."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import sys
from asyncio.subprocess import DEVNULL, Process
from pathlib import Path
from signal import SIGTERM, Signals

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cluster.keys import Keys
from cluster.local_etcd import die_with_parent
from cluster.report import Report
from cluster.store import Entry, Store
from cluster.values import decode_value
from licensing.envelope import seal
from licensing.keyring import Keyring, VendorKey, key_id, render_keyring
from licensing.licence import KeyBinding
from tests.licences import good_licence
from usbwatch.simulated import SimulatedKey

SITE = "site-1"
KEYS = Keys(SITE)
NODE = "0f8fad5b-d9cb-469f-a165-70867728950e"
VENDOR = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
DEVICE = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
ISSUED = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


def licensed_key(name: str) -> SimulatedKey:
    """Return a genuine key that can prove itself."""
    binding = KeyBinding(key_id=name, device_public_key=DEVICE.public_key().public_bytes_raw())
    licence = good_licence(name, binding, ISSUED, dt.timedelta(days=7300))
    file = seal(licence, key_id(VENDOR.public_key().public_bytes_raw()), VENDOR)
    return SimulatedKey(key_id=name, licence_file=file, device_private_key=DEVICE.private_bytes_raw())


class AgentProcess:
    """The agent of one node, started with `twinkey agent`; its state stays from one start to the next."""

    def __init__(self, directory: Path, endpoints: tuple[str, ...], store: Store) -> None:
        self.bus = directory / "keys"
        self.vip = directory / "vip"
        self.keyring = directory / "keyring.json"
        self.log = directory / "agent.log"
        self._config = directory / "agent.toml"
        self._store = store
        self._process: Process | None = None
        public = VENDOR.public_key().public_bytes_raw()
        self.keyring.write_bytes(render_keyring(Keyring((VendorKey(key_id(public), public, ISSUED),))))
        self._endpoints = endpoints
        self.configure()

    def configure(self, more: str = "", lease_ttl: int = 3) -> None:
        """Write the settings file, with `more` in it."""
        endpoints = ", ".join(f'"{endpoint}"' for endpoint in self._endpoints)
        self._config.write_text(
            f'site_id = "{SITE}"\nnode = "{NODE}"\nname = "node-a"\nlease_ttl = {lease_ttl}\n'
            f'state_dir = "{self._config.parent / "state"}"\nkeyring = "{self.keyring}"\n'
            f'bus = "simulated:{self.bus}"\nvirtual_ip_file = "{self.vip}"\n{more}[etcd]\nendpoints = [{endpoints}]\n',
            encoding="utf-8",
        )

    async def start(self) -> None:
        """Start the process."""
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                Path(sys.executable).with_name("twinkey"),
                "agent",
                "--config",
                self._config,
                stdin=DEVNULL,
                stdout=log,
                stderr=log,
                env={name: value for name, value in os.environ.items() if not name.startswith("TWINKEY_")},
                preexec_fn=die_with_parent,
            )

    async def stop(self, number: Signals = SIGTERM, within: float = 5.0) -> int:
        """Send a signal and return the exit code, which must come in time."""
        assert self._process
        if self._process.returncode is None:
            self.signal(number)
        return await self.ended(within)

    def signal(self, number: Signals) -> None:
        """Send a signal."""
        assert self._process
        self._process.send_signal(number)

    async def ended(self, within: float = 5.0) -> int:
        """Return the exit code of a process that ends by itself."""
        assert self._process
        return await asyncio.wait_for(self._process.wait(), within)

    @property
    def cpu_seconds(self) -> float:
        """How much processor time the process has used."""
        assert self._process
        fields = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    async def entries(self) -> dict[str, Entry]:
        """Return all that the site has in the store."""
        return dict((await self._store.snapshot(KEYS.prefix)).entries)

    async def live(self) -> Report | None:
        """Return the report under the lease, or None."""
        entry = (await self.entries()).get(KEYS.node(NODE))
        return decode_value(entry.key, entry.value, Report) if entry else None

    async def sees(self, *key_ids: str, vip: bool = False) -> Report | None:
        """Return the live report if it tells exactly this."""
        report = await self.live()
        told = report and ([key.key_id for key in report.keys], report.vip) == (list(key_ids), vip)
        return report if told else None
