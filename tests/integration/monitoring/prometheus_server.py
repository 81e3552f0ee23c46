"""A real Prometheus for tests, on a free loopback port, with what it scrapes and which rules it goes by."""

from __future__ import annotations

import http.client
import json
import subprocess
import urllib.parse
from pathlib import Path
from typing import Any

import yaml

from cluster.local_etcd import LOOPBACK, die_with_parent
from tests.etcd_server import free_ports
from tests.waiting import eventually_sync

START = 20.0


class PrometheusServer:
    """Scrapes and evaluates several times a second; `jobs` are scrape jobs as its configuration has them."""

    def __init__(self, folder: Path, jobs: list[dict[str, Any]], rules: Path) -> None:
        (self._port,) = free_ports(1)
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir()
        config = {
            "global": {"scrape_interval": "250ms", "scrape_timeout": "250ms", "evaluation_interval": "250ms"},
            "rule_files": [str(rules)],
            "scrape_configs": jobs,
        }
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")

    def start(self) -> None:
        """Start it; return when it answers."""
        command = [
            "prometheus",
            f"--config.file={self._folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self._folder / 'data'}",
            f"--web.listen-address={LOOPBACK}:{self._port}",
        ]
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call
            )
        eventually_sync(lambda: self._get("/-/ready")[0] == http.client.OK, START, "Prometheus is ready")

    def stop(self) -> None:
        """Kill it."""
        if self._process:
            self._process.kill()
            self._process.wait(timeout=10)

    def ask(self, expression: str) -> list[dict[str, Any]]:
        """Return the samples that an expression gives now; a failure says why it cannot be understood."""
        found = self._data("/api/v1/query?" + urllib.parse.urlencode({"query": expression}))["result"]
        return list(found)

    def rules(self) -> list[dict[str, Any]]:
        """Return every rule with its health."""
        return [rule for group in self._data("/api/v1/rules")["groups"] for rule in group["rules"]]

    def values_of(self, label: str) -> set[str]:
        """Return the values that a label has had."""
        status, body = self._get(f"/api/v1/label/{label}/values")
        assert status == http.client.OK, body
        return set(json.loads(body)["data"])

    def _data(self, path: str) -> dict[str, Any]:
        status, body = self._get(path)
        assert status == http.client.OK, body
        data: dict[str, Any] = json.loads(body)["data"]
        return data

    def _get(self, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(LOOPBACK, self._port, timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()
