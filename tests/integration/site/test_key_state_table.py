"""The key-state table on running demos, cell by cell, as both nodes tell it over HTTP.

The expected states are written here by hand. Counted are the keys in each node, readable or not.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import http.client
import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from msgspec.structs import replace

from cluster.local_etcd import LOOPBACK, die_with_parent
from console.demo_control import give_order
from console.demo_orders import Order, Verb
from tests.etcd_server import free_ports
from tests.site import TWINKEY, broken, keys_in, licensed_key
from tests.waiting import eventually_sync
from usbwatch.simulated import SimulatedKey, plug, unplug

# Keys in node a down, keys in node b across: 0, 1, 2, 3. With a key having been in use before.
TWO_NODES = {
    0: ("Missing", "Ready", "Fault", "Fault"),
    1: ("Ready", "Abnormal", "Abnormal", "Abnormal"),
    2: ("Fault", "Abnormal", "Fault", "Fault"),
    3: ("Fault", "Abnormal", "Fault", "Fault"),
}
ONE_NODE = ("Missing", "Ready", "Fault", "Fault")

MIXES = [(good, bad) for good in range(4) for bad in range(4 - good)]
"""(readable keys, unreadable keys) in one node, three at most."""

Status = dict[str, Any]


class Demo:
    """A real `twinkey demo` on free ports; keys are plugged by writing to its buses."""

    def __init__(self, folder: Path, labels: str) -> None:
        self.folder = folder
        self.ports = dict(zip(labels, free_ports(len(labels)), strict=True))
        more = [] if len(labels) > 1 else ["--single-node"]
        options = [word for label, port in self.ports.items() for word in (f"--port-{label}", str(port))]
        self._process = subprocess.Popen(
            [TWINKEY, "demo", "--dir", folder, *options, *more, "--quiet"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call
        )
        eventually_sync((folder / "control.sock").exists, 30, "the demo takes orders")
        self.token = (folder / "token").read_text(encoding="utf-8").strip()
        vendor = load_pem_private_key((folder / "vendor.key").read_bytes(), None)
        assert isinstance(vendor, Ed25519PrivateKey)
        self.vendor = vendor
        self._plugged: dict[str, frozenset[str]] = dict.fromkeys(labels, frozenset())
        self._keys: dict[str, SimulatedKey] = {}

    def close(self) -> None:
        """End the demo as Ctrl-C does."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(timeout=15)

    def key(self, name: str) -> SimulatedKey:
        """Return the key of this name, always the same; names with an x are of keys that do not answer."""
        if name not in self._keys:
            made = licensed_key(self.vendor, name, dt.timedelta(days=300))
            self._keys[name] = broken(made) if "x" in name else made
        return self._keys[name]

    def hold(self, **nodes: frozenset[str]) -> None:
        """Plug and pull until each node holds exactly the keys of these names."""
        for label, names in nodes.items():
            for name in self._plugged[label] - names:
                unplug(self.folder / label / "bus", name)
            for name in names - self._plugged[label]:
                plug(self.folder / label / "bus", self.key(name))
            self._plugged[label] = names

    def status(self, label: str) -> Status:
        """Return what a node answers."""
        connection = http.client.HTTPConnection(LOOPBACK, self.ports[label], timeout=5)
        connection.request("GET", "/v1/status", headers={"Authorization": f"Bearer {self.token}"})
        status: Status = json.loads(connection.getresponse().read())
        connection.close()
        return status

    def shown(self, seen: Callable[[Status], bool] = bool) -> list[Status]:
        """Return what every node answers once it shows the keys that are plugged in now, and `seen` is true of it."""
        return [eventually_sync(partial(self._complete, label, seen), 10) or {} for label in self.ports]

    def _complete(self, label: str, seen: Callable[[Status], bool]) -> Status | None:
        status = self.status(label)
        told = {node: frozenset(keys) for node, keys in keys_in(status).items()}
        return status if told == self._plugged and seen(status) else None

    def await_state(self, state: str) -> None:
        """Return when every node shows this key state, whatever is plugged in."""
        eventually_sync(lambda: {self.status(label)["keyState"] for label in self.ports} == {state}, 5, state)

    def states(self) -> set[str]:
        """Return the key states that the nodes show for what is plugged in now."""
        return {status["keyState"] for status in self.shown()}


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Run a demo of two nodes."""
    yield from _demo(tmp_path_factory, "ab")


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Run a demo of one node."""
    yield from _demo(tmp_path_factory, "a")


def _demo(tmp_path_factory: pytest.TempPathFactory, labels: str) -> Iterator[Demo]:
    demo = Demo(tmp_path_factory.mktemp("demo") / "d", labels)
    yield demo
    demo.close()


