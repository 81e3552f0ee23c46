"""One site of namespaces for each file of faults; at the end all that was ever published there must make one story."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest

from cluster.values import decode_value
from coordinator.published import Published
from tests.netsite.asking import NEWEST
from tests.netsite.netsite import NetSite
from tests.site import KEYS


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NetSite]:
    """Give a running site, and afterwards read back what was published on it."""
    running = NetSite(tmp_path_factory.mktemp("site"))
    try:
        running.start()
        yield running
        versions = running.member("a").history(KEYS.status, NEWEST)
        told = [decode_value(each.key, each.value, Published) for each in versions]
        for before, after in pairwise(told):
            assert after.index > before.index, "an index was given twice, or went back"
            assert after.epoch >= before.epoch, "a deposed leader published"
            assert after.as_of >= before.as_of, "effective time went back"
    finally:
        running.close()
