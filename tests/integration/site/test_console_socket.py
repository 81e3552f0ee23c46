"""The console's socket, and for which node a first licence is installed."""

from __future__ import annotations

import http.client
import json
import socket
from pathlib import Path
from signal import SIGKILL

from tests.integration.site.vendor import Vendor, refused
from tests.site import KEYS, LiveSite


class OnSocket(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("console", timeout=15)
        self._path = path

    def connect(self) -> None:
        """Connect to the path."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self._path))


def test_a_first_licence_belongs_to_the_holder_of_the_virtual_ip(site: LiveSite) -> None:
    """With no holder or two of them it is refused; with one it is installed for it, at whichever node it came in."""
    vendor = Vendor(site)
    file = vendor.file()
    site.nodes["a"].vip.unlink()
    site.wait_for_all(lambda status: not any(node["vip"] for node in status["nodes"]))
    assert refused(site.call("b", "POST", "/v1/licenses", file)) == (409, "no-vip-holder")
    for node in site.nodes.values():
        node.vip.touch()
    site.wait_for_all(lambda status: all(node["vip"] for node in status["nodes"]))
    assert refused(site.call("b", "POST", "/v1/licenses", file)) == (409, "two-vip-holders")
    site.nodes["b"].vip.unlink()
    site.wait_for_all(lambda status: [node["vip"] for node in status["nodes"]] == [True, False])
    assert vendor.install(file, "b")["node"] == site.nodes["a"].uuid


def test_the_console_needs_neither_a_token_nor_the_virtual_ip(site: LiveSite) -> None:
    """The socket is for its owner alone, and what is done there is recorded as done on the console."""
    path = site.nodes["b"].folder / "coordinator.sock"
    assert path.stat().st_mode & 0o777 == 0o600
    for licence in json.loads(site.read(KEYS.ledger).value)["data"].get("installed", []):
        uuid = licence["licence"]["licenceId"]
        assert site.call("a", "DELETE", f"/v1/licenses/mn/{site.nodes['a'].uuid}/actions?uuid={uuid}").status == 200
    site.nodes["a"].vip.unlink()
    site.wait_for_all(lambda status: not any(node["vip"] for node in status["nodes"]))
    connection = OnSocket(path)
    connection.request("POST", "/v1/licenses", Vendor(site).file())
    response = connection.getresponse()
    body = json.loads(response.read())
    connection.close()
    assert (response.status, body.get("node")) == (200, site.nodes["b"].uuid), body
    records = json.loads(site.get("a", "/v1/licenses/records?sortDirection=desc&limit=2").body)["inventories"]
    assert "console" in {record["who"] for record in records}
    site.nodes["a"].vip.touch()


def test_a_socket_that_a_killed_coordinator_left_is_taken_over(site: LiveSite) -> None:
    """A coordinator that was killed can be started again."""
    site.coordinators["b"].end(SIGKILL)
    path = site.nodes["b"].folder / "coordinator.sock"
    assert path.exists()
    site.start()
    connection = OnSocket(path)
    connection.request("GET", "/v1/status")
    assert connection.getresponse().status == 200
    connection.close()
