"""Two nodes that both hold the virtual IP, in every state that they can get into: in the end exactly one holds it.

A small world: two agents, their keepalived, and what each sees of the other and of who leads, each at its own time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import product
from typing import NamedTuple

import pytest

from agent.serving import Peer, Scene, stance

ROUNDS = 12
"""In so many rounds in which nothing breaks two nodes have come to rest."""


class Half(NamedTuple):
    """One node: what it is and knows, and, from `told_vip` on, what its last report told."""

    able: bool
    vip: bool
    may: bool
    yielding: bool
    leader: str
    told_vip: bool
    told_contested: bool
    told_serving: bool


class World(NamedTuple):
    """Both nodes, and who leads."""

    a: Half
    b: Half
    leader: str


class Rules(NamedTuple):
    """What happens in the world; `cut`: the two keepalived do not hear each other."""

    cut: bool

    def looks(self, world: World, me: str) -> World:
        """Let a node's agent look at what the other told, decide, tell keepalived and report."""
        own, other = of(world, me), of(world, other_than(me))
        peer = Peer(other_than(me), other.told_vip, other.told_contested, other.told_serving)
        seen = Scene(me, own.vip, not own.able, True, True, own.leader, (peer,))  # noqa: FBT003
        now = stance(seen, yielding=own.yielding)
        return put(
            world,
            me,
            own._replace(
                may=not now.gives_up,
                yielding=now.yielding,
                told_vip=own.vip,
                told_contested=now.contested,
                told_serving=now.serving,
            ),
        )

    def acts(self, world: World, me: str) -> World:
        """Let a node's keepalived take or drop the address; where the two hear each other b leaves it to a."""
        own, other = of(world, me), of(world, other_than(me))
        heard = not self.cut and other.vip and (me == "b" or not own.vip)
        return put(world, me, own._replace(vip=own.may and not heard))

    def hears(self, world: World, me: str) -> World:
        """Let a node see who leads now."""
        return put(world, me, of(world, me)._replace(leader=world.leader))

    def next_worlds(self, world: World) -> Iterator[World]:
        """Return all that can come next: a step of anybody, another leader, a node that breaks or is mended."""
        for me, step in product("ab", (self.looks, self.acts, self.hears)):
            yield step(world, me)
        for leader in ("a", "b", ""):
            yield world._replace(leader=leader)
        for me in "ab":
            yield put(world, me, of(world, me)._replace(able=not of(world, me).able))

    def one_after_the_other(self, world: World, order: Iterable[str]) -> World:
        """Let each node do all that it does, in this order."""
        for me in order:
            for step in (self.hears, self.looks, self.acts):
                world = step(world, me)
        return world

    def at_once(self, world: World) -> World:
        """Let both nodes do each step at the same moment."""
        for step in (self.hears, self.looks, self.acts):
            world = World(step(world, "a").a, step(world, "b").b, world.leader)
        return world


def of(world: World, me: str) -> Half:
    """Return one node."""
    return world.a if me == "a" else world.b


def other_than(me: str) -> str:
    """Return the other one's name."""
    return "b" if me == "a" else "a"


def put(world: World, me: str, half: Half) -> World:
    """Return the world with one node changed."""
    return world._replace(a=half) if me == "a" else world._replace(b=half)


def reachable(rules: Rules) -> set[World]:
    """Return every world that two well nodes which both hold the address can get into, whatever happens."""
    well = Half(
        able=True,
        vip=True,
        may=True,
        yielding=False,
        leader="",
        told_vip=True,
        told_contested=False,
        told_serving=True,
    )
    found = {World(well, well, "")}
    queue = deque(found)
    while queue:
        news = set(rules.next_worlds(queue.popleft())) - found
        found |= news
        queue.extend(news)
    return found


@pytest.fixture(scope="module", params=[True, False], ids=["cut", "joined"])
def rules(request: pytest.FixtureRequest) -> Rules:
    """Give a world whose nodes do not hear each other, and one whose nodes do."""
    return Rules(request.param)


@pytest.fixture(scope="module")
def worlds(rules: Rules) -> set[World]:
    """Give all worlds that there can be."""
    return reachable(rules)


@pytest.mark.parametrize("order", ["ab", "ba", "at once"])
def test_in_the_end_exactly_one_node_holds_the_address(rules: Rules, worlds: set[World], order: str) -> None:
    """From every state that they can get into, once nothing breaks any more; and it stays with that one."""
    assert {(world.a.able, world.b.able, world.leader) for world in worlds} == set(
        product([True, False], [True, False], ["a", "b", ""])
    )
    step: Callable[[World], World] = (
        rules.at_once if order == "at once" else lambda world: rules.one_after_the_other(world, order)
    )
    left = worlds
    for _ in range(ROUNDS):
        left = {step(world) for world in left}
    for world in left:
        assert world.a.vip is not world.b.vip, world
        assert step(world) == world
