"""Where a demo is, as agreed between the demo and the commands that look for it; cheap to import."""

from __future__ import annotations

from pathlib import Path

LOOPBACK = "127.0.0.1"
FOLDER = Path(".demo")
PORTS = {"a": 8441, "b": 8442}
"""The HTTP port of every node by its label."""
TOKEN_FILE = "token"  # noqa: S105 - its name
CONTROL_SOCKET = "control.sock"


def url_of(port: int) -> str:
    """Return where a node of the demo answers."""
    return f"http://{LOOPBACK}:{port}"
