"""What this node's keys are asked to sign, and when they are asked again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from agent.challenges import Challenges
from agent.sight import Sight
from cluster.keys import Keys
from cluster.memory import MemoryCluster
from cluster.mirror import Mirror
from cluster.store import Put
from cluster.term import Term
from cluster.timings import Timings
from licensing.seen import Reading
from tests.waiting import eventually
from usbwatch.bus import Challenger, KeySet, Seen, challenger

KEY = Keys("site-1").status


class ProvingBus:
    """A bus with one key that proves itself whenever it is asked, and one that cannot."""

    def __init__(self, new_challenge: Challenger) -> None:
        self.abandoned = 0
        self.asked = 0
        self._new_challenge = new_challenge
        self.keys: KeySet = (Seen(key_id="K2", reading=Reading.OK),)

    async def watch(self) -> AsyncIterator[KeySet]:
        """Yield the current set, and no other."""
        yield self.keys
        await asyncio.Event().wait()

    async def reread(self) -> None:
        """Nothing reads all keys here."""
        raise NotImplementedError

    async def prove_again(self) -> None:
        """Let the key sign another challenge."""
        self.asked += 1
        proved = Seen(key_id="K1", reading=Reading.OK, challenge=self._new_challenge(), proof=b"proof")
        self.keys = (proved, self.keys[-1])

    async def close(self) -> None:
        """Nothing to close."""


class Node:
    """The agent's part that challenges keys, on a store in memory."""

    def __init__(self) -> None:
        self.cluster = MemoryCluster()
        self.mirror = Mirror(self.cluster.client(), KEY, Timings())
        self.challenges = Challenges(self.mirror, KEY, "site-1")
        self.bus, self.sight = ProvingBus(self.challenges.new), Sight()
        self.sight.see_vip(held=False)

    def publish(self, epoch: int, index: int) -> None:
        """Write a published answer, with more in it than this node knows of."""
        self.cluster.apply([Put(KEY, b'{"data":{"epoch":%d,"index":%d,"news":[1]},"version":9}' % (epoch, index))])

    async def knows(self, epoch: int) -> None:
        """Wait until challenges are for this leader."""
        await eventually(lambda: self.term().epoch == epoch)

    def term(self) -> Term:
        """Return the term that a new challenge names."""
        challenge = self.challenges.new()
        return Term(challenge.epoch, challenge.index)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Let it run meanwhile."""
        running = (self.mirror.run(), self.challenges.run(self.bus, self.sight))
        tasks = [asyncio.create_task(each) for each in running]
        try:
            yield
            assert not [task for task in tasks if task.done()], "a task ended by itself"
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


async def test_a_challenge_names_the_answer_published_last() -> None:
    """It is for this site, of the newest answer, and never the same twice; without an answer it is of none."""
    node = Node()
    assert (node.term(), node.challenges.new().site_id) == (Term(0, 0), "site-1")
    async with node.running():
        node.publish(epoch=7, index=40)
        await eventually(lambda: node.term() == Term(7, 40))
        node.publish(epoch=7, index=41)
        await eventually(lambda: node.term() == Term(7, 41))
    assert len({node.challenges.new().random for _ in range(100)}) == 100


async def test_keys_prove_themselves_again_to_another_leader() -> None:
    """A proof for a former leader, or for none, is renewed once; another answer of the same leader renews nothing."""
    node = Node()
    node.sight.see_keys((Seen(key_id="K1", reading=Reading.OK, challenge=challenger("site-1")(), proof=b"proof"),))
    async with node.running():
        node.publish(epoch=7, index=40)
        await eventually(lambda: epochs(node.sight) == [7])
        node.publish(epoch=7, index=41)
        await eventually(lambda: node.term() == Term(7, 41))
        node.publish(epoch=9, index=42)
        await eventually(lambda: epochs(node.sight) == [9])
    assert node.bus.asked == 2


async def test_a_proof_that_comes_late_is_noticed() -> None:
    """A key that was being read while the leader changed is asked again when its old proof arrives."""
    node = Node()
    async with node.running():
        node.publish(epoch=7, index=40)
        await eventually(lambda: node.term() == Term(7, 40))
        late = Seen(key_id="K1", reading=Reading.OK, challenge=challenger("site-1", 5, 30)(), proof=b"proof")
        node.sight.see_keys((late,))
        await eventually(lambda: epochs(node.sight) == [7])


async def test_a_proof_from_before_a_restore_is_noticed() -> None:
    """A store that was restored counts its answers again: a proof that names a later one than the last is no good."""
    node = Node()
    async with node.running():
        node.publish(epoch=7, index=40)
        await node.knows(7)
        ahead = Seen(key_id="K1", reading=Reading.OK, challenge=challenger("site-1", 7, 900)(), proof=b"proof")
        node.sight.see_keys((ahead,))
        await eventually(lambda: node.bus.asked == 1)


async def test_keys_without_a_proof_are_left_alone() -> None:
    """Whoever leads, a key that cannot prove itself is not read again for that."""
    node = Node()
    node.sight.see_keys((Seen(key_id="K2", reading=Reading.OK),))
    async with node.running():
        for epoch in (7, 9):
            node.publish(epoch, index=40 + epoch)
            await node.knows(epoch)
    assert node.bus.asked == 0


async def test_the_first_look_waits_for_the_store_but_not_for_ever() -> None:
    """It ends with the first snapshot, and without a store after a moment."""
    node = Node()
    node.publish(epoch=7, index=40)
    async with asyncio.timeout(5):
        await node.challenges.first_look()
        assert node.term() == Term(0, 0)
    async with node.running(), asyncio.timeout(5):
        await node.challenges.first_look()
        assert node.term() == Term(7, 40)


def epochs(sight: Sight) -> list[int]:
    """Return for which leaders the keys have proved themselves."""
    assert sight.facts is not None
    return [key.challenge.epoch for key in sight.facts.keys if key.challenge is not None]
