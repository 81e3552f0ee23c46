"""A site of one node whose daemons a test starts by itself, as a service manager does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.site import LiveSite


@pytest.fixture
def site(tmp_path: Path) -> Iterator[LiveSite]:
    """Lay out a site; nothing runs yet."""
    laid_out = LiveSite(tmp_path, ("a",))
    try:
        yield laid_out
    finally:
        laid_out.close()
