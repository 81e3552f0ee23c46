"""A founded site on each version of etcd that is supported."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.integration.roles.founded_site import FoundedSite

if TYPE_CHECKING:
    from collections.abc import Iterator

BINARIES = {"etcd-3.4": Path("/usr/bin/etcd"), "etcd-3.5": Path(sys.executable).parent / "etcd"}


@pytest.fixture(scope="session")
def vendor() -> Ed25519PrivateKey:
    """Return the vendor's key, by which the site's licences are signed."""
    return Ed25519PrivateKey.generate()


@pytest.fixture(scope="session", params=list(BINARIES.values()), ids=list(BINARIES))
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, vendor: Ed25519PrivateKey
) -> Iterator[FoundedSite]:
    """Found a site, start its etcd, and give the roles."""
    site = FoundedSite(tmp_path_factory.mktemp("site"), request.param, vendor)
    try:
        site.told = site.twinkey("roles", etc="a")
        yield site
    finally:
        site.close()
