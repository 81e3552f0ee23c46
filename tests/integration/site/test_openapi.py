"""The API's description held against a real site: what it allows and forbids is sent, and every answer must fit."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.local_etcd import LOOPBACK
from tests.site import LiveSite

SCHEMATHESIS = str(Path(sys.executable).with_name("schemathesis"))
STREAM = "/status/stream"
SETTINGS = """
[checks]
enabled = false
not_a_server_error = { enabled = true }
status_code_conformance = { enabled = true }
content_type_conformance = { enabled = true }
response_headers_conformance = { enabled = true }
response_schema_conformance = { enabled = true }
negative_data_rejection = { enabled = true }
ignored_auth = { enabled = true }

[[operations]]  # a node that follows says so with 503
include-path = "/leader"
checks = { not_a_server_error = { enabled = true, expected-statuses = [200, 405, 503] } }

[[operations]]  # a long poll that waits for long would be all that is tested
include-path = "/status"
parameters = { wait = 0.05 }

[[operations]]  # another node is refused before anything else is looked at
include-path = "/licenses/mn/{node}/actions"
parameters = { node = "NODE" }

[[operations]]  # a dry run tells of a refusal in a good answer
include-path = "/licenses/inspect"
checks = { negative_data_rejection = { enabled = false } }
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveSite]:
    """Run a site of two nodes that lets one caller ask for as many changes, and be wrong as often, as it can."""
    site = LiveSite(tmp_path_factory.mktemp("site"))
    for daemon in site.coordinators.values():
        for limit in ("CHANGES", "WRONG_TOKENS"):
            daemon.environment[f"TWINKEY_{limit}_PER_MINUTE"] = "100000"
    try:
        site.start()
        yield site
    finally:
        site.close()


@pytest.mark.timeout(300)
def test_every_answer_fits_the_description(site: LiveSite, tmp_path: Path) -> None:
    """Good and bad calls of every kind, the same ones every time, are answered as the document says."""
    ready(site, "described")
    held(site, "a", tmp_path, "--max-examples", "40")


def test_the_other_node_answers_so_under_the_prefix_of_the_platform(site: LiveSite, tmp_path: Path) -> None:
    """Both nodes and both prefixes are described by the same document."""
    ready(site, "again")
    url = f"http://{LOOPBACK}:{site.nodes['b'].port}/zstack/v1"
    only = ("--include-path-regex", "^/(status|licenses)")  # the probes are not under it
    held(site, "b", tmp_path, "--max-examples", "5", "--url", url, *only)


def ready(site: LiveSite, name: str) -> None:
    """Plug a key in, so that there is something to tell."""
    site.plug("a", site.new_key(name))
    site.wait_for_all(lambda status: status["keyState"] == "Ready")


def held(site: LiveSite, label: str, folder: Path, *more: str) -> None:
    """Make calls of a node by the document that it serves itself, and judge its answers by the document."""
    settings = folder / "schemathesis.toml"
    settings.write_text(SETTINGS.replace("NODE", site.nodes[label].uuid), encoding="utf-8")
    done = subprocess.run(
        [
            *(SCHEMATHESIS, "--no-color", "--config-file", settings, "run"),
            f"http://{LOOPBACK}:{site.nodes[label].port}/openapi.json",
            *("--header", f"Authorization: Bearer {site.site.token}"),
            *("--exclude-path", STREAM, "--phases", "coverage,fuzzing", "--generation-deterministic"),
            *("--request-timeout", "10", "--continue-on-failure", "--no-shrink", "--warnings", "off"),
            *more,
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_stream_begins_as_described(site: LiveSite) -> None:
    """The stream never ends, so only its beginning is held against the document."""
    document = json.loads(site.get("a", "/openapi.json").body)
    operation = document["paths"][STREAM]["get"]
    connection = http.client.HTTPConnection(LOOPBACK, site.nodes["a"].port, timeout=10)
    try:
        for token, status in ((site.site.token, "200"), ("unknown", "401")):
            connection.request("GET", f"/v1{STREAM}", headers={"Authorization": f"Bearer {token}"})
            answer = connection.getresponse()
            described = operation["responses"][str(answer.status)]
            if "$ref" in described:
                described = document["components"]["responses"][described["$ref"].rpartition("/")[2]]
            assert (str(answer.status), answer.headers.get_content_type()) == (status, *described["content"])
            connection.close()
    finally:
        connection.close()
