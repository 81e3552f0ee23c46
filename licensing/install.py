"""Whether a licence may be installed or removed, and what the ledger is afterwards.

A refusal is a value with the platform's own code, a reason and a next step; it changes nothing. Several licences at
once are installed all or none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec
from msgspec.structs import replace

from licensing.inuse import supersedes
from licensing.model import (
    BuiltIn,
    KeyBinding,
    KeyHistory,
    Ledger,
    Licence,
    Lineage,
    SignedLicence,
    Site,
    SiteBinding,
    Spent,
    Time,
)
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


class Circumstances(msgspec.Struct, frozen=True):
    """What an installation depends on: the site, which keys are there, the nodes' fingerprints, and the time."""

    site: Site
    presence: Presence
    fingerprints: tuple[str, ...]
    now: Time


def install(signed: SignedLicence, ledger: Ledger, at: Circumstances) -> Installed | NotInstalled:
    """Install one verified licence: a USB key's while that key is inserted and works, any other for the site."""
    licence = signed.licence
    if at.now >= licence.expires:
        return _expired(licence)
    match licence.binding:
        case KeyBinding(key_id=key_id):
            return _for_key(signed, key_id, ledger, at.presence)
        case SiteBinding() as binding:
            return _wrong_site(binding, at) or _for_site(signed, binding, ledger, at.site)
        case BuiltIn():
            return NotInstalled("LICENSE.1006", 400, "The trial is built in.", "Install a licence from the vendor.")


def remove(licence_id: str, ledger: Ledger) -> Installed | NotInstalled:
    """Remove an installed request-key licence by its id; a USB key's goes with its key and the trial by itself."""
    gone = next((signed for signed in ledger.installed if signed.licence.licence_id == licence_id), None)
    if gone is not None:
        kept = tuple(signed for signed in ledger.installed if signed is not gone)
        return Installed(replace(ledger, installed=kept), changed=True, replaced=gone.licence)
    if any(history.signed.licence.licence_id == licence_id for history in ledger.keys):
        text = f"The licence {licence_id} is on a USB key and cannot be deleted."
        return NotInstalled("LICENSE.1001", 409, text, "Remove the USB key to end its licence.")
    text = f"No licence {licence_id} is installed."
    return NotInstalled("not-found", 404, text, "See GET /v1/licenses for the licence that is installed.")


def synchronise(ledger: Ledger, presence: Presence, now: Time) -> Ledger:
    """Take over the licence of every working inserted key, as its newest if it is newer than what is known of it."""
    keys = {history.key_id: history for history in ledger.keys}
    for key_id, key in presence.readable.items():
        assert key.licence is not None
        held = replace(key.licence, uploaded_at=now, node=presence.node_of(key_id))
        known = keys.get(key_id)
        if known is None:
            keys[key_id] = KeyHistory(key_id, held, presence.node_of(key_id))
        elif supersedes(held.licence, known.signed.licence):
            keys[key_id] = replace(known, signed=held)
    return replace(ledger, keys=_sorted(keys.values()))


def _for_key(signed: SignedLicence, key_id: str, ledger: Ledger, presence: Presence) -> Installed | NotInstalled:
    inserted = presence.readable.get(key_id)
    if inserted is None or inserted.licence is None:
        text = f"The licence belongs to USB key {key_id}, which is not inserted or does not work."
        return NotInstalled("LICENSE.1002", 422, text, f"Insert USB key {key_id} and install the licence again.")
    before = next((history for history in ledger.keys if history.key_id == key_id), None)
    current = before.signed if before else inserted.licence
    if current.licence == signed.licence:
        return Installed(ledger, changed=False)
    if not supersedes(signed.licence, current.licence):
        return _older(current.licence.name, current.licence.issued)
    after = replace(before, signed=signed) if before else KeyHistory(key_id, signed, presence.node_of(key_id))
    keys = _sorted((*(history for history in ledger.keys if history.key_id != key_id), after))
    return Installed(replace(ledger, keys=keys), changed=True, replaced=current.licence)


