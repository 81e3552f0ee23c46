"""A site at rest for the tests of the coordinator's tasks, and a node that shows it for those of its calls."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.unit.coordinator.running import Site
from tests.unit.coordinator.serving import Node, answer
from tests.unit.coordinator.stored import A, B, at_rest, good_key, publish


@pytest.fixture
async def site() -> Site:
    """Give a site on which both nodes report and K1 is in node a."""
    found = Site()
    await found.report(A, good_key())
    await found.report(B)
    return found


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    """Give a node that shows the answer of a site at rest."""
    found = Node()
    found.board.show(answer(publish(at_rest())))
    async with found.client:
        yield found
