"""The verification of the history over HTTP: what needs a real history is tested on a real site."""

from __future__ import annotations

from tests.unit.coordinator.serving import AS_ADMIN, AUTH, Node, body_of, refusal

PATH = "/v1/licenses/records/verification"


async def test_a_history_without_records_is_intact() -> None:
    """Nothing was written, so nothing was altered."""
    node = Node()
    async with node.client:
        found = await body_of(await node.client.get(PATH, headers=AS_ADMIN))
    assert found == {"intact": True, "count": 0, "number": None, "why": ""}


async def test_only_administrators_may_have_it_all_read() -> None:
    """A token for reading is refused: the call reads every record there is."""
    node = Node()
    async with node.client:
        status, code, _ = await refusal(await node.client.get(PATH, headers=AUTH))
    assert (status, code) == (403, "forbidden")
