"""Both helms accept the chart and make the same of it, and Kubernetes knows everything that comes out."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from tests.integration.chart.helm import CHART, ROOT, SETS, VERSIONS, lint, render, rendered_text

KUBERNETES = "1.32"
OPERATORS_OWN = {"PrometheusRule", "ServiceMonitor"}
"""Kinds of the Prometheus operator, of which Kubernetes itself knows nothing."""


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("values", SETS)
def test_helm_finds_nothing_wrong(values: str, version: str) -> None:
    """Strict linting, where a warning is an error too, passes."""
    assert "1 chart(s) linted, 0 chart(s) failed" in lint(version, values)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("values", SETS)
def test_kubernetes_knows_every_field(values: str, version: str) -> None:
    """Every object fits the schema of its kind, which allows no unknown field."""
    program = Path(sys.executable).with_name("kubernetes-validate")
    done = subprocess.run(
        [program, "--kubernetes-version", KUBERNETES, "--strict", "--no-warn", "-"],
        input=rendered_text(version, values),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    checked = [each for each in render(values).objects if each["kind"] not in OPERATORS_OWN]
    assert said.count("INFO") == len(checked), said


@pytest.mark.parametrize("values", SETS)
def test_both_helms_make_the_same(values: str) -> None:
    """The objects are the same in every field."""
    three, four = (sorted(render(values, version=version).objects, key=str) for version in VERSIONS)
    assert three == four


@pytest.mark.parametrize("values", SETS)
def test_names_are_the_releases_own(values: str) -> None:
    """No two objects of a kind have the same name, and each bears the labels by which the release is found."""
    objects = render(values).objects
    names = [(each["kind"], each["metadata"]["name"]) for each in objects]
    assert len(set(names)) == len(names)
    labels = {"app.kubernetes.io/name": "twinkey", "app.kubernetes.io/instance": "twinkey"}
    assert all(labels.items() <= each["metadata"]["labels"].items() for each in objects)


def test_the_chart_brings_this_version() -> None:
    """The image that runs when none is named is that of the version with which the chart came."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert (chart["appVersion"], chart["version"]) == (project["version"], project["version"])
