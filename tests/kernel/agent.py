"""The real agent of a node of a test site, in the guest of a virtual machine; all else of the site is on the host."""

from __future__ import annotations

from signal import SIGKILL, Signals
from typing import Any

from console.demo_site import SITE_ID, Node
from tests.kernel.machine import HOST, Machine
from tests.site import LEASE_TTL, TWINKEY, Daemon
from tests.usbmodel.testbed import STICK
from tests.waiting import eventually_sync

_NAME = "agent"
_FOLDER = "/run/twinkey"
START_SECONDS = 60.0
"""Within which an agent reports; on the emulated processor of an idle machine it takes 6."""
READ_DEADLINE = 20.0
"""Seconds for one key; on the emulated processor, a reading takes one or two, and ten on a busy machine."""
EMULATED_STICK = (0x46F4, 0x0001)
"""The ids of QEMU's sticks."""
STICKS = (STICK, EMULATED_STICK)
NOBODY_SPECIAL = 4242
"""A user and group id that nobody has."""


class GuestAgent(Daemon):
    """An agent that looks at the guest's USB bus and reports to the host's etcd.

    `uid` is the user and group that its next start runs as. Its answers and its log come from the guest.
    """

    def __init__(self, machine: Machine, node: Node, keyring: bytes, etcd: str) -> None:
        super().__init__("agent", node)
        self.uid = 0
        self._machine = machine
        self._starts = 0
        _, _, port = etcd.rpartition(":")
        self._settings = {
            "TWINKEY_SITE_ID": SITE_ID,
            "TWINKEY_NODE": node.uuid,
            "TWINKEY_NAME": node.label,
            "TWINKEY_KEYRING": f"{_FOLDER}/keyring.json",
            "TWINKEY_VIRTUAL_IP_FILE": f"{_FOLDER}/vip/held",
            "TWINKEY_BUS": "usb",
            "TWINKEY_READ_DEADLINE": str(READ_DEADLINE),
            "TWINKEY_STICK_IDS": ",".join(f"{vendor:04x}:{product:04x}" for vendor, product in STICKS),
            "TWINKEY_LEASE_TTL": str(LEASE_TTL),
            "TWINKEY_ETCD_ENDPOINTS": f"{HOST}:{port}",
        }
        machine.write(self._settings["TWINKEY_KEYRING"], keyring)
        machine.write(self._settings["TWINKEY_VIRTUAL_IP_FILE"], b"")

    def start(self) -> None:
        """Start the process."""
        self._starts += 1
        state = f"{_FOLDER}/state-{self._starts}"
        self._machine.order("directory", path=state, uid=self.uid)
        environment = self._settings | {"TWINKEY_STATE_DIR": state} | self.environment
        argv = [TWINKEY, "agent"]
        self._machine.order("start", name=_NAME, argv=argv, environment=environment, uid=self.uid)

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._starts > 0 and self.exit_code is None

    def send(self, number: Signals) -> None:
        """Send a signal and go on."""
        self._machine.order("send", name=_NAME, number=number)

    def end(self, number: Signals = SIGKILL) -> None:
        """Send a signal and wait for the end."""
        if self.running:
            self.send(number)
            eventually_sync(lambda: not self.running, 10)

    @property
    def exit_code(self) -> int | None:
        """How the process ended, None while it runs."""
        code: int | None = self._state["code"]
        return code

    @property
    def log(self) -> bytes:
        """All that the process has logged."""
        return str(self._state["printed"]).encode()

    @property
    def _state(self) -> dict[str, Any]:
        state: dict[str, Any] = self._machine.order("state", name=_NAME)
        return state
