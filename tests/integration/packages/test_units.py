"""The units of the package: closed up as far as their page says, and all of it named there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.integration.packages.machines import run
from usbwatch.udev_rules import GROUP

ROOT = Path(__file__).parents[3]
SYSTEMD = ROOT / "packaging" / "systemd"
PAGE = (ROOT / "docs" / "packages.md").read_text(encoding="utf-8")
MOST = {"twinkey-agent": 3.0, "twinkey-coordinator": 2.0}
"""How exposed, in the words of systemd, each daemon may be: 10 is a service that is not closed up at all."""


@pytest.mark.parametrize("unit", MOST)
def test_it_is_closed_up(unit: str) -> None:
    """Systemd itself finds a daemon no more exposed than it needs to be, and as much as the page says."""
    said = run("systemd-analyze", "security", "--offline=true", "--no-pager", str(SYSTEMD / f"{unit}.service"))
    found = re.search(rf"Overall exposure level for {unit}.service: ([0-9.]+)", said)
    assert found, said[-500:]
    assert float(found[1]) <= MOST[unit]
    assert f"| `{unit}` | {found[1]} |" in PAGE


@pytest.mark.parametrize("unit", MOST)
def test_it_never_gives_up(unit: str) -> None:
    """However a daemon ends and however often, it is started again, and it waits for nothing that may not come."""
    lines = (SYSTEMD / f"{unit}.service").read_text(encoding="utf-8").splitlines()
    assert {"Restart=always", "StartLimitIntervalSec=0"} <= set(lines)
    assert not [line for line in lines if line.startswith(("RestartPrevent", "Requires=", "BindsTo=", "Requisite="))]


def test_the_users_are_those_that_the_units_name() -> None:
    """Every user and group of a unit is made by the package, and keys are opened by the group of the udev rules."""
    made = set(re.findall(r"^[gu] +(\S+)", (SYSTEMD / "sysusers.conf").read_text(encoding="utf-8"), re.MULTILINE))
    units = "".join(path.read_text(encoding="utf-8") for path in SYSTEMD.glob("*.service"))
    named = set(re.findall(r"^(?:User|Group|SupplementaryGroups)=(\S+)$", units, re.MULTILINE))
    assert named == made
    agent = (SYSTEMD / "twinkey-agent.service").read_text(encoding="utf-8")
    assert f"SupplementaryGroups={GROUP}\n" in agent


@pytest.mark.parametrize("file", sorted(path.name for path in SYSTEMD.iterdir()))
def test_its_page_names_it(file: str) -> None:
    """The page of the package says of each of these files what it is for."""
    assert f"packaging/systemd/{file}" in PAGE
