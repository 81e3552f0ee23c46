#!/opt/twinkey/bin/python -IS
"""Whether the daemon of this container does its work: exit code 0, or a sentence that says what is missing.

The coordinator has an answer to serve; the agent's report is seen by the site. Both are asked on the coordinator's
socket, which the two containers of a node share. etcd may be out of reach: then the last answer holds.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from http import HTTPStatus
from pathlib import Path

SOCKET = "/run/twinkey/coordinator.sock"
WITHIN = 4.0


def ask(path: str) -> tuple[int, bytes]:
    """Return code and body of the coordinator's answer; OSError where it does not answer."""
    with socket.socket(socket.AF_UNIX) as coordinator:
        coordinator.settimeout(WITHIN)
        coordinator.connect(SOCKET)
        coordinator.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        with coordinator.makefile("rb") as answer:
            head, _, body = answer.read().partition(b"\r\n\r\n")
    return int(head.split()[1]), body


def what_is_missing() -> str:
    """Return a sentence, empty where the daemon does its work."""
    is_agent = b"agent" in Path("/proc/1/cmdline").read_bytes().split(b"\0")
    try:
        code, body = ask("/v1/status" if is_agent else "/readyz")
    except OSError as error:
        return f"the coordinator of this node does not answer: {error}"
    if code != HTTPStatus.OK:
        return "the coordinator of this node has no answer yet"
    if is_agent:
        reachable = {node["managementNodeUuid"]: node["reachable"] for node in json.loads(body)["nodes"]}
        return "" if reachable.get(os.environ["TWINKEY_NODE"]) else "the site does not see the report of this agent"
    return ""


if __name__ == "__main__":
    sys.exit(what_is_missing() or None)
