#!/opt/twinkey/bin/python -IS
"""Whether the daemon of this container does its work: exit code 0, or a sentence that says what is missing.

The coordinator has an answer to serve; the agent's report is seen by the site. Both are asked of the node's
coordinator, without a token, where the agent's settings say that it answers. etcd may be out of reach: then the last
answer holds.
"""

from __future__ import annotations

import os
import ssl
import sys
import tomllib
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

SETTINGS = Path("/etc/twinkey/agent.toml")
WITHIN = 4.0


def setting(document: dict[str, Any], name: str, default: str = "") -> str:
    """Return one of the agent's settings: from the environment, else from its file."""
    return os.environ.get(f"TWINKEY_{name.upper()}") or document.get(name, default)


def what_is_missing() -> str:
    """Return a sentence, empty where the daemon does its work."""
    document = tomllib.loads(SETTINGS.read_text(encoding="utf-8")) if SETTINGS.exists() else {}
    url = setting(document, "coordinator", "http://127.0.0.1:8441").rstrip("/")
    is_agent = b"agent" in Path("/proc/1/cmdline").read_bytes().split(b"\0")
    try:
        trust = ssl.create_default_context(cafile=setting(document, "coordinator_ca") or None)
        with urllib.request.urlopen(  # noqa: S310 - the operator's own setting
            f"{url}/{'metrics' if is_agent else 'readyz'}", timeout=WITHIN, context=trust
        ) as answer:
            body = answer.read().decode()
    except urllib.error.HTTPError:
        return "the coordinator of this node has no answer yet"
    except OSError as error:
        return f"the coordinator of this node does not answer at {url}: {error}"
    if is_agent and f'twinkey_node_reachable{{node="{setting(document, "node")}"}} 1.0\n' not in body:
        return "the site does not see the report of this agent"
    return ""


if __name__ == "__main__":
    sys.exit(what_is_missing() or None)
