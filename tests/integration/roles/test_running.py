"""A founded site that runs: both daemons of both nodes, with the settings and rights that they were given."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509

from tests.integration.roles.conftest import BINARIES
from tests.integration.roles.founded_site import ADDRESSES, NODES, FoundedSite
from tests.site import licensed_key
from tests.waiting import eventually_sync
from usbwatch import simulated

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

START, CHANGE = 30.0, 20.0


@pytest.fixture(scope="module", params=list(BINARIES.values()), ids=list(BINARIES))
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, vendor: Ed25519PrivateKey
) -> Iterator[FoundedSite]:
    """Found a site as the documentation says, start it, and plug a USB key into node b."""
    site = FoundedSite(tmp_path_factory.mktemp("running"), request.param, vendor)
    try:
        site.twinkey("roles", etc="a")
        site.start_daemons()
        simulated.plug(site.folder / "b/bus", licensed_key(vendor, "K1", dt.timedelta(days=30)))
        yield site
    finally:
        site.close()


def is_ready(status: dict[str, Any]) -> bool:
    """Whether a status is fresh, of two nodes that report, and of a site whose key is in."""
    return (
        not status.get("stale", True)
        and status["keyState"] == "Ready"
        and [node["reachable"] for node in status["nodes"]] == [True, True]
    )


def shown(address: str, port: int, etc: Path) -> int:
    """Return the serial number of the certificate that a server shows, which has to be good for its address."""
    context = ssl.create_default_context(cafile=str(etc / "ca.pem"))
    context.load_cert_chain(etc / "agent/etcd.pem", etc / "agent/etcd.key")
    plain = socket.create_connection((address, port), timeout=5)
    with plain, context.wrap_socket(plain, server_hostname=address) as server:
        der = server.getpeercert(binary_form=True)
    assert der
    return x509.load_der_x509_certificate(der).serial_number


def written(file: Path) -> int:
    """Return the serial number of a certificate in a file."""
    return x509.load_pem_x509_certificate(file.read_bytes()).serial_number


def test_a_founded_site_becomes_ready(running: FoundedSite) -> None:
    """With nothing but what was written for them, both nodes show the key that is in one of them, over HTTPS."""
    for name in NODES:
        eventually_sync(lambda name=name: is_ready(running.status(name)), START, f"node {name} is ready")  # type: ignore[misc]
    refused = [daemon.log for daemon in running.daemons.values() if b"permission denied" in daemon.log]
    assert not refused


def test_certificates_are_renewed_without_a_restart(running: FoundedSite) -> None:
    """Etcd shows its new certificate, the daemons connect anew with theirs, and nobody was started again."""
    eventually_sync(lambda: is_ready(running.status("a")), START)
    before = {key: daemon.pid for key, daemon in running.daemons.items()}
    former = {name: written(running.etc(name) / "etcd/member.pem") for name in ADDRESSES}
    told = running.twinkey("renew", etc="a")
    for name, bundle in told["bundles"].items():
        assert "etcd/member.pem" in running.twinkey("join", bundle, etc=name)["replaced"]

    for name, address in ADDRESSES.items():
        serial = shown(address, running.client_port, running.etc("a"))
        assert serial == written(running.etc(name) / "etcd/member.pem") != former[name]
    for key, daemon in running.daemons.items():
        eventually_sync(lambda log=daemon: b"connecting anew" in log.log, CHANGE, f"{key} reads its certificate")  # type: ignore[misc]
        assert daemon.running
        assert daemon.pid == before[key]
    for name in NODES:
        eventually_sync(lambda name=name: is_ready(running.status(name)), CHANGE, f"node {name} is ready")  # type: ignore[misc]


def test_a_lost_authority_is_replaced(tmp_path: Path, vendor: Ed25519PrivateKey) -> None:
    """Founded anew over the same data, the site has its licence and its roles, and the old keys open nothing."""
    site = FoundedSite(tmp_path, BINARIES["etcd-3.4"], vendor)
    try:
        site.twinkey("roles", etc="a")
        site.start_daemons()
        simulated.plug(tmp_path / "b/bus", licensed_key(vendor, "K1", dt.timedelta(days=30)))
        before = eventually_sync(lambda: status if is_ready(status := site.status("a")) else None, START)
        site.stop_daemons()
        former = tmp_path / "former"
        site.etc("a").rename(former)
        for name in ("b", "w"):
            site.etc(name).rename(tmp_path / f"former-{name}")
        site.found(*(f"--uuid={name}={uuid}" for name, uuid in site.uuids.items()))
        site.restart_etcd()
        assert site.twinkey("roles", etc="a")["changes"] == []
        site.start_daemons()
        after = eventually_sync(lambda: status if is_ready(status := site.status("b")) else None, START)
        assert after["license"] == before["license"]
        with pytest.raises(OSError, match="certificate"):
            shown(ADDRESSES["a"], site.client_port, former)
    finally:
        site.close()
