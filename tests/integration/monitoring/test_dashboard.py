"""The dashboard as a file: Grafana can read it, and people can read what it draws."""

from __future__ import annotations

import itertools
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.integration.monitoring.dashboard_file import DASHBOARD, FILE, PANELS, QUESTIONS

HERE = Path(__file__).parent
TYPES = HERE.parents[2] / ".cache" / "grafana" / "node_modules"
"""Grafana's types and the compiler; `make dashboard-types` brings them."""
COLUMNS = 24
CHARTS = [panel for panel in PANELS if panel["type"] != "row"]
TITLES = [panel["title"] for panel in CHARTS]

COMPILER_OPTIONS = '{"noEmit": true, "strict": true, "module": "esnext", "moduleResolution": "bundler", "types": []}'


def compiled(folder: Path, dashboard: str) -> str:
    """Return what the TypeScript compiler has to say of a dashboard; nothing if it is right."""
    (folder / "node_modules").symlink_to(TYPES)
    shutil.copy(HERE / "types" / "checked.ts", folder)
    code = f"import type {{ Checked }} from './checked';\nexport const dashboard: Checked = {dashboard};\n"
    (folder / "dashboard.ts").write_text(code, encoding="utf-8")
    config = f'{{"compilerOptions": {COMPILER_OPTIONS}, "files": ["dashboard.ts"]}}'
    (folder / "tsconfig.json").write_text(config, encoding="utf-8")
    compiler = TYPES / "typescript" / "bin" / "tsc"
    assert compiler.exists(), "Grafana's types are missing: make dashboard-types"
    command = ["node", str(compiler), "-p", str(folder), "--pretty", "false"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=90)
    return done.stdout + done.stderr


def test_grafana_s_types_accept_it(tmp_path: Path) -> None:
    """The dashboard and the options of its panels are what Grafana's own types say."""
    assert compiled(tmp_path, FILE.read_text(encoding="utf-8")) == ""


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('"type": "stat"', '"type": "number"'),
        ('"colorMode": "background_solid"', '"colorMode": "loud"'),
        ('"drawStyle": "line"', '"drawStile": "line"'),
        ('"graphTooltip": 1', '"graphTooltip": 9'),
    ],
    ids=["kind", "value", "name", "number"],
)
def test_grafana_s_types_refuse_what_is_wrong(tmp_path: Path, right: str, wrong: str) -> None:
    """The check finds mistakes in every part of the file."""
    text = FILE.read_text(encoding="utf-8")
    assert right in text
    assert "error TS" in compiled(tmp_path, text.replace(right, wrong, 1))


def test_it_is_found_by_its_name() -> None:
    """Links and provisioning rely on its uid, and it fits any Grafana, as it asks for its data source."""
    assert DASHBOARD["uid"] == "twinkey"
    assert {panel["datasource"]["uid"] for panel in CHARTS} == {"${datasource}"}
    assert [variable["name"] for variable in DASHBOARD["templating"]["list"]] == ["datasource", "job", "site"]


def test_panels_lie_beside_each_other() -> None:
    """No panel covers another or reaches beyond the edge, and every line is full."""
    places = [panel["gridPos"] for panel in PANELS]
    assert all(place["x"] >= 0 and place["x"] + place["w"] <= COLUMNS for place in places)
    covered = [cell for place in places for cell in cells(place)]
    assert len(covered) == len(set(covered))
    assert len(covered) == COLUMNS * max(place["y"] + place["h"] for place in places)


def cells(place: dict[str, int]) -> list[tuple[int, int]]:
    """Return the cells of the grid that a panel covers."""
    columns, lines = range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
    return list(itertools.product(columns, lines))


def test_panels_are_told_apart() -> None:
    """Each has a title and an id of its own."""
    assert len(set(TITLES)) == len(TITLES)
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)


@pytest.mark.parametrize("panel", CHARTS, ids=TITLES)
def test_a_panel_says_what_it_shows(panel: dict[str, Any]) -> None:
    """It has a sentence about it, a unit, and a legend wherever it may draw several series."""
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    many = panel["type"] in {"timeseries", "state-timeline", "bargauge"}
    assert all(target.get("legendFormat") for target in panel["targets"]) or not many
    assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


def test_one_look_answers_the_four_questions() -> None:
    """Are we licensed, until when, why not, who leads: without scrolling, at the top."""
    top = [panel["title"] for panel in CHARTS if panel["gridPos"]["y"] < PANELS[0]["gridPos"]["y"] + 6]
    assert top[0] == "Are we licensed?"
    assert {"Until", "Why not, or what to look after", "Who leads?"} <= set(top)


@pytest.mark.parametrize("question", QUESTIONS, ids=[f"{each.panel}-{each.ref}" for each in QUESTIONS])
def test_a_panel_asks_of_the_chosen_site_only(question: Any) -> None:
    """Every metric in an expression is picked by the dashboard's variables."""
    selectors = question.expression.count("{")
    assert selectors > 0
    assert question.expression.count('{job=~"$job", site=~"$site"') == selectors
