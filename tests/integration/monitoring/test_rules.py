"""The alert rules: each fires when it should, is quiet before and after, and leads to its runbook."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.integration.monitoring.rule_file import ALERTS, FILE, ROOT, RULES

CASES = sorted(Path(__file__).parent.glob("*_test.yaml"))
STORIES = [story for file in CASES for story in yaml.safe_load(file.read_text(encoding="utf-8"))["tests"]]
RUNBOOKS = ROOT / "docs" / "alerts.md"
RUNBOOK_URL = "https://github.com/twinkey/twinkey/blob/main/docs/alerts.md#"
"""Where the runbooks are; every rule's link begins like this."""

PROMISED = {
    "Expiring",
    "Expired",
    "ServiceExpiring",
    "QuotaNear",
    "QuotaExceeded",
    "KeyRemoved",
    "BufferEnding",
    "KeyAbnormal",
    "KeyFault",
    "CloneSuspected",
    "NodeReportStale",
    "NoLeader",
    "NoQuorum",
    "VipConflict",
    "ClockRollback",
    "NodesDisagree",
    "UploadRejected",
    "MetricsAbsent",
}
"""The names by which others route and silence alerts."""


def promtool(*arguments: str | Path) -> None:
    """Run promtool; what it finds is the failure."""
    command = ["promtool", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_are_well_formed() -> None:
    """Prometheus takes the file."""
    promtool("check", "rules", "--lint-fatal", FILE)


def test_every_rule_does_what_it_should() -> None:
    """The stories come true: quiet, firing with these words, quiet again; and no alert too many."""
    promtool("test", "rules", *CASES)


def test_a_rule_that_fires_too_soon_would_be_found(tmp_path: Path) -> None:
    """The stories look at the rules: where none waits before it fires, they do not come true."""
    rules = tmp_path / "rules.yaml"
    rules.write_text(re.sub(r"(\n +)for: \S+", "", FILE.read_text(encoding="utf-8")), encoding="utf-8")
    cases = yaml.safe_load(CASES[-1].read_text(encoding="utf-8"))
    (tmp_path / "cases.yaml").write_text(yaml.safe_dump(cases | {"rule_files": [str(rules)]}), encoding="utf-8")
    with pytest.raises(AssertionError, match="FAILED"):
        promtool("test", "rules", tmp_path / "cases.yaml")


def test_the_promised_alerts_are_there() -> None:
    """Whoever routes alerts by name finds them."""
    assert set(ALERTS) >= PROMISED
    assert len(ALERTS) == len([rule for rule in RULES if "alert" in rule])


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_has_a_story(name: str) -> None:
    """Before, firing, after: three looks at least, of which only those in the middle find something."""
    looks = [
        [bool(look.get("exp_alerts")) for look in story.get("alert_rule_test", ()) if look["alertname"] == name]
        for story in STORIES
    ]
    told = [each for each in looks if each]
    assert told
    assert all(each == [False, True, False] for each in told)


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_leads_to_its_runbook(name: str) -> None:
    """Whoever gets an alert is one click away from what to do."""
    assert ALERTS[name]["annotations"]["runbook_url"] == RUNBOOK_URL + name.lower()
    assert f"\n### {name}\n" in RUNBOOKS.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_says_how_grave_it_is_and_what_is_the_case(name: str) -> None:
    """The first line of a message has the site and what is wrong; the second what that means."""
    rule = ALERTS[name]
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert rule["annotations"]["summary"].startswith("{{ or $labels.site $labels.namespace $labels.job")
    assert rule["annotations"]["description"].endswith(".")


def test_every_runbook_is_of_an_alert() -> None:
    """A runbook of an alert that is gone is gone too."""
    assert re.findall(r"^### (.+)$", RUNBOOKS.read_text(encoding="utf-8"), re.MULTILINE) == list(ALERTS)
