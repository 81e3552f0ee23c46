"""The dashboard's file as tests look at it: its panels, and what they ask Prometheus."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

FILE = Path(__file__).parents[3] / "charts" / "twinkey" / "files" / "dashboard.json"
DASHBOARD: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]


class Question(NamedTuple):
    """One expression of a panel."""

    panel: str
    ref: str
    expression: str

    def of(self, job: str, site: str) -> str:
        """Return the expression with the dashboard's variables filled in, for figures that are scraped often."""
        filled = self.expression.replace("$job", job).replace("$site", site)
        return filled.replace("$__rate_interval", "5s")


QUESTIONS = [
    Question(panel["title"], target["refId"], target["expr"]) for panel in PANELS for target in panel.get("targets", ())
]
