"""How a client is let in by etcd: certificates and passwords, both read again when their files change.

Knows files and credentials, no calls.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cluster.etcd_rpc import ssl_channel_credentials

if TYPE_CHECKING:
    from pathlib import Path

_Stamp = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class Login:
    """An etcd user; the password is read anew for every authentication."""

    user: str
    password_file: Path

    def password(self) -> str:
        """Return the password.

        Raises:
            OSError
        """
        return self.password_file.read_text(encoding="utf-8").strip()


@dataclass(slots=True)
class Tls:
    """PEM files: the authority that signed the members' certificates and, for mutual TLS, our certificate and key."""

    ca: Path
    cert: Path | None = None
    key: Path | None = None
    _loaded: _Stamp = field(default=(), repr=False)

    def changed(self) -> bool:
        """Whether the files are other ones than those last loaded, and fit together.

        A certificate that was replaced before its key is waited for.
        """
        try:
            if self._stamp() == self._loaded:
                return False
            self._check()
        except OSError:  # ssl.SSLError is one too
            return False
        return True

    def load(self) -> Any:
        """Return gRPC credentials made of the files as they are now.

        Raises:
            OSError: a file cannot be read, or is no such PEM file, or key and certificate do not match.
        """
        self._check()
        self._loaded = self._stamp()
        return ssl_channel_credentials(
            self.ca.read_bytes(),
            self.key.read_bytes() if self.key else None,
            self.cert.read_bytes() if self.cert else None,
        )

    def _check(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.ca)
        if self.cert and self.key:
            context.load_cert_chain(self.cert, self.key)

    def _stamp(self) -> _Stamp:
        stats = [path.stat() for path in (self.ca, self.cert, self.key) if path]
        return tuple((stat.st_ino, stat.st_mtime_ns, stat.st_size) for stat in stats)
