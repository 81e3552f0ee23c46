"""Helm as an operator calls it, and what it makes of the chart. Knows nothing of what that should be."""

from __future__ import annotations

import functools
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).parents[3]
CHART = ROOT / "charts" / "twinkey"
VALUES = Path(__file__).parent / "values"
SETS = ("minimal", "production", "single-node")
"""The value sets: the least, all that two nodes can have, and one node."""
VERSIONS = ("3", "4")
RELEASE, NAMESPACE = "twinkey", "licensing"

Manifest = dict[str, Any]


class HelmError(AssertionError):
    """Helm refused; the text is what it said."""


def helm(version: str, *arguments: str | Path) -> str:
    """Run helm and return what it printed.

    Raises:
        HelmError: its exit code is not 0.
    """
    program = ROOT / ".cache" / "helm" / version / "helm"
    if not program.exists():
        raise HelmError(f"{program} is missing: make .cache/helm")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False, timeout=60)
    if done.returncode:
        raise HelmError(done.stdout + done.stderr)
    return done.stdout


def lint(version: str, values: str) -> str:
    """Check the chart with a value set, warnings included."""
    return helm(version, "lint", "--strict", CHART, "--values", VALUES / f"{values}.yaml")


@functools.cache
def rendered_text(version: str, values: str, *changes: str) -> str:
    """Return the manifests as text; `changes` are more values, each as `--set-json` takes it."""
    more = [argument for change in changes for argument in ("--set-json", change)]
    file = VALUES / f"{values}.yaml"
    return helm(version, "template", RELEASE, CHART, "--namespace", NAMESPACE, "--values", file, *more)


class Rendered(NamedTuple):
    """The objects of one rendering."""

    objects: tuple[Manifest, ...]

    def of(self, kind: str) -> dict[str, Manifest]:
        """Return the objects of a kind by name."""
        return {each["metadata"]["name"]: each for each in self.objects if each["kind"] == kind}

    def one(self, kind: str, name: str) -> Manifest:
        """Return one object."""
        return self.of(kind)[name]

    def pods(self) -> dict[str, Manifest]:
        """Return the spec of every pod, by the name of what makes it."""
        made = [*self.of("Deployment").values(), *self.of("DaemonSet").values()]
        specs = {each["metadata"]["name"]: each["spec"]["template"]["spec"] for each in made}
        return specs | {name: pod["spec"] for name, pod in self.of("Pod").items()}


def render(values: str, *changes: str, version: str = "3") -> Rendered:
    """Return what helm makes of the chart with a value set."""
    documents = yaml.safe_load_all(rendered_text(version, values, *changes))
    return Rendered(tuple(document for document in documents if document))
