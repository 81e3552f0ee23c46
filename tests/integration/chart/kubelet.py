"""What a kubelet makes of a container: its environment, its arguments, and the files of its projected volumes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from tests.integration.chart.helm import Manifest, Rendered

REFERENCE = re.compile(r"\$\(([A-Za-z_][A-Za-z0-9_]*)\)")


class Started(NamedTuple):
    """A container as its process finds it; a file whose content is not the chart's is `<secret>/<key>`."""

    environment: dict[str, str]
    arguments: list[str]
    files: dict[str, str]


def start(rendered: Rendered, pod: Manifest, fields: Mapping[str, str]) -> Started:
    """Start the only container of a pod; `fields` are what the downward API says, by field path."""
    (container,) = pod["containers"]
    environment = _environment(container["env"], fields)
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    files = {
        str(PurePosixPath(mount["mountPath"], path)): content
        for mount in container["volumeMounts"]
        for path, content in _files(rendered, volumes[mount["name"]]).items()
    }
    return Started(environment, [_expand(each, environment) for each in container["args"]], files)


def _environment(declared: list[dict[str, Any]], fields: Mapping[str, str]) -> dict[str, str]:
    environment: dict[str, str] = {}
    for variable in declared:
        source = variable.get("valueFrom")
        value = fields[source["fieldRef"]["fieldPath"]] if source else variable["value"]
        environment[variable["name"]] = _expand(value, environment)
    return environment


def _expand(text: str, known: Mapping[str, str]) -> str:
    """Put in what is known already; a reference to anything else stays as it is."""
    return REFERENCE.sub(lambda found: known.get(found[1], found[0]), text)


def _files(rendered: Rendered, volume: Manifest) -> dict[str, str]:
    sources = volume.get("projected", {}).get("sources", [])
    return {
        item["path"]: _content(rendered, kind, source["name"], item["key"])
        for each in sources
        for kind, source in each.items()
        for item in source["items"]
    }


def _content(rendered: Rendered, kind: str, name: str, key: str) -> str:
    """Return what the chart put there; an object that it did not make is taken to have the key."""
    made = rendered.of({"configMap": "ConfigMap", "secret": "Secret"}[kind]).get(name)
    if made is None:
        return f"{name}/{key}"
    return str((made.get("data") or made["stringData"])[key])