def _sorted(histories: Iterable[KeyHistory]) -> tuple[KeyHistory, ...]:
    return tuple(sorted(histories, key=lambda history: history.key_id))


def _wrong_site(binding: SiteBinding, at: Circumstances) -> NotInstalled | None:
    if binding.site_id != at.site.site_id:
        text = f"The licence belongs to site {binding.site_id}, this is {at.site.site_id}."
    elif not set(binding.fingerprints) & set(at.fingerprints):
        text = "The licence belongs to other machines: neither node of this site is one it was issued for."
    else:
        return None
    return NotInstalled("LICENSE.1002", 422, text, "Send the vendor this site's request code and install the answer.")


def _for_site(signed: SignedLicence, binding: SiteBinding, ledger: Ledger, site: Site) -> Installed | NotInstalled:
    licence = signed.licence
    current = next((other for other in ledger.installed if other.licence.lineage == licence.lineage), None)
    if current is not None and current.licence == licence:
        return Installed(ledger, changed=False)
    refusal = _not_newest(licence, ledger) or _spent_nonce(signed, binding, ledger, site)
    if refusal is not None:
        return refusal
    kept = tuple(other for other in ledger.installed if other is not current)
    after = replace(
        ledger,
        installed=(*kept, signed),
        lineages=_with(ledger.lineages, Lineage(licence.lineage, licence.sequence, licence.issued)),
        spent=(*(spent for spent in ledger.spent if spent.nonce != binding.nonce), _spend(signed, binding)),
    )
    return Installed(after, changed=True, replaced=current.licence if current else None)


def _not_newest(licence: Licence, ledger: Ledger) -> NotInstalled | None:
    """Refuse what is older than, or not the same as, the newest that was ever installed of its lineage."""
    newest = next((known for known in ledger.lineages if known.lineage == licence.lineage), None)
    if newest is None or (licence.sequence, licence.issued) > (newest.sequence, newest.issued):
        return None
    if (licence.sequence, licence.issued) == (newest.sequence, newest.issued) and _was_installed(licence, ledger):
        return None  # the very same licence again after it was deleted
    return _older(f"of {licence.lineage}", newest.issued)


def _was_installed(licence: Licence, ledger: Ledger) -> bool:
    return any(spent.licence_id == licence.licence_id for spent in ledger.spent)


def _spent_nonce(signed: SignedLicence, binding: SiteBinding, ledger: Ledger, site: Site) -> NotInstalled | None:
    spent = next((spent for spent in ledger.spent if spent.nonce == binding.nonce), None)
    if spent is not None:
        if spent == _spend(signed, binding):
            return None
        text = f"The request code of this licence was used already, for the licence {spent.licence_id}."
        return NotInstalled("nonce-used", 409, text, "Send the vendor a new request code and install the answer.")
    if binding.nonce in site.nonces:
        return None
    text = "The licence answers a request code that this site did not give out, or too long ago."
    return NotInstalled("LICENSE.1002", 422, text, "Send the vendor this site's request code and install the answer.")


def _spend(signed: SignedLicence, binding: SiteBinding) -> Spent:
    return Spent(binding.nonce, signed.licence.licence_id, hashlib.sha256(signed.file).hexdigest())


def _with(lineages: tuple[Lineage, ...], new: Lineage) -> tuple[Lineage, ...]:
    return (*(known for known in lineages if known.lineage != new.lineage), new)


def _older(name: str, issued: Time) -> NotInstalled:
    text = f"The licence is not newer than the installed one {name}, issued {issued:%Y-%m-%d %H:%M} UTC."
    return NotInstalled("LICENSE.1004", 409, text, "Install the newest licence that the vendor sent.")


def _expired(licence: Licence) -> NotInstalled:
    text = (
        f"The licence {licence.name} was issued {licence.issued:%Y-%m-%d %H:%M} UTC and expired "
        f"{licence.expires:%Y-%m-%d %H:%M} UTC."
    )
    return NotInstalled("LICENSE.1000", 422, text, "Ask the vendor for a licence that has not expired.")
