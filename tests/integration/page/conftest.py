"""A site and a browser for each file of tests, the site at rest before each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.integration.page.browsing import chromium
from tests.integration.page.page_site import PageSite
from tests.integration.page.visitor import Visits
from tests.site import started


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Run a browser; while it runs, no other event loop can, and other files of tests in this process want one."""
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageSite]:
    """Run a site of two nodes."""
    with started(PageSite(tmp_path_factory.mktemp("site"))) as site:
        yield site


@pytest.fixture
def site(running: PageSite) -> PageSite:
    """Give the site at rest: everything runs and no key is plugged in."""
    running.reset()
    return running


@pytest.fixture
def visits(browser: Browser, site: PageSite) -> Iterator[Visits]:
    """Let people come to the page; nothing that it must never do may have happened when they leave."""
    come = Visits(browser, site)
    try:
        yield come
    finally:
        faults = come.end()
    assert not faults, "\n".join(faults)
