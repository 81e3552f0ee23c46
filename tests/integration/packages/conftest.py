"""The package as it is built, and a site that is installed from it on machines that boot."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.containers.docker_daemon import DockerDaemon, passed_on
from tests.integration.packages.installed_site import InstalledSite
from tests.integration.packages.machines import IMAGE, SUBNET, network, run

ROOT = Path(__file__).parents[3]
MACHINE = ROOT / ".cache" / "containers" / "machine.tar"


@pytest.fixture(scope="session")
def deb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the package."""
    folder = tmp_path_factory.mktemp("dist")
    run(str(ROOT / "packaging" / "deb" / "build"), str(folder))
    (built,) = folder.glob("*.deb")
    return built


@pytest.fixture(scope="module")
def machine_daemon() -> Iterator[DockerDaemon]:
    """Run a Docker daemon that knows how a machine is made."""
    assert MACHINE.exists(), "there is no image of a machine: run the tests with 'make containers'"
    with tempfile.TemporaryDirectory(prefix="twinkey-machines-") as folder:
        daemon = DockerDaemon(Path(folder))
        try:
            daemon.start()
            image = daemon.client().api.import_image(str(MACHINE), repository=IMAGE)
            assert "error" not in image, image
            yield daemon
        finally:
            daemon.stop()


@pytest.fixture(scope="module")
def installed(
    machine_daemon: DockerDaemon, deb: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[InstalledSite]:
    """Install a site; it is on no machine before, and gone afterwards."""
    with network(machine_daemon), passed_on("-s", SUBNET, "-d", SUBNET):
        site = InstalledSite(machine_daemon, tmp_path_factory.mktemp("carried"), deb)
        try:
            site.install()
            yield site
        finally:
            for machine in site.machines:
                machine.remove()


@pytest.fixture
def site(installed: InstalledSite) -> InstalledSite:
    """Give the site at rest, with everything running."""
    installed.mend()
    return installed
