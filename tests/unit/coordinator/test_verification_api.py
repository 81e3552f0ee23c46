"""The verification of the history over HTTP: what needs a real history is tested on a real site."""

from __future__ import annotations

from coordinator.guarding import COSTLY_PER_MINUTE
from tests.unit.coordinator.serving import AS_ADMIN, AUTH, PLATFORM, Node, body_of, refusal

PATH = "/v1/licenses/records/verification"


async def test_a_history_without_records_is_intact() -> None:
    """Nothing was written, so nothing was altered."""
    node = Node()
    async with node.client:
        found = await body_of(await node.client.get(PATH, headers=AS_ADMIN))
    assert found == {"intact": True, "count": 0, "number": None, "why": ""}


async def test_every_reader_may_ask_but_not_all_the_time() -> None:
    """The call reads every record there is: 429 to whoever asks too often, while others are answered."""
    node = Node()
    async with node.client:
        for _ in range(COSTLY_PER_MINUTE):
            assert (await body_of(await node.client.get(PATH, headers=AUTH)))["intact"]
        response = await node.client.get(PATH, headers=AUTH)
        assert (await refusal(response))[:2] == (429, "too-many-requests")
        assert int(response.headers["Retry-After"]) > 0
        assert (await node.client.get(PATH, headers=AS_ADMIN)).status == 200


async def test_only_readers_may_ask() -> None:
    """A token that may only report usage is refused."""
    node = Node()
    async with node.client:
        response = await node.client.get(PATH, headers={"Authorization": f"Bearer {PLATFORM}"})
        assert (await refusal(response))[:2] == (403, "forbidden")
