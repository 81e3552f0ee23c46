"""One running site for each file of tests, at rest before each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.site import LiveSite, started


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveSite]:
    """Run a site of two nodes."""
    with started(LiveSite(tmp_path_factory.mktemp("site"))) as site:
        yield site


@pytest.fixture
def site(running: LiveSite) -> LiveSite:
    """Give the site at rest: everything runs and no key is plugged in."""
    running.reset()
    return running
