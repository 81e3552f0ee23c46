"""Whether a licence may be installed, and what the ledger is afterwards.

A refusal is a value with the platform's own code, a reason and a next step; it changes nothing.
"""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from licensing.inuse import supersedes
from licensing.model import BuiltIn, KeyBinding, KeyHistory, Ledger, Licence, SignedLicence, Time
from licensing.presence import Presence


class Installed(msgspec.Struct, frozen=True):
    """The ledger after an installation. `changed` is False for the very same licence again; `replaced` is what went."""

    ledger: Ledger
    changed: bool
    replaced: Licence | None = None


class NotInstalled(msgspec.Struct, frozen=True):
    """Why a licence is not installed: `code` and `http` for the answer, the reason and what to do."""

    code: str
    http: int
    text: str
    hint: str


def install(signed: SignedLicence, ledger: Ledger, presence: Presence, now: Time) -> Installed | NotInstalled:
    """Install a verified licence: a USB key's while that key is inserted and works, any other for the site."""
    licence = signed.licence
    if now >= licence.expires:
        return _expired(licence)
    match licence.binding:
        case KeyBinding(key_id=key_id):
            return _for_key(signed, key_id, ledger, presence)
        case BuiltIn():
            return NotInstalled("LICENSE.1006", 400, "The trial is built in.", "Install a licence from the vendor.")
        case _:
            return _for_site(signed, ledger)


def _for_key(signed: SignedLicence, key_id: str, ledger: Ledger, presence: Presence) -> Installed | NotInstalled:
    inserted = presence.readable.get(key_id)
    if inserted is None or inserted.licence is None:
        text = f"The licence belongs to USB key {key_id}, which is not inserted or does not work."
        return NotInstalled("LICENSE.1002", 422, text, f"Insert USB key {key_id} and install the licence again.")
    before = next((history for history in ledger.keys if history.key_id == key_id), None)
    current = before.signed if before else inserted.licence
    refusal = _not_newer(signed, current)
    if refusal is not None:
        return refusal
    if current.licence == signed.licence:
        return Installed(ledger, changed=False)
    after = replace(before, signed=signed) if before else KeyHistory(key_id, signed, presence.node_of(key_id))
    others = tuple(history for history in ledger.keys if history.key_id != key_id)
    keys = tuple(sorted((*others, after), key=lambda history: history.key_id))
    return Installed(replace(ledger, keys=keys, sequence=ledger.sequence + 1), changed=True, replaced=current.licence)


def _for_site(signed: SignedLicence, ledger: Ledger) -> Installed | NotInstalled:
    lineage = signed.licence.lineage
    current = next((other for other in ledger.installed if other.licence.lineage == lineage), None)
    if current is not None:
        refusal = _not_newer(signed, current)
        if refusal is not None:
            return refusal
        if current.licence == signed.licence:
            return Installed(ledger, changed=False)
    kept = tuple(other for other in ledger.installed if other is not current)
    after = replace(ledger, installed=(*kept, signed), sequence=ledger.sequence + 1)
    return Installed(after, changed=True, replaced=current.licence if current else None)


def _not_newer(signed: SignedLicence, current: SignedLicence) -> NotInstalled | None:
    if signed.licence == current.licence or supersedes(signed.licence, current.licence):
        return None
    text = f"The licence is older than the installed one, {current.licence.name}, issued {current.licence.issued}."
    return NotInstalled("LICENSE.1004", 409, text, "Install the newest licence that the vendor sent.")


def _expired(licence: Licence) -> NotInstalled:
    text = f"The licence {licence.name} was issued {licence.issued} and expired {licence.expires}."
    return NotInstalled("LICENSE.1000", 422, text, "Ask the vendor for a licence that has not expired.")
