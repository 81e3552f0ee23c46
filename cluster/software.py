"""Which version of this software runs here."""

from __future__ import annotations

from functools import cache
from importlib import metadata

PACKAGE = "twinkey"


@cache
def software_version() -> str:
    """Return the version that is installed; empty where the code was not installed as a package."""
    try:
        return metadata.version(PACKAGE)
    except metadata.PackageNotFoundError:
        return ""
