"""The documentation says what the code does: every setting is described with its variable and its default."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.settings import AgentSettings
from cluster.settings import Described, Settings, describe
from coordinator.settings import CoordinatorSettings

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"
DAEMONS: dict[str, type[Settings]] = {"agent": AgentSettings, "coordinator": CoordinatorSettings}
SETTINGS = [(daemon, setting) for daemon, kind in DAEMONS.items() for setting in describe(kind)]


def rows(daemon: str) -> dict[str, str]:
    """Return the rows of a daemon's table by the name in their first cell."""
    page = PAGE.read_text(encoding="utf-8")
    (section,) = (part for part in page.split("\n## ") if part.startswith(f"`twinkey {daemon}`"))
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    return {line.split("`")[1]: line for line in lines}


@pytest.mark.parametrize(("daemon", "setting"), SETTINGS, ids=[f"{daemon}-{each.name}" for daemon, each in SETTINGS])
def test_every_setting_is_documented(daemon: str, setting: Described) -> None:
    """A row of the daemon's table has the setting's name, variable, kind, default and meaning."""
    row = rows(daemon)[setting.name]
    assert f"`{setting.variable}`" in row
    assert f"| {setting.kind} | {setting.default} |" in row
    assert setting.description in row


@pytest.mark.parametrize("daemon", DAEMONS)
def test_nothing_is_documented_that_does_not_exist(daemon: str) -> None:
    """A setting that is gone is gone from the page too."""
    assert list(rows(daemon)) == [setting.name for of, setting in SETTINGS if of == daemon]


@pytest.mark.parametrize(("daemon", "setting"), SETTINGS, ids=[f"{daemon}-{each.name}" for daemon, each in SETTINGS])
def test_every_setting_is_described_where_it_is_declared(daemon: str, setting: Described) -> None:
    """The page is made from the declarations, so every declaration has a sentence."""
    assert setting.description.endswith("."), daemon
