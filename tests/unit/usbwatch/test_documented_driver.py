"""The worked example of CONTRIBUTING.md is a driver."""

from __future__ import annotations

import socketserver
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from licensing.genuine import proof_message
from tests.unit.usbwatch import documented
from tests.unit.usbwatch.driver_contract import NONCE, DriverContract, Specimen
from tests.usbmodel.vendor import Vendor
from usbwatch.device import Device
from usbwatch.driver import DRIVERS, claims_of
from usbwatch.messages import Contents, Failed, Gone, ReadKey
from usbwatch.worker import open_function
from usbwatch.workers import Workers

DEVICE = Device("1-2", 1, 7, 0x1209, 0xACE1)
LICENCE = bytes(range(256)) * 8


class Daemon:
    """The maker's daemon with one key; `asked` is what it was asked so far."""

    def __init__(self, vendor: Vendor) -> None:
        self.asked: list[str] = []
        self._vendor = vendor

    def answer(self, line: str) -> bytes:
        """Answer one question."""
        place, question, *arguments = line.split()
        self.asked.append(question)
        if place != f"{DEVICE.bus}.{DEVICE.address}":
            return b"gone\n"
        match question:
            case "serial":
                return b"ok\nACME-1"
            case "read":
                return b"ok\n" + LICENCE
            case "prove":
                message = proof_message("ACME-1", bytes.fromhex(arguments[0]))
                return b"ok\n" + self._vendor.device.sign(message)
            case _:
                return b"ok\n"


@contextmanager
def listening(daemon: Daemon, path: Path) -> Iterator[None]:
    """Let the daemon answer on that socket until the context is left."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(daemon.answer(self.rfile.readline().decode()))

    with socketserver.ThreadingUnixStreamServer(str(path), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield
        server.shutdown()
        thread.join()


@pytest.fixture
def socket(tmp_path: Path) -> Path:
    """Give the place of the daemon's socket."""
    return tmp_path / "acmed"


@pytest.fixture
def daemon(vendor: Vendor, socket: Path) -> Iterator[Daemon]:
    """Give the running daemon."""
    running = Daemon(vendor)
    with listening(running, socket):
        yield running


@pytest.fixture
def workers(socket: Path) -> Workers:
    """Give workers that have the documented driver."""
    return Workers((sys.executable, "-I", documented.__file__, str(socket)))


class TestContract(DriverContract):
    """The documented driver keeps the contract."""

    @pytest.fixture
    def specimen(self, daemon: Daemon, vendor: Vendor, socket: Path) -> Specimen:
        """Give the daemon's key."""
        assert not daemon.asked
        open_key = open_function(documented.registered(str(socket)))
        public_key = vendor.device.public_key().public_bytes_raw()
        return Specimen(lambda deadline: open_key(DEVICE, deadline), LICENCE, public_key)


@pytest.mark.usefixtures("daemon")
@pytest.mark.parametrize("spare", [False, True], ids=["cold", "spare"])
async def test_its_key_is_read_in_a_worker(workers: Workers, vendor: Vendor, *, spare: bool) -> None:
    """One entry in the list of drivers is enough for a key to be read, in a process started for it or in advance."""
    if spare:
        workers.keep_spare()
    heard: list[str] = []
    outcome = await workers.ask(ReadKey("acme", DEVICE, NONCE, 5), 6, heard.append)
    await workers.close()
    assert isinstance(outcome, Contents), outcome
    assert (heard, outcome.key_id, outcome.blob) == (["ACME-1"], "ACME-1", LICENCE)
    assert outcome.proof is not None
    vendor.device.public_key().verify(outcome.proof, proof_message("ACME-1", NONCE))


async def test_the_key_has_been_let_go_when_its_outcome_is_told(workers: Workers, daemon: Daemon) -> None:
    """The last thing that the daemon hears is before the outcome."""
    await workers.ask(ReadKey("acme", DEVICE, NONCE, 5), 6)
    assert (daemon.asked[0], daemon.asked[-1]) == ("open", "close")
    await workers.close()


@pytest.mark.usefixtures("daemon")
async def test_a_key_that_was_pulled_out_is_gone(workers: Workers) -> None:
    """The driver tells a key that is not there from one that is broken."""
    elsewhere = Device("1-3", 1, 8, 0x1209, 0xACE1)
    assert await workers.ask(ReadKey("acme", elsewhere, NONCE, 5), 6) == Gone()
    await workers.close()


async def test_a_daemon_that_is_missing_is_a_sentence(workers: Workers) -> None:
    """The operator learns which service to restart."""
    outcome = await workers.ask(ReadKey("acme", DEVICE, NONCE, 5), 6)
    await workers.close()
    assert isinstance(outcome, Failed), outcome
    assert "restart acmed.service" in outcome.reason


def test_the_example_claims_no_device_of_ours(socket: Path) -> None:
    """Whoever copies it gets into nobody's way."""
    assert claims_of(DRIVERS).isdisjoint(documented.registered(str(socket)).claims)
