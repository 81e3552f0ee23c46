"""Whether an inserted USB key is what it says it is, from what was read of it.

A key holds a licence file. Where that licence names a device public key, the USB key must also sign a challenge
with the private half, which a copy of the file does not have. A key without a device key can be copied; nothing
here can tell. This file must not know how a key is read, nor about the other keys.

The challenge binds the site, the leader's epoch and the answer published last, beside fresh randomness: neither
another site nor a later leader accepts a proof that was recorded before.
"""

from __future__ import annotations

import hashlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from licensing.envelope import LicenceRefused, open_licence
from licensing.keyring import Keyring
from licensing.licence import KeyBinding, SignedLicence
from licensing.seen import Assurance, Challenge, Reading
from licensing.value import Value

NONCE_BYTES = 32

_CHALLENGE_DOMAIN = b"twinkey usb key challenge 1"
_PROOF_DOMAIN = b"twinkey usb key proof 1"
_ERASED = b"\x00\xff"  # what memory reads as before anything was written to it


class Judgement(Value, frozen=True, omit_defaults=True):
    """What is thought of a USB key: OK with `signed`, anything else with a `reason` for operators."""

    reading: Reading
    reason: str = ""
    signed: SignedLicence | None = None

    @property
    def assurance(self) -> Assurance | None:
        """What the judgement is worth: proven by the device key, or from a key that can be copied; None unless OK."""
        if self.signed is None:
            return None
        return "proven" if device_key_of(self.signed) is not None else "copyable"


def device_key_of(signed: SignedLicence) -> bytes | None:
    """Return the device public key that a USB key with this licence must have, None where it need not have one."""
    binding = signed.licence.binding
    return binding.device_public_key if isinstance(binding, KeyBinding) else None


def nonce_of(challenge: Challenge) -> bytes:
    """Return the 32 bytes that a USB key is given to sign for this challenge: a digest over all its members."""
    numbers = (challenge.epoch.to_bytes(8, "big"), challenge.index.to_bytes(8, "big"))
    parts = (_CHALLENGE_DOMAIN, challenge.site_id.encode(), *numbers, challenge.random)
    return hashlib.sha256(_framed(parts)).digest()


def proof_message(key_id: str, nonce: bytes) -> bytes:
    """Return the message that a USB key signs (Ed25519) to prove itself.

    Raises:
        ValueError: the nonce does not have 32 bytes.
    """
    if len(nonce) != NONCE_BYTES:
        raise ValueError(f"the nonce of a proof has {NONCE_BYTES} bytes, not {len(nonce)}")
    return _framed((_PROOF_DOMAIN, key_id.encode(), nonce))


def judge_key(
    keyring: Keyring, key_id: str, blob: bytes, challenge: Challenge | None = None, proof: bytes | None = None
) -> Judgement:
    """Judge a USB key by its licence file and, where it has a device key, by its proof for our challenge."""
    if not blob.strip(_ERASED):
        return _faulty("it is blank. Ask the vendor for a licence for this key.")
    try:
        signed = open_licence(blob, keyring)
    except LicenceRefused as refused:
        return _faulty(f"{refused.text} {refused.hint}")
    return judge_opened(signed, key_id, challenge, proof)


def judge_opened(
    signed: SignedLicence, key_id: str, challenge: Challenge | None = None, proof: bytes | None = None
) -> Judgement:
    """Judge a USB key whose licence file was opened already, and found to be the vendor's."""
    strange = _not_genuine_because(key_id, signed, challenge, proof)
    if strange is not None:
        return Judgement(Reading.NOT_GENUINE, strange)
    return Judgement(Reading.OK, signed=signed)


def _faulty(why: str) -> Judgement:
    return Judgement(Reading.FAULTY, f"The USB key holds no valid licence: {why}")


def _not_genuine_because(
    key_id: str, signed: SignedLicence, challenge: Challenge | None, proof: bytes | None
) -> str | None:
    """Return why a well-signed licence does not make this key genuine, or None when it does."""
    binding = signed.licence.binding
    if not isinstance(binding, KeyBinding):
        return "The USB key holds a licence that is bound to a site. Ask the vendor for this key's own licence."
    if binding.key_id != key_id:
        return f"The USB key holds the licence of key {binding.key_id}: it may be a copy. Insert the original key."
    if binding.device_public_key is None:
        return None
    if challenge is None or proof is None:
        return (
            "The USB key did not prove that it is the original: it may be a copy. Insert it again, or ask the vendor."
        )
    if not _proves(binding.device_public_key, proof_message(key_id, nonce_of(challenge)), proof):
        return "The USB key's proof is wrong: it is a copy or not the original. Insert the original key."
    return None


def _proves(device_public_key: bytes, message: bytes, proof: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(device_public_key).verify(proof, message)
    except InvalidSignature:
        return False
    return True


def _framed(parts: tuple[bytes, ...]) -> bytes:
    """Join parts so that no two different lists of them give the same bytes."""
    return b"".join(len(part).to_bytes(8, "big") + part for part in parts)
