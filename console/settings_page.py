"""Writes the page of all settings from their declarations: `python -m console.settings_page > docs/settings.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from agent.settings import AgentSettings
from cluster.settings import Settings, describe
from coordinator.settings import CoordinatorSettings

DAEMONS: dict[str, type[Settings]] = {"agent": AgentSettings, "coordinator": CoordinatorSettings}


AGENT = """
site_id = "acme"
node = "5a5b9f0e-8f0e-4c56-9f3c-0d6a3b3f3a01"
virtual_ip = "192.0.2.10"
[etcd]
endpoints = ["192.0.2.1:2379", "192.0.2.2:2379", "192.0.2.3:2379"]
"""
COORDINATOR = """
site_id = "acme"
node = "5a5b9f0e-8f0e-4c56-9f3c-0d6a3b3f3a01"
members = ["5a5b9f0e-8f0e-4c56-9f3c-0d6a3b3f3a01", "5a5b9f0e-8f0e-4c56-9f3c-0d6a3b3f3a02"]
state_dir = "/var/lib/twinkey"
keyring = "/etc/twinkey/keyring.json"
tokens = "/etc/twinkey/tokens.json"
listen = "192.0.2.1:8441"
[etcd]
endpoints = ["192.0.2.1:2379", "192.0.2.2:2379", "192.0.2.3:2379"]
"""
TOKENS = """
{"tokens": [{"name": "platform", "scopes": ["read", "usage"], "sha256": "<printf %s TOKEN | sha256sum>"}]}
"""


def _indented(title: str, text: str) -> Iterator[str]:
    yield f"    # {title}"
    yield from (f"    {line}" for line in text.strip().splitlines())


def page() -> str:
    """Return the page as Markdown."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# Settings"
    yield ""
    yield "Made by `make docs` from the declarations in `agent/settings.py` and `coordinator/settings.py`."
    yield ""
    yield "Each daemon reads one TOML file (`--config`), once, when it starts. A variable of the environment wins over"
    yield "the file. A name with a dot is in a table: `etcd.ca` is `ca` below `[etcd]`. Lists in variables are comma"
    yield "separated."
    yield from ("", "A site of two nodes, on its node a:", "", *_indented("/etc/twinkey/agent.toml", AGENT))
    yield from ("", *_indented("/etc/twinkey/coordinator.toml", COORDINATOR))
    yield from ("", "Tokens are kept as hashes; a token is any text that nobody can guess. `scopes` are among `read`,")
    yield from ("`usage` and `admin`. With two tokens in the file, callers can change from one to the other:", "")
    yield from _indented("/etc/twinkey/tokens.json", TOKENS)
    for daemon, kind in DAEMONS.items():
        yield from ("", f"## `twinkey {daemon}`", "", "| setting | variable | kind | default | what it is |")
        yield "| --- | --- | --- | --- | --- |"
        for setting in describe(kind):
            name, variable, *rest = setting
            yield " | ".join((f"| `{name}`", f"`{variable}`", *rest)) + " |"


if __name__ == "__main__":
    sys.stdout.write(page())
