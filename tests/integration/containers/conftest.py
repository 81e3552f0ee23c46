"""Sites on Docker: one whose etcd alone runs in containers, and the whole one of `docker-compose.ha.yml`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from testcontainers.core.config import testcontainers_config

from cluster.local_etcd import find_etcd
from tests.integration.containers.compose_site import NET, SUBNET, ComposeSite
from tests.integration.containers.docker_daemon import DockerDaemon, passed_on
from tests.integration.containers.etcd_containers import BRIDGE, IMAGE, EtcdContainers
from tests.integration.containers.webhook import Webhook, listening
from tests.site import LiveSite


class ContainerSite(LiveSite):
    """A site on the etcd in containers; `start` mends that as well."""

    def __init__(self, folder: Path, members: EtcdContainers) -> None:
        super().__init__(folder)
        self.members = members
        for daemon in self.daemons:
            daemon.environment["TWINKEY_ETCD_ENDPOINTS"] = ",".join(members.endpoints)

    def launch(self) -> None:
        """Mend etcd, and start what does not run."""
        self.members.mend()
        for daemon in self.daemons:
            if not daemon.running:
                daemon.start()


@pytest.fixture(scope="session")
def docker_daemon() -> Iterator[DockerDaemon]:
    """Run a Docker daemon that has no image."""
    with tempfile.TemporaryDirectory(prefix="twinkey-docker-") as folder, pytest.MonkeyPatch.context() as patch:
        daemon = DockerDaemon(Path(folder))
        patch.setenv("DOCKER_HOST", daemon.address)
        patch.setattr(testcontainers_config, "ryuk_disabled", True)  # it would come from a registry
        try:
            daemon.start()
            yield daemon
        finally:
            daemon.stop()


@pytest.fixture(scope="module")
def members(docker_daemon: DockerDaemon) -> Iterator[EtcdContainers]:
    """Run three members."""
    docker_daemon.make_image(IMAGE, {str(find_etcd()): find_etcd()})
    with passed_on("-i", BRIDGE, "-o", BRIDGE):
        members = EtcdContainers(find_etcd())
        try:
            members.start()
            yield members
        finally:
            members.close()


@pytest.fixture(scope="module")
def running(members: EtcdContainers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ContainerSite]:
    """Run a site with a key in node a."""
    site = ContainerSite(tmp_path_factory.mktemp("site"), members)
    try:
        site.start()
        site.plug("a", site.new_key("held"))
        site.wait_for_all(lambda status: status["license"]["keyId"] == "held", 10)
        yield site
    finally:
        site.close()


@pytest.fixture
def site(running: ContainerSite) -> ContainerSite:
    """Give the site at rest, with nothing broken."""
    running.start()
    return running


@pytest.fixture(scope="module")
def webhook() -> Iterator[Webhook]:
    """Listen where the containers of the compose file find this machine."""
    with listening(f"{NET}.1") as webhook:
        yield webhook


@pytest.fixture(scope="module")
def built(
    docker_daemon: DockerDaemon, webhook: Webhook, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ComposeSite]:
    """Build the images of the compose file; nothing of its site exists yet, nor afterwards."""
    site = ComposeSite(docker_daemon, tmp_path_factory.mktemp("compose"), webhook.url)
    with passed_on("-s", SUBNET, "-d", SUBNET):
        try:
            site.build()
            yield site
        finally:
            site.down()


@pytest.fixture
def composed(built: ComposeSite) -> ComposeSite:
    """Give the site of the compose file, with all of it running."""
    if not built.is_up:
        built.up()
    return built
