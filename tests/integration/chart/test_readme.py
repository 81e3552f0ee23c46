"""The chart's README: its commands make the very Secrets that the pods look for, of files that a founded site has."""

from __future__ import annotations

import json
import re
from pathlib import PurePosixPath

import yaml

from console.site_files import WHAT
from tests.integration.chart.helm import CHART, RELEASE, Manifest, render

README = (CHART / "README.md").read_text(encoding="utf-8")
CREATE = re.compile(r"create (?:secret generic|configmap) (\S+)((?:\s+\\?\s*--from-file=\S+)+)")
FROM_FILE = re.compile(r"--from-file=(?:([^=\s]+)=)?(\S+)")


def made_by_commands() -> dict[str, dict[str, str]]:
    """Return what the commands make: by its name the file that each of its keys holds, below /etc/twinkey."""
    return {
        name: {key or PurePosixPath(file).name: file for key, file in FROM_FILE.findall(files)}
        for name, files in CREATE.findall(README)
    }


def values() -> Manifest:
    """Return the values that the README shows for a site."""
    (text,) = re.findall(r"# site\.yaml\n((?:       .*\n)+)", README)
    found: Manifest = yaml.safe_load(text)
    return found


def keys_looked_for(pods: dict[str, Manifest]) -> dict[str, set[str]]:
    """Return the keys that pods look for in each Secret and ConfigMap."""
    looked_for: dict[str, set[str]] = {}
    for pod in pods.values():
        for volume in pod["volumes"]:
            for source in volume.get("projected", {}).get("sources", []):
                ((_, wanted),) = source.items()
                looked_for.setdefault(wanted["name"], set()).update(item["key"] for item in wanted["items"])
    return looked_for


def test_the_commands_take_files_that_a_founded_site_has() -> None:
    """Every file is one of those that `twinkey site init` and `join` write."""
    files = [file for keys in made_by_commands().values() for file in keys.values()]
    assert len(files) == 11
    assert [file for file in files if file not in WHAT] == []


def test_the_commands_make_what_the_pods_look_for() -> None:
    """With the values of the README each pod finds its Secrets with all of their keys."""
    made = {name: set(keys) for name, keys in made_by_commands().items()}
    made |= {name.removesuffix("-a") + "-b": keys for name, keys in made.items() if name.endswith("-a")}
    shown = [f"{name}={json.dumps(value)}" for name, value in values().items()]
    looked_for = keys_looked_for(render("minimal", *shown).pods())
    del looked_for[f"{RELEASE}-nodes"]  # the chart makes it itself
    assert looked_for == made
