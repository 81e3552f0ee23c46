"""A node that speaks HTTPS, seen by a client that trusts its authority."""

from __future__ import annotations

import hashlib
import http.client
import json
import ssl
from pathlib import Path
from signal import SIGHUP

from cluster.local_etcd import LOOPBACK
from tests.certificates import Authority
from tests.site import Answer, LiveSite
from tests.waiting import eventually_sync


class HttpsNode:
    """Node a of a site, with a certificate of `authority` in `tls`."""

    def __init__(self, site: LiveSite, folder: Path) -> None:
        self.site, self.folder, self.port = site, folder / "tls", site.nodes["a"].port
        self.folder.mkdir()
        self.authority = Authority()
        self.ca, self.cert, self.key = self.authority.write(self.folder, "http")
        self.tokens = folder / "tokens.json"
        self.coordinator = site.coordinators["a"]
        self.coordinator.environment = {"TWINKEY_TLS_CERT": str(self.cert), "TWINKEY_TLS_KEY": str(self.key)}

    def start(self) -> None:
        """Start everything and return when it answers."""
        self.site.launch()
        eventually_sync(lambda: self.ask("/v1/status").status == http.client.OK, 20)

    def reload(self, event: str) -> None:
        """Have the coordinator reread its files, and return when its log has one more line of this event."""
        line = f'event="{event}"'.encode()
        before = self.coordinator.log.count(line)
        self.coordinator.send(SIGHUP)
        eventually_sync(lambda: self.coordinator.log.count(line) > before)

    def connection(self) -> http.client.HTTPSConnection:
        """Return a connection of a client that trusts the authority alone."""
        context = ssl.create_default_context(cafile=self.ca)
        return http.client.HTTPSConnection(LOOPBACK, self.port, timeout=10, context=context)

    def ask(
        self,
        path: str,
        token: str | None = None,
        connection: http.client.HTTPSConnection | None = None,
        method: str = "GET",
        body: bytes | None = None,
    ) -> Answer:
        """Return the answer with this token, or the site's; over this connection, or one of its own."""
        asked = connection or self.connection()
        headers = {"Authorization": f"Bearer {self.site.site.token if token is None else token}"}
        asked.request(method, path, body, headers)
        response = asked.getresponse()
        answer = Answer(response.status, response.headers, response.read())
        if connection is None:
            asked.close()
        return answer

    def served(self) -> bytes:
        """Return the certificate that a new connection is shown."""
        connection = self.connection()
        connection.connect()
        assert isinstance(connection.sock, ssl.SSLSocket)
        shown = connection.sock.getpeercert(binary_form=True)
        connection.close()
        assert shown
        return shown

    def write_tokens(self, *texts: str) -> None:
        """Write the tokens file with these tokens, which may do everything."""
        known = [
            {"name": text, "sha256": hashlib.sha256(text.encode()).hexdigest(), "scopes": ["read", "usage", "admin"]}
            for text in texts
        ]
        self.tokens.write_text(json.dumps({"tokens": known}))
