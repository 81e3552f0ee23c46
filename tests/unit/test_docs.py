"""The documentation is as it should be: every setting is described, nothing is left to be filled in, links lead on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agent.settings import AgentSettings
from cluster.settings import Described, Settings, describe
from coordinator.settings import CoordinatorSettings

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "settings.md"
PAGES = sorted(page for place in ("*.md", "docs/**/*.md", "charts/**/*.md") for page in ROOT.glob(place))
PAGE_IDS = [str(page.relative_to(ROOT)) for page in PAGES]
PLACEHOLDER = re.compile(r"\b(?:MEASURED|TODO|TBD|XXX|FIXME)\b")
LINK = re.compile(r"\]\(([^)\s]+)\)")
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


def test_the_pages_are_found() -> None:
    """The pages that everybody reads first are among those that are looked at."""
    assert {"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/settings.md"} <= set(PAGE_IDS)


@pytest.mark.parametrize("page", PAGES, ids=PAGE_IDS)
def test_nothing_is_left_to_be_filled_in(page: Path) -> None:
    """No page has a word that stands for what its author wanted to write later."""
    assert PLACEHOLDER.findall(page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("page", PAGES, ids=PAGE_IDS)
def test_links_lead_to_files_and_headings_that_exist(page: Path) -> None:
    """Whoever follows a link within the project arrives."""
    links = [link for link in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in link]
    assert [link for link in links if not leads_on(page, link)] == []


def leads_on(page: Path, link: str) -> bool:
    """Return whether the file is there, and in a page the heading that is named behind a `#`."""
    file, _, heading = link.partition("#")
    target = page.parent / file if file else page
    return target.exists() and (not heading or heading in anchors(target))


def anchors(page: Path) -> set[str]:
    """Return the names by which a page's headings can be linked to: in lower case, with hyphens for spaces."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
