"""The demo's vendor desk: any name makes a genuine key, and it stays the same key."""

from __future__ import annotations

import datetime as dt
import functools

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from console.demo_keys import VendorDesk, keyring_of, pem_of
from console.demo_orders import Cannot, checked_name
from licensing.genuine import judge_key, nonce_of, proof_message
from licensing.keyring import parse_keyring
from licensing.licence import Edition, Quota
from licensing.seen import Reading
from usbwatch.bus import challenger

NOW = dt.datetime(2026, 5, 1, 12, 30, 15, 250, tzinfo=dt.UTC)
VENDOR = Ed25519PrivateKey.generate()
judge = functools.partial(judge_key, parse_keyring(keyring_of(VENDOR, NOW)))


@pytest.fixture
def desk() -> VendorDesk:
    """Return a desk whose clock stands still."""
    return VendorDesk(VENDOR, lambda: NOW)


@pytest.mark.parametrize("name", ["K1", "key 7", "ключ", "../../etc/passwd", "a/b", "%2e", "-x", ".", "k" * 256])
def test_any_name_makes_a_genuine_key(desk: VendorDesk, name: str) -> None:
    """The key proves itself with its device key, and its licence is what the demo promises."""
    key = desk.key(name)
    assert key.device_private_key is not None
    challenge = challenger("demo")()
    device = Ed25519PrivateKey.from_private_bytes(key.device_private_key)
    verdict = judge(name, key.licence_file, challenge, device.sign(proof_message(name, nonce_of(challenge))))
    assert (verdict.reading, verdict.reason) == (Reading.OK, "")
    assert verdict.signed is not None
    licence = verdict.signed.licence
    assert (licence.name, licence.edition, licence.quota) == (name, Edition.ADVANCED_PAID, Quota(hosts=10))
    assert licence.expires - licence.issued == dt.timedelta(days=365)


@pytest.mark.parametrize("name", ["", " ", " K1", "K1\n", "a\tb", "\x1b[31m", "k" * 257, "\udc80", "a\u202eb"])
def test_weird_names_are_refused(name: str) -> None:
    """What could confuse a terminal or a reader is no key's name."""
    with pytest.raises(Cannot, match="name"):
        checked_name(name)


def test_a_key_stays_the_same_key(desk: VendorDesk) -> None:
    """The second use of a name is the same key with the same licence, also after breaking and repairing it."""
    first = desk.key("K1")
    assert desk.set_broken("K1", broken=True).broken
    assert desk.set_broken("K1", broken=False) == first == desk.key("K1")
    assert desk.key("K2").device_private_key != first.device_private_key


def test_the_vendor_key_can_be_used_by_the_issuer() -> None:
    """The PEM text holds the very key that signs for the demo."""
    loaded = load_pem_private_key(pem_of(VENDOR), None)
    assert isinstance(loaded, Ed25519PrivateKey)
    assert loaded.private_bytes_raw() == VENDOR.private_bytes_raw()
