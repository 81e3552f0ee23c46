"""A coordinator that speaks HTTPS: what is answered, and what a reload changes without a connection lost."""

from __future__ import annotations

import http.client
import json
import shutil
from pathlib import Path
from signal import SIGTERM

import pytest

from cluster.local_etcd import LOOPBACK
from tests.certificates import Authority
from tests.integration.service.https_node import HttpsNode
from tests.site import LiveSite
from tests.waiting import eventually_sync


@pytest.fixture
def node(site: LiveSite, tmp_path: Path) -> HttpsNode:
    """Run a site of one node of HTTPS."""
    running = HttpsNode(site, tmp_path)
    running.start()
    return running


def test_https_is_answered_and_plain_http_is_not(node: HttpsNode) -> None:
    """The page, the document, the figures and the calls come over TLS alone; a session's cookie stays there."""
    for path, part in (("/", b"<html"), ("/openapi.json", b"openapi"), ("/v1/status", b"keyState"), ("/livez", b"")):
        answer = node.ask(path)
        assert (answer.status, part in answer.body) == (200, True), path
    assert b'twinkey_certificate_expiration_timestamp_seconds{certificate="http"}' in node.ask("/metrics").body
    body = json.dumps({"token": node.site.site.token}).encode()
    assert node.ask("/v1/session", method="POST", body=body).headers["Set-Cookie"].endswith("; Secure")
    assert node.ask("/v1/session", method="DELETE").headers["Set-Cookie"].endswith("; Secure")
    plain = http.client.HTTPConnection(LOOPBACK, node.port, timeout=10)
    plain.request("GET", "/livez")
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        plain.getresponse()
    plain.close()
    assert b"API speaks plain HTTP" not in node.coordinator.log


def test_a_reload_serves_the_new_certificate_and_loses_no_connection(node: HttpsNode) -> None:
    """Who is connected, also to the stream, goes on; who comes is shown the new one."""
    before, kept, stream = node.served(), node.connection(), node.connection()
    assert node.ask("/v1/status", connection=kept).status == 200
    own = kept.sock
    stream.request("GET", "/v1/status/stream", headers={"Authorization": f"Bearer {node.site.site.token}"})
    told = stream.getresponse()
    assert told.readline().startswith(b": ")
    node.authority.write(node.folder, "http")
    node.reload("certificate was read again")
    assert node.served() != before
    assert node.ask("/v1/status", connection=kept).status == 200
    assert kept.sock is own
    lines = iter(told.readline, b"")
    next(line for line in lines if line.startswith(b"data: "))
    assert next(line for line in lines if line.startswith(b": "))
    for each in (kept, stream):
        each.close()


def test_a_bad_certificate_leaves_the_old_one(node: HttpsNode, tmp_path: Path) -> None:
    """Whoever comes is served as before, and the log says what to do; the right one counts after the next reload."""
    before = node.served()
    (tmp_path / "other").mkdir()
    shutil.copy(Authority().write(tmp_path / "other", "http")[2], node.key)
    node.reload("certificate is not replaced")
    assert b"put it right and reload again" in node.coordinator.log
    assert node.served() == before
    node.authority.write(node.folder, "http")
    node.reload("certificate was read again")
    assert node.served() != before


def test_tokens_are_changed_without_a_restart(node: HttpsNode) -> None:
    """A new one counts and one that was taken out does not; its stream ends at once, and bad tokens change nothing."""
    old, new, pid = node.site.site.token, "a new token", node.coordinator.pid
    stream = node.connection()
    stream.request("GET", "/v1/status/stream", headers={"Authorization": f"Bearer {old}"})
    told = stream.getresponse()
    told.readline()
    node.write_tokens(new)
    node.reload("tokens were read again")
    assert told.read() is not None  # it has an end
    assert [node.ask("/v1/status", token).status for token in (old, new)] == [401, 200]
    node.tokens.write_text("{}")
    node.reload("tokens are not replaced")
    assert node.ask("/v1/status", new).status == 200
    assert (node.coordinator.running, node.coordinator.pid) == (True, pid)
    stream.close()


def test_an_agent_asks_its_coordinator_over_https(node: HttpsNode, tmp_path: Path) -> None:
    """With another authority it does not answer, which the log explains; once the file is right it does."""
    ca = tmp_path / "ca.pem"
    Authority().write(tmp_path, "other")
    agent = node.site.agents["a"]
    agent.end(SIGTERM)
    agent.environment = {
        "TWINKEY_TRACK_FILE": str(tmp_path / "track"),
        "TWINKEY_COORDINATOR": f"https://{LOOPBACK}:{node.port}",
        "TWINKEY_COORDINATOR_CA": str(ca),
    }
    agent.start()
    eventually_sync(lambda: b"set coordinator_ca to" in agent.log, 15)
    shutil.copy(node.ca, ca)
    eventually_sync(lambda: b'event="coordinator answers again"' in agent.log, 15)


@pytest.mark.parametrize("spoilt", ["cert", "key"])
def test_a_coordinator_without_its_certificate_does_not_start(site: LiveSite, tmp_path: Path, spoilt: str) -> None:
    """It does not fall back to plain HTTP; its last line says which file."""
    node = HttpsNode(site, tmp_path)
    path: Path = getattr(node, spoilt)
    path.unlink()
    node.coordinator.start()
    eventually_sync(lambda: not node.coordinator.running, 20)
    assert node.coordinator.exit_code == 1
    assert f"{path}: cannot be read: No such file or directory".encode() in node.coordinator.log
