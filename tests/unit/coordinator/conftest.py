"""A site at rest for the tests of the coordinator's tasks."""

from __future__ import annotations

import pytest

from tests.unit.coordinator.running import Site
from tests.unit.coordinator.stored import A, B, good_key


@pytest.fixture
async def site() -> Site:
    """Give a site on which both nodes report and K1 is in node a."""
    found = Site()
    await found.report(A, good_key())
    await found.report(B)
    return found
