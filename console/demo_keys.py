"""The vendor's desk of the demo: makes the USB keys that people name, and the keyring that trusts them.

A key keeps its licence and its device key for the life of the demo, wherever it is plugged in. Knows no node and no
process; time comes from outside.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from console.demo_orders import checked_name
from licensing import keyring
from licensing.envelope import PRODUCT, seal
from licensing.licence import Edition, KeyBinding, Licence, Quota
from usbwatch.simulated import SimulatedKey

if TYPE_CHECKING:
    from collections.abc import Callable

HOSTS = 10
LICENCE_TERM = dt.timedelta(days=365)
VENDOR_KEY_LEAD = dt.timedelta(days=1)  # a small step of the clock does no harm


class VendorDesk:
    """Makes a key when its name is first used and remembers it. `now` returns the time in UTC."""

    def __init__(self, vendor: Ed25519PrivateKey, now: Callable[[], dt.datetime]) -> None:
        self._vendor = vendor
        self._now = now
        self._made: dict[str, SimulatedKey] = {}

    def key(self, name: str) -> SimulatedKey:
        """Return the key of this name.

        Raises:
            Cannot: no key can have this name.
        """
        if name not in self._made:
            self._made[name] = self._make(checked_name(name))
        return self._made[name]

    def set_broken(self, name: str, *, broken: bool) -> SimulatedKey:
        """Break or repair the key and return it as it is now."""
        self._made[name] = msgspec.structs.replace(self.key(name), broken=broken)
        return self._made[name]

    def _make(self, name: str) -> SimulatedKey:
        device = Ed25519PrivateKey.generate()
        licence = _licence(name, device.public_key().public_bytes_raw(), self._now().replace(microsecond=0))
        return SimulatedKey(
            key_id=name,
            licence_file=seal(licence, _kid(self._vendor), self._vendor),
            device_private_key=device.private_bytes_raw(),
        )


def pem_of(vendor: Ed25519PrivateKey) -> bytes:
    """Return the private key as PEM (PKCS 8), which `twinkey issuer` can sign with."""
    return vendor.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def keyring_of(vendor: Ed25519PrivateKey, now: dt.datetime) -> bytes:
    """Return the keyring file that trusts this vendor."""
    key = keyring.VendorKey(
        kid=_kid(vendor),
        public_key=vendor.public_key().public_bytes_raw(),
        valid_from=now.replace(microsecond=0) - VENDOR_KEY_LEAD,
    )
    return keyring.render_keyring(keyring.Keyring((key,)))


def _kid(vendor: Ed25519PrivateKey) -> str:
    return keyring.key_id(vendor.public_key().public_bytes_raw())


def _licence(name: str, device_public_key: bytes, issued: dt.datetime) -> Licence:
    return Licence(
        licence_id=name,
        lineage=name,
        sequence=1,
        product=PRODUCT,
        name=name,
        edition=Edition.ADVANCED_PAID,
        issued=issued,
        not_before=issued,
        expires=issued + LICENCE_TERM,
        quota=Quota(hosts=HOSTS),
        binding=KeyBinding(key_id=name, device_public_key=device_public_key),
        service_expires=issued + LICENCE_TERM,
    )
