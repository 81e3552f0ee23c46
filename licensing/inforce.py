"""The licence in force: which of a site's licences counts at one moment, and whether it can be used.

A valid licence beats an expired one, then an inserted key's, then the newest issue date. Quotas are never summed.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from licensing import buffer
from licensing.inuse import history_of, still_usable, valid
from licensing.ledger import Ledger, Site
from licensing.licence import BuiltIn, Edition, Licence, Quota
from licensing.pending import ripen
from licensing.policy import TRIAL_TERM
from licensing.value import Time

USB_KEY, REQUEST_KEY, BUILT_IN = "usb-key", "request-key", "built-in"


class InForce(msgspec.Struct, frozen=True):
    """A licence and how it stands now. `serving`: its key is in service, or its removal has not settled."""

    licence: Licence
    source: str
    usable: bool
    serving: bool = False
    key_id: str | None = None
    buffer_until: Time | None = None


def trial_of(site: Site) -> Licence:
    """The trial that every site starts with: 1 host for 30 days, no after-sales service."""
    return Licence(
        licence_id=f"trial-{site.site_id}",
        lineage="trial",
        sequence=0,
        product="",
        name=Edition.BASIC_TRIAL.title,
        edition=Edition.BASIC_TRIAL,
        issued=site.trial_start,
        not_before=site.trial_start,
        expires=site.trial_start + TRIAL_TERM,
        quota=Quota(hosts=1),
        binding=BuiltIn(),
    )


def in_force(site: Site, ledger: Ledger, now: Time) -> InForce | None:
    """Return the licence in force, None if the site has none at all."""
    return max(_candidates(site, ripen(ledger, now), now), key=_rank, default=None)


def _rank(candidate: InForce) -> tuple[bool, bool, Time, str]:
    return candidate.usable, candidate.serving, candidate.licence.issued, candidate.licence.licence_id


def _candidates(site: Site, ledger: Ledger, now: Time) -> Iterator[InForce]:
    if ledger.in_use is not None:
        yield _of_key(ledger, ledger.in_use, now)
    for signed in ledger.installed:
        if signed.licence.not_before <= now:
            yield InForce(signed.licence, REQUEST_KEY, usable=valid(signed.licence, now))
    if not ledger.trial_over:
        trial = trial_of(site)
        yield InForce(trial, BUILT_IN, usable=valid(trial, now))


def _of_key(ledger: Ledger, key_id: str, now: Time) -> InForce:
    history = history_of(ledger, key_id)
    return InForce(
        history.signed.licence,
        USB_KEY,
        usable=still_usable(history, now),
        serving=not buffer.settled(history),
        key_id=key_id,
        buffer_until=buffer.running_until(history),
    )
