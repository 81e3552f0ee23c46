"""Whether an inserted USB key is what it says it is, from what was read of it.

A key holds a licence file. Where that licence names a device public key, the USB key must also sign a fresh nonce
with the private half, which a copy of the file does not have. A key without a device key can be copied; nothing
here can tell. This file must not know how a key is read, nor about the other keys.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from licensing.envelope import LicenceRefused, open_licence
from licensing.keyring import Keyring
from licensing.model import KeyBinding, Reading, SignedLicence, Value

NONCE_BYTES = 32

_PROOF_DOMAIN = b"twinkey usb key proof 1"
_ERASED = b"\x00\xff"  # what memory reads as before anything was written to it


class Judgement(Value, frozen=True, omit_defaults=True):
    """What is thought of a USB key: OK with `signed`, anything else with a `reason` for operators."""

    reading: Reading
    reason: str = ""
    signed: SignedLicence | None = None


def proof_message(key_id: str, nonce: bytes) -> bytes:
    """Return the message that a USB key signs (Ed25519) to prove itself.

    Raises:
        ValueError: the nonce does not have 32 bytes.
    """
    if len(nonce) != NONCE_BYTES:
        raise ValueError(f"the nonce of a proof has {NONCE_BYTES} bytes, not {len(nonce)}")
    parts = (_PROOF_DOMAIN, key_id.encode(), nonce)
    return b"".join(len(part).to_bytes(8, "big") + part for part in parts)


def judge_key(
    keyring: Keyring, key_id: str, blob: bytes, nonce: bytes | None = None, proof: bytes | None = None
) -> Judgement:
    """Judge a USB key by its licence file and, where it has a device key, by its proof for our nonce."""
    if not blob.strip(_ERASED):
        return _faulty("it is blank. Ask the vendor for a licence for this key.")
    try:
        signed = open_licence(blob, keyring)
    except LicenceRefused as refused:
        return _faulty(f"{refused.text} {refused.hint}")
    strange = _not_genuine_because(key_id, signed, nonce, proof)
    if strange is not None:
        return Judgement(Reading.NOT_GENUINE, strange)
    return Judgement(Reading.OK, signed=signed)


def _faulty(why: str) -> Judgement:
    return Judgement(Reading.FAULTY, f"The USB key holds no valid licence: {why}")


def _not_genuine_because(key_id: str, signed: SignedLicence, nonce: bytes | None, proof: bytes | None) -> str | None:
    """Return why a well-signed licence does not make this key genuine, or None when it does."""
    binding = signed.licence.binding
    if not isinstance(binding, KeyBinding):
        return "The USB key holds a licence that is bound to a site. Ask the vendor for this key's own licence."
    if binding.key_id != key_id:
        return f"The USB key holds the licence of key {binding.key_id}: it may be a copy. Insert the original key."
    if binding.device_public_key is None:
        return None
    if nonce is None or proof is None or len(nonce) != NONCE_BYTES:
        return (
            "The USB key did not prove that it is the original: it may be a copy. Insert it again, or ask the vendor."
        )
    if not _proves(binding.device_public_key, proof_message(key_id, nonce), proof):
        return "The USB key's proof is wrong: it is a copy or not the original. Insert the original key."
    return None


def _proves(device_public_key: bytes, message: bytes, proof: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(device_public_key).verify(proof, message)
    except InvalidSignature:
        return False
    return True
