"""What the compose files name is there and is described; nothing is started, and Grafana never is on our machines."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.containers.compose_site import FILE, ROOT, USB_FILE

PAGE = (ROOT / "docs" / "containers.md").read_text(encoding="utf-8")
TEXT = FILE.read_text(encoding="utf-8") + USB_FILE.read_text(encoding="utf-8")
VARIABLES = sorted(set(re.findall(r"\$\{([A-Z_]+)", TEXT)))
OFFICIAL = dict(re.findall(r"image: \$\{([A-Z]+_IMAGE):-([^}]+:[^}]+)\}", TEXT))
GRAFANA = ROOT / "packaging" / "monitoring" / "grafana"


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """Return the services as Compose understands them, of all profiles."""
    compose = Path(sys.executable).with_name("docker-compose")
    command = [str(compose), "--file", str(FILE), "--profile", "*", "config", "--format", "json"]
    done = subprocess.run(command, env={}, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)["services"]
    return found


@pytest.mark.parametrize("variable", VARIABLES)
def test_every_variable_is_described(variable: str) -> None:
    """The page's table of variables has a row for it."""
    assert re.search(rf"^\|[^|]*`{variable}`", PAGE, re.MULTILINE), f"docs/containers.md says nothing of {variable}"


@pytest.mark.parametrize("variable", sorted(OFFICIAL))
def test_an_official_image_is_pinned(variable: str) -> None:
    """The page tells the very image and version that is taken, and it is not the latest."""
    assert re.search(r":v?\d+\.\d+\.\d+$", OFFICIAL[variable]), OFFICIAL[variable]
    assert f"| `{variable}` | `{OFFICIAL[variable]}` |" in PAGE


def test_nothing_is_mounted_that_is_not_there(services: dict[str, Any]) -> None:
    """Each file or folder of the repository that a container gets exists: Docker would make an empty folder of it."""
    mounted = list(bind_mounts(services))
    assert ROOT / "charts/twinkey/files/rules.yaml" in mounted
    assert [path for path in mounted if not path.exists()] == []


def test_grafana_shows_the_dashboard(services: dict[str, Any]) -> None:
    """It is where the provider looks, and of all data sources it takes the default: our Prometheus, by a known name."""
    grafana = services["grafana"]
    places = {mount["target"]: Path(mount.get("source", "")) for mount in grafana["volumes"]}
    assert places["/etc/grafana/provisioning"] == GRAFANA
    (provider,) = yaml.safe_load((GRAFANA / "dashboards" / "twinkey.yaml").read_text("utf-8"))["providers"]
    (dashboard,) = (Path(place) for place in places if place.startswith(provider["options"]["path"]))
    assert grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] == str(dashboard)

    document = json.loads(places[str(dashboard)].read_text(encoding="utf-8"))
    assert set(used_sources(document)) == {"${datasource}"}
    (choice,) = (each for each in document["templating"]["list"] if each["name"] == "datasource")
    assert (choice["query"], choice["current"]["value"]) == ("prometheus", "default")

    (source,) = yaml.safe_load((GRAFANA / "datasources" / "prometheus.yaml").read_text("utf-8"))["datasources"]
    assert (source["type"], source["isDefault"]) == ("prometheus", True)
    address = services["prometheus"]["networks"]["site"]["ipv4_address"]
    assert f"prometheus={address}" in grafana["extra_hosts"]
    assert source["url"] == "http://prometheus:9090"


def bind_mounts(services: dict[str, Any]) -> Iterator[Path]:
    """Return what containers get of the repository."""
    for service in services.values():
        for mount in service.get("volumes", ()):
            if mount["type"] == "bind":
                yield Path(mount["source"])


def used_sources(part: object) -> Iterator[str]:
    """Return the uid of every data source that a part of a dashboard asks."""
    if isinstance(part, dict):
        if isinstance(part.get("datasource"), dict):
            yield part["datasource"]["uid"]
        for value in part.values():
            yield from used_sources(value)
    elif isinstance(part, list):
        for value in part:
            yield from used_sources(value)
