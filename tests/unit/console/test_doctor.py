"""`twinkey doctor` and `twinkey udev-rules` on the machine where the tests run, whatever is plugged in here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from console.main import main
from usbwatch.udev_rules import render

STICK = (0x0781, 0x5567)
LEVELS = {"ok", "warning", "problem"}


def run(*words: str | Path) -> Result:
    """Run a verb."""
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Give an agent's settings that name a stick."""
    file = tmp_path / "agent.toml"
    file.write_text('site_id = "s"\nstick_ids = ["0781:5567"]\n')
    return file


def test_the_doctor_tells_every_finding_and_what_to_do(config: Path) -> None:
    """The exit code is 1 exactly when there is a problem; people read what programs read."""
    told = run("doctor", "--config", config, "--json")
    findings = json.loads(told.stdout)["findings"]
    assert {finding["level"] for finding in findings} <= LEVELS
    assert told.exit_code == any(finding["level"] == "problem" for finding in findings)
    shown = run("doctor", "--config", config)
    assert shown.exit_code == told.exit_code
    lines = shown.stdout.splitlines()
    for finding in findings:
        assert f"{finding['level']:<9}{finding['about']}: {finding['text']}" in lines
        assert not finding["advice"] or f"         {finding['advice']}" in lines


def test_the_doctor_looks_for_the_user_that_is_named(config: Path) -> None:
    """Anybody of this machine; somebody unknown is a mistake in the usage."""
    assert json.loads(run("doctor", "--config", config, "--user", "root", "--json").stdout)["user"] == "root"
    unknown = run("doctor", "--user", "no-such-user")
    assert (unknown.exit_code, "no-such-user" in unknown.stderr) == (2, True)


def test_the_rules_are_made_for_the_sticks_of_the_settings(config: Path) -> None:
    """Printed as they are to be installed, with nothing around them."""
    result = run("udev-rules", "--config", config)
    assert (result.exit_code, result.stdout) == (0, render([STICK]))


def test_without_settings_the_rules_are_for_keys_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The agent's own file is taken where it is."""
    default = tmp_path / "agent.toml"
    monkeypatch.setattr("console.agent_config.DEFAULT", default)
    assert run("udev-rules").stdout == render()
    default.write_text('site_id = "s"\nstick_ids = ["0781:5567"]\n')
    assert run("udev-rules").stdout == render([STICK])


@pytest.mark.parametrize("verb", ["doctor", "udev-rules"])
def test_settings_that_cannot_be_used_are_refused(verb: str, tmp_path: Path) -> None:
    """A file that is missing or wrong is named, and nothing is printed that could be installed."""
    (tmp_path / "wrong.toml").write_text('site_id = "s"\nstick_ids = ["sandisk"]\n')
    for file, said in (("none.toml", "none.toml"), ("wrong.toml", "sandisk")):
        result = run(verb, "--config", tmp_path / file)
        assert (result.exit_code, result.stdout) == (1, "")
        assert said in result.stderr
