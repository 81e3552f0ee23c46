"""One virtual machine for all of these tests, and one site whose node a has its agent in it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kernel.devices import Devices
from tests.kernel.guest_site import site_with_guest
from tests.kernel.machine import Machine
from tests.site import LiveSite


@pytest.fixture(scope="session")
def machine() -> Iterator[Machine]:
    """Run a virtual machine; its sockets need a short path."""
    with tempfile.TemporaryDirectory(prefix="kernel-") as folder:
        machine = Machine(Path(folder))
        try:
            machine.start()
            yield machine
        finally:
            machine.stop()


@pytest.fixture(scope="session")
def running(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveSite]:
    """Run a site whose node a has its agent in the machine."""
    with site_with_guest(machine, tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture
def devices(machine: Machine) -> Iterator[Devices]:
    """Give the machine's USB ports; whatever is plugged in is pulled out at the end."""
    devices = Devices(machine)
    yield devices
    devices.remove_all()


@pytest.fixture
def site(running: LiveSite, devices: Devices) -> LiveSite:
    """Give the site at rest: no key is plugged in."""
    devices.remove_all()
    running.reset()
    return running


@pytest.fixture(autouse=True)
def told_on_failure(request: pytest.FixtureRequest) -> Iterator[None]:
    """Print what the machine and the agent in it have said; it is shown when the test fails."""
    yield
    if "machine" in request.fixturenames:
        machine: Any = request.getfixturevalue("machine")
        print(f"--- the machine's console\n{machine.console}")  # noqa: T201 - captured
    if "running" in request.fixturenames:
        running: Any = request.getfixturevalue("running")
        print(f"--- the agent's log\n{running.agents['a'].log.decode()[-8000:]}")  # noqa: T201 - captured
