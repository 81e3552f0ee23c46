"""What tests of `twinkey site` found: a site on documentation's addresses, in folders of the test."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from console.demo_keys import keyring_of
from console.site_found import Done, found
from console.site_plan import Machine, Ports, Wish

NOW = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)
KEYRING = keyring_of(Ed25519PrivateKey.generate(), NOW)
A, B, W = Machine("a", "203.0.113.1"), Machine("b", "203.0.113.2"), Machine("w", "203.0.113.3")
WISH = Wish("acme", (A, B), W, "203.0.113.10", "usb", (), Ports(), {})
ALONE = replace(WISH, nodes=(A,), witness=None, virtual_ip="")


def found_in(etc: Path, wish: Wish = WISH, now: dt.datetime = NOW) -> Done:
    """Found a site in this folder."""
    return found(wish, KEYRING, etc, now, "ens3")


def everything(folder: Path) -> dict[str, tuple[bytes, int, int]]:
    """Return content, mode and time of change of every file below a folder."""
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mode, path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
