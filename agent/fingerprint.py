"""The machine's fingerprint, to which a licence asked for with a request code is bound.

It is made of what the mainboard says of itself, so that it survives a reboot and a new disk; of the operating system's
machine-id only where the hardware says nothing of use. It is a hash: serial numbers do not leave the machine. The
kernel lets only root read some of the sources; the package's tmpfiles.d entry opens them to the agent's group, and
`made_of` tells which were used. Processors are left out on purpose: their models do not identify a machine, and an
upgrade must not cost the licence.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from cluster.report import Fingerprint

DOMAIN = b"twinkey node fingerprint 1\0"

HARDWARE = {
    "product-uuid": "sys/class/dmi/id/product_uuid",
    "board-serial": "sys/class/dmi/id/board_serial",
    "device-tree-serial": "proc/device-tree/serial-number",
}
MACHINE_ID = "etc/machine-id"

# What makers leave in their firmware instead of an identity, in lower case.
JUNK = frozenset({
    "to be filled by o.e.m.",
    "to be filled by oem",
    "default string",
    "default",
    "not specified",
    "not applicable",
    "not available",
    "n/a",
    "na",
    "none",
    "null",
    "empty",
    "unknown",
    "invalid",
    "oem",
    "o.e.m.",
    "serial",
    "system serial number",
    "chassis serial number",
    "base board serial number",
    "123456789",
    "0123456789",
    "1234567890",
    "03000200-0400-0500-0006-000700080009",
    "12345678-1234-5678-90ab-cddeefaabbcc",
})  # fmt: skip


def read_fingerprint(node: str, root: Path = Path("/")) -> Fingerprint:
    """Return the fingerprint of the machine whose file system starts at `root`.

    `node` (the node's UUID) stands in where the machine has no identity at all, as in a bare container.
    """
    parts = {name: value for name, path in HARDWARE.items() if (value := _identity(root / path))}
    if not parts:
        machine = _identity(root / MACHINE_ID)
        parts = {"machine-id": machine} if machine else {"node-uuid": node}
    return Fingerprint(value=_digest(parts), made_of=tuple(parts))


def _identity(path: Path) -> str | None:
    """Return what the file says, in lower case, unless it says nothing of use."""
    try:
        text = path.read_bytes().decode("utf-8", errors="replace").strip("\0 \t\r\n").lower()
    except OSError:
        return None
    return None if is_junk(text) else text


def is_junk(text: str) -> bool:
    """Tell whether a maker's text (in lower case) does not identify a machine: a stock phrase, or one sign repeated."""
    signs = {sign for sign in text if sign.isalnum()}
    return text in JUNK or len(signs) <= 1


def _digest(parts: Mapping[str, str]) -> str:
    text = "".join(f"{name}={value}\n" for name, value in sorted(parts.items()))
    return hashlib.sha256(DOMAIN + text.encode()).hexdigest()
