"""Real etcd keeps the contract of the store, through our adapter, in every version we support."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.store_contract import StoreContract

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from cluster.etcd import EtcdStore
    from tests.etcd_server import EtcdServer


class TestEtcdStore(StoreContract):
    """The contract, kept by etcd."""

    @pytest.fixture
    def compact(self, server: EtcdServer, store: EtcdStore) -> Callable[[], Awaitable[None]]:
        """Return a way to forget the history."""

        async def forget() -> None:
            server.etcdctl("compact", str((await store.snapshot("/")).revision))

        return forget
