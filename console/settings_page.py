"""Writes the page of all settings from their declarations: `python -m console.settings_page > docs/settings.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from agent.settings import AgentSettings
from cluster.settings import Settings, describe
from coordinator.settings import CoordinatorSettings

DAEMONS: dict[str, type[Settings]] = {"agent": AgentSettings, "coordinator": CoordinatorSettings}


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
    for daemon, kind in DAEMONS.items():
        yield from ("", f"## `twinkey {daemon}`", "", "| setting | variable | kind | default | what it is |")
        yield "| --- | --- | --- | --- | --- |"
        for setting in describe(kind):
            name, variable, *rest = setting
            yield " | ".join((f"| `{name}`", f"`{variable}`", *rest)) + " |"


if __name__ == "__main__":
    sys.stdout.write(page())