def names(label: str, mix: tuple[int, int]) -> frozenset[str]:
    """Return names for so many readable and unreadable keys of a node."""
    good, bad = mix
    return frozenset([*(f"{label}{n}" for n in range(good)), *(f"{label}x{n}" for n in range(bad))])


# The tests of this file run in this order: the first ones need a site on which no key was ever in use.


def test_a_site_that_never_used_a_key_has_none(two: Demo, single: Demo) -> None:
    """With no key ever in use the state is None, also after a key that never worked was pulled; then it is Missing."""
    for demo in (two, single):
        for held, state in ((), "None"), (("ax0",), "Fault"), ((), "None"), (("a0",), "Ready"), ((), "Missing"):
            demo.hold(a=frozenset(held))
            assert demo.states() == {state}, held


def test_the_verbs_of_the_demo_move_the_state(two: Demo) -> None:
    """What another shell does by `demo plug`, `break`, `repair` and `unplug` shows on both nodes."""
    steps = (Verb.PLUG, "Ready"), (Verb.BREAK, "Fault"), (Verb.REPAIR, "Ready"), (Verb.UNPLUG, "Missing")
    for verb, state in steps:
        done = asyncio.run(give_order(two.folder, Order(verb, node="b", key="verbs")))
        assert done.seen
        two.await_state(state)


def test_every_cell_of_the_table_for_two_nodes(two: Demo) -> None:
    """For 0 to 3 keys in each node, in every mix of readable and not, both nodes show the table's state."""
    wrong = {}
    for row, a in enumerate(MIXES):
        for b in MIXES if row % 2 == 0 else reversed(MIXES):  # there and back, so that each step is short
            two.hold(a=names("a", a), b=names("b", b))
            lone_and_broken = a[1] + b[1] == 1 and a[0] + b[0] == 0
            expected = "Fault" if lone_and_broken else TWO_NODES[sum(a)][sum(b)]
            if (states := two.states()) != {expected}:
                wrong[a, b] = (states, expected)
    assert not wrong


def test_every_cell_of_the_table_for_one_node(single: Demo) -> None:
    """For 0 to 3 keys, in every mix of readable and not, the only node shows the table's state."""
    for mix in MIXES:
        single.hold(a=names("a", mix))
        assert single.states() == {"Fault" if mix == (0, 1) else ONE_NODE[sum(mix)]}, mix


def test_a_lone_key_that_is_not_genuine_is_a_fault(two: Demo) -> None:
    """A lone key counts as inserted and is a Fault, with a reason, when it is unsigned, foreign, borrowed or mute."""
    genuine, other = two.key("genuine"), two.key("other")
    stranger = licensed_key(Ed25519PrivateKey.generate(), "genuine", dt.timedelta(days=300))
    for lone in (
        replace(genuine, licence_file=b""),
        replace(genuine, licence_file=b"not a licence"),
        replace(genuine, licence_file=stranger.licence_file),
        replace(genuine, licence_file=other.licence_file),
        replace(genuine, device_private_key=other.device_private_key),
        replace(genuine, device_private_key=None),
        broken(genuine),
    ):
        two.hold(a=frozenset(), b=frozenset())
        two.shown()
        two._keys["genuine"] = lone
        two.hold(b=frozenset({"genuine"}))
        for status in two.shown():
            assert status["keyState"] == "Fault"
            assert next(node for node in status["nodes"] if node["name"] == "b")["ukeys"][0]["reason"]
    two._keys["genuine"] = genuine


def test_the_same_key_in_both_nodes_is_abnormal_and_suspect(two: Demo) -> None:
    """One key identity in both nodes at once is Abnormal, and may be a clone, which is said; the licence is Valid."""
    two.hold(a=frozenset({"a0"}), b=frozenset())
    two.shown(lambda status: status["license"]["keyId"] == "a0")
    two.hold(a=frozenset({"a0"}), b=frozenset({"a0"}))
    for status in two.shown():
        assert status["keyState"] == "Abnormal"
        assert "clone-suspected" in status["alerts"]
        assert (status["license"]["name"], status["license"]["status"], status["buffer"]) == ("a0", "Valid", None)
    two.hold(b=frozenset())
    assert all("clone-suspected" not in status["alerts"] for status in two.shown())


def test_abnormal_leaves_the_licence_of_the_key_in_use(two: Demo) -> None:
    """A second key in the other node changes the state and neither the licence nor its validity."""
    two.hold(a=frozenset({"a0"}), b=frozenset())
    two.shown(lambda status: status["license"]["keyId"] == "a0")
    two.hold(b=frozenset({"b0"}))
    for status in two.shown():
        licence = status["license"]
        assert (status["keyState"], licence["keyId"], licence["status"]) == ("Abnormal", "a0", "Valid")
        assert status["buffer"] is None
