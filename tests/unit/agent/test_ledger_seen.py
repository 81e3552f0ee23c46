"""The newest ledger that was seen: it outlives restarts and an etcd that was restored from an old copy."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agent.ledger_seen import FILE, LedgerSeen, Seen
from cluster.keys import Keys
from cluster.memory import MemoryCluster
from cluster.mirror import Mirror
from cluster.store import Delete, Put
from cluster.timings import Timings
from cluster.values import decode_value, encode_value
from licensing.ledger_version import NO_LEDGER, LedgerVersion
from tests.waiting import eventually

SITE = "site-1"
KEY = Keys(SITE).status
QUICK = Timings(lease_ttl=2, renew=0.1, margin=0.1, attempt=0.1, call_deadline=0.2, probe=0.1)


class Node:
    """What follows the ledger's sequence on one node, and the store of its site."""

    def __init__(self, folder: Path) -> None:
        self.cluster = MemoryCluster()
        self.mirror = Mirror(self.cluster.client(), KEY, QUICK)
        self.went_back = 0
        self.folder = folder
        self.seen = LedgerSeen(self.mirror, KEY, SITE, folder, self._went_back, write_again=0.02)

    def publish(self, index: int, sequence: int) -> None:
        """Let a leader publish; members that this test has no use for are left out."""
        value = b'{"data":{"epoch":5,"index":%d,"ledger":{"sequence":%d}},"version":1}' % (index, sequence)
        self.cluster.apply([Put(KEY, value)])

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Follow meanwhile."""
        tasks = [asyncio.create_task(part.run()) for part in (self.seen, self.mirror)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def kept(self) -> int:
        """What the disk holds."""
        return decode_value(FILE, (self.folder / FILE).read_bytes(), Seen).ledger.sequence

    def _went_back(self) -> None:
        self.went_back += 1


async def test_the_highest_sequence_is_kept(tmp_path: Path) -> None:
    """It rises with what is published, is on the disk, never falls, and is known after a restart."""
    node = Node(tmp_path)
    async with node.running():
        node.publish(1, 7)
        await eventually(lambda: node.kept == 7)
        node.publish(2, 9)
        await eventually(lambda: node.kept == 9)
        node.publish(3, 4)
        await eventually(lambda: node.mirror.view.entries[KEY].value.find(b":4}") > 0)
    assert (node.seen.newest.sequence, node.kept, Node(tmp_path).seen.newest.sequence) == (9, 9, 9)


@pytest.mark.parametrize("gone", [False, True], ids=["older", "emptied"])
async def test_what_goes_back_is_noticed(tmp_path: Path, gone: bool) -> None:  # noqa: FBT001
    """An answer that was published earlier, or none at all, means that the store has an old report too."""
    node = Node(tmp_path)
    async with node.running():
        node.publish(8, 2)
        await eventually(lambda: node.seen.newest.sequence == 2)
        node.publish(9, 2)
        await eventually(lambda: node.mirror.view.revision == node.cluster.revision)
        assert not node.went_back
        if gone:
            node.cluster.apply([Delete(KEY)])
        else:
            node.publish(5, 2)
        await eventually(lambda: node.went_back == 1)


async def test_what_goes_back_for_a_moment_is_noticed(tmp_path: Path) -> None:
    """A leader that sees an old copy goes on from the highest index that it knows, at once."""
    node = Node(tmp_path)
    async with node.running():
        node.publish(10, 2)
        await eventually(lambda: node.kept == 2)
        for index in (11, 8, 12):
            node.publish(index, 2)
            await eventually(lambda: node.mirror.view.revision == node.cluster.revision)
        assert node.went_back == 1


async def test_a_store_that_was_put_back_is_noticed_whatever_was_published_since(tmp_path: Path) -> None:
    """Its revisions are lower, although the index is higher."""
    node = Node(tmp_path)
    async with node.running():
        for index in range(1, 6):
            node.publish(index, 2)
        await eventually(lambda: node.kept == 2)
        node.cluster.history.clear()
        node.cluster.revision = 2
        node.publish(9, 2)
        await eventually(lambda: node.went_back == 1)


@pytest.mark.parametrize(
    "content", [b"?", encode_value(Seen("site-2", LedgerVersion(5)))], ids=["damaged", "of another site"]
)
def test_a_file_that_says_nothing_of_this_site_counts_for_nothing(tmp_path: Path, content: bytes) -> None:
    """It is left alone and stops no agent."""
    (tmp_path / FILE).write_bytes(content)
    assert Node(tmp_path).seen.newest == NO_LEDGER


async def test_a_disk_that_takes_nothing_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The sequence is known all the same, as long as the agent runs."""
    (tmp_path / "file").write_bytes(b"")
    node = Node(tmp_path / "file" / "is no folder")
    with caplog.at_level(logging.ERROR):
        async with node.running():
            node.publish(1, 1)
            await eventually(lambda: node.seen.newest.sequence == 1)
            node.publish(2, 2)
            await eventually(lambda: node.seen.newest.sequence == 2)
    assert [record.message for record in caplog.records].count("ledger's version not kept") == 1


async def test_what_was_not_kept_is_kept_as_soon_as_the_disk_takes_it(tmp_path: Path) -> None:
    """Nothing new need be published for that."""
    node = Node(tmp_path / "state")
    node.folder.write_bytes(b"")
    async with node.running():
        node.publish(1, 7)
        await eventually(lambda: node.seen.newest.sequence == 7)
        node.folder.unlink()
        await eventually(lambda: node.kept == 7)


async def test_a_file_that_was_removed_is_written_again(tmp_path: Path) -> None:
    """With the next answer that is published, whether the ledger is another or not."""
    node = Node(tmp_path)
    async with node.running():
        node.publish(1, 7)
        await eventually(lambda: node.kept == 7)
        (tmp_path / FILE).unlink()
        node.publish(2, 7)
        await eventually(lambda: node.kept == 7)
