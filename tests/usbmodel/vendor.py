"""A vendor with throw-away keys: the licences of USB keys for tests, and the judge that trusts them."""

from __future__ import annotations

import datetime as dt
import functools
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from licensing import keyring
from licensing.envelope import seal
from licensing.genuine import judge_key
from licensing.licence import KeyBinding
from tests.licences import good_licence
from usbwatch.bus import Judge

ISSUED = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Vendor:
    """Signs licences. `private` is the vendor's key, `device` the one inside every genuine USB key of the tests."""

    private: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    device: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    @property
    def keyring(self) -> keyring.Keyring:
        """The keyring that trusts this vendor."""
        public = self.private.public_key().public_bytes_raw()
        return keyring.Keyring((keyring.VendorKey(keyring.key_id(public), public, ISSUED),))

    @property
    def judge(self) -> Judge:
        """The real judge with that keyring."""
        return functools.partial(judge_key, self.keyring)

    @property
    def device_key(self) -> bytes:
        """The private key (32 bytes) by which a USB key proves itself."""
        return self.device.private_bytes_raw()

    def licence_file(self, key_id: str, *, proving: bool = True, name: str = "test") -> bytes:
        """Return a licence bound to that USB key, which must prove itself or need not."""
        public = self.device.public_key().public_bytes_raw() if proving else None
        licence = good_licence(name, KeyBinding(key_id, public), ISSUED, dt.timedelta(days=3650))
        return seal(licence, self.keyring.keys[0].kid, self.private)
