"""The n-th key is found by counting, wherever the keys are and however they are spread."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.keys import Keys
from cluster.memory import MemoryCluster
from cluster.ranks import NEAR, STRIDE, Line, locate
from cluster.store import Part, Put

KEYS = Keys("s")
LINE = Line(KEYS.records_by("issued"), lambda place: KEYS.record_by("issued", *divmod(place, STRIDE)), 10**10 * STRIDE)

_clusters = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 3), st.integers(0, 10**10 - 1)),  # second
        st.one_of(st.integers(0, 3), st.integers(0, STRIDE - 10**6)),  # first number
        st.integers(1, 250),  # how many
        st.sampled_from([1, 2, 1000]),  # how far apart
    ),
    min_size=1,
    max_size=5,
)


def store_of(keys: list[str]) -> MemoryCluster:
    """Return a store with these keys."""
    cluster = MemoryCluster()
    cluster.apply([Put(key, b"") for key in keys])
    return cluster


async def find(cluster: MemoryCluster, rank: int) -> tuple[str, int]:
    """Return the key at a rank and how many entries were skipped to come to it."""
    store = cluster.client()
    key, skip = await locate(store, LINE, await LINE.whole(store), rank)
    return (await store.page(key, LINE.key(LINE.end), skip + 1))[skip].key, skip


@settings(max_examples=60, deadline=None)
@given(_clusters, st.data())
def test_every_rank_is_found(clusters: list[tuple[int, int, int, int]], data: st.DataObject) -> None:
    """However the positions are spread, the key at a rank is found, with few entries skipped."""
    places = sorted(
        {second * STRIDE + first + step * number for second, first, count, step in clusters for number in range(count)}
    )
    keys = [LINE.key(place) for place in places]
    rank = data.draw(st.integers(0, len(keys) - 1))
    found, skip = asyncio.run(find(store_of(keys), rank))
    assert (found, skip <= NEAR) == (keys[rank], True)


async def test_foreign_keys_do_not_lead_astray() -> None:
    """A key that is none of ours is counted in its place, and the search ends."""
    strange = [f"{LINE.key(7)}{number:03d}" for number in range(300)]
    keys = sorted([LINE.key(place) for place in range(20)] + strange)
    cluster = store_of(keys)
    assert [(await find(cluster, rank))[0] for rank in (6, 7, 8, 250, 308, 319)] == [
        keys[rank] for rank in (6, 7, 8, 250, 308, 319)
    ]


async def test_keys_that_go_away_meanwhile_leave_nothing_to_read() -> None:
    """A rank that exists no more is at the end."""
    store = store_of([]).client()
    assert await locate(store, LINE, Part(1000, None), 500) == (LINE.key(LINE.end), 0)
