"""In which order the files run beside each other."""

from __future__ import annotations

import pytest

LONGEST = (
    "test_usb_leaks.py",
    "test_history.py",
    "test_etcd_records.py",
    "test_looks_in_trouble.py",
)
"""Those that take a minute and more."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, so that the end does not wait for one of them alone."""
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))
