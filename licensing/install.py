"""Whether a licence may be installed or removed, and what the ledger is afterwards.

A refusal is a value with the platform's own code, a reason and a next step; it changes nothing. Several licences at
once are installed all or none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec
from msgspec.structs import replace

from licensing.ledger import KeyHistory, Ledger, Lineage, Site, Spent
from licensing.licence import BuiltIn, KeyBinding, Licence, SignedLicence, SiteBinding
from licensing.pending import for_key, newest_of, standing, supersedes
from licensing.presence import Presence
from licensing.value import Time


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
    """What an installation depends on: the site, which keys are there, the nodes' fingerprints, and the time.

    `spent`: nonces used by licences that came along with this one, all answers to one request code; they do not count.
    """

    site: Site
    presence: Presence
    fingerprints: tuple[str, ...]
    now: Time
    spent: tuple[Spent, ...] = ()


def install(signed: SignedLicence, ledger: Ledger, at: Circumstances) -> Installed | NotInstalled:
    """Install one verified licence: a USB key's while that key is inserted and works, any other for the site."""
    licence = signed.licence
    if at.now >= licence.expires:
        return _expired(licence)
    match licence.binding:
        case KeyBinding(key_id=key_id):
            return _for_key(signed, key_id, ledger, at)
        case SiteBinding() as binding:
            return _wrong_site(binding, at) or _for_site(signed, binding, ledger, at)
        case BuiltIn():
            return NotInstalled("LICENSE.1006", 400, "The trial is built in.", "Install a licence from the vendor.")


def remove(licence_id: str, ledger: Ledger) -> Installed | NotInstalled:
    """Remove an installed request-key licence by its id; a USB key's goes with its key and the trial by itself."""
    gone = next((signed for signed in ledger.installed if signed.licence.licence_id == licence_id), None)
    if gone is not None:
        kept = tuple(signed for signed in ledger.installed if signed is not gone)
        return Installed(replace(ledger, installed=kept), changed=True, replaced=gone.licence)
    if any(licence_id in _ids(history) for history in ledger.keys):
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
        elif supersedes(held.licence, newest_of(known).licence):
            keys[key_id] = for_key(known, held, now)
    return replace(ledger, keys=_sorted(keys.values()))


def _ids(history: KeyHistory) -> set[str]:
    return {history.signed.licence.licence_id, newest_of(history).licence.licence_id}


def _for_key(signed: SignedLicence, key_id: str, ledger: Ledger, at: Circumstances) -> Installed | NotInstalled:
    inserted = at.presence.readable.get(key_id)
    if inserted is None or inserted.licence is None:
        text = f"The licence belongs to USB key {key_id}, which is not inserted or does not work."
        return NotInstalled("LICENSE.1002", 422, text, f"Insert USB key {key_id} and install the licence again.")
    before = next((history for history in ledger.keys if history.key_id == key_id), None)
    if before is not None and signed.licence in (before.signed.licence, newest_of(before).licence):
        return Installed(ledger, changed=False)
    held = inserted.licence.licence
    newest = newest_of(before).licence if before else held
    if not supersedes(signed.licence, newest) and (before or signed.licence != held):
        return _older(newest.name, newest.issued)
    known = before or KeyHistory(key_id, inserted.licence, at.presence.node_of(key_id))
    after = for_key(known, signed, at.now)
    keys = _sorted((*(history for history in ledger.keys if history.key_id != key_id), after))
    replaced = before.signed.licence if before and after.pending is None else None
    return Installed(replace(ledger, keys=keys), changed=True, replaced=replaced)


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


def _for_site(
    signed: SignedLicence, binding: SiteBinding, ledger: Ledger, at: Circumstances
) -> Installed | NotInstalled:
    licence, mine = signed.licence, _spend(signed, binding)
    if any(other.licence == licence for other in ledger.installed):
        return Installed(ledger, changed=False)
    refusal = _not_newest(licence, mine, ledger) or _spent_nonce(mine, ledger, at)
    if refusal is not None:
        return refusal
    installed = standing((*ledger.installed, signed), at.now)
    after = replace(
        ledger,
        installed=installed,
        lineages=_with(ledger.lineages, Lineage(licence.lineage, licence.sequence, licence.issued)),
        spent=(*(spent for spent in ledger.spent if spent != mine), mine),
    )
    replaced = next((other.licence for other in ledger.installed if other not in installed), None)
    return Installed(after, changed=True, replaced=replaced)


def _not_newest(licence: Licence, mine: Spent, ledger: Ledger) -> NotInstalled | None:
    """Refuse what is older than, or not the same as, the newest that was ever installed of its lineage."""
    newest = next((known for known in ledger.lineages if known.lineage == licence.lineage), None)
    if newest is None or (licence.sequence, licence.issued) > (newest.sequence, newest.issued):
        return None
    if (licence.sequence, licence.issued) == (newest.sequence, newest.issued) and mine in ledger.spent:
        return None  # the very same licence again after it was deleted
    return _older(f"of {licence.lineage}", newest.issued)


def _spent_nonce(mine: Spent, ledger: Ledger, at: Circumstances) -> NotInstalled | None:
    if mine in ledger.spent:
        return None
    spent = next((spent for spent in ledger.spent if spent.nonce == mine.nonce and spent not in at.spent), None)
    if spent is not None:
        text = f"The request code of this licence was used already, for the licence {spent.licence_id}."
        return NotInstalled("nonce-used", 409, text, "Send the vendor a new request code and install the answer.")
    if mine.nonce in at.site.nonces:
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
