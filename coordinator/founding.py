"""Founding a site: its identity is written once, and the start of its trial outlives the loss of etcd or of a disk.

The start of the trial is kept in etcd and on every node's disk; the earliest that is known counts.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec.structs import replace

from cluster.kept_file import KeptFile
from cluster.keys import Keys
from cluster.store import Absent, ModifiedAt, Put, View
from cluster.values import BadValue, encode_value, read_message
from coordinator.carrying_out import with_request_code
from coordinator.cycle import CLOCK_EVERY, Plan
from coordinator.facts import Facts
from licensing.decide import Change
from licensing.ledger import Site
from licensing.value import Time

FILE = "site"


class FoundingError(Exception):
    """The kept identity cannot be used; the text says what to do."""


def fresh_nonce() -> str:
    """Return a text that nobody can guess."""
    return secrets.token_hex(16)


class Founding:
    """This node's copy of the site's identity, and what to write where etcd has none or a later trial start."""

    def __init__(
        self, keys: Keys, members: tuple[str, ...], state_dir: Path, new_nonce: Callable[[], str] = fresh_nonce
    ) -> None:
        self._keys = keys
        self._new_nonce = new_nonce
        self._members = members
        self._file = KeptFile(state_dir / FILE, "site not kept on disk")
        self._kept = self._load()

    def plan(self, facts: Facts, view: View, now: Time, known: Site | None = None) -> Plan | None:
        """Return what the leader must write about the site itself before anything else; None for nothing.

        `known`: the site as this node remembers it, should the store have lost it.
        """
        if facts.site is None:
            site = known or Site(self._keys.site_id, self._members, now)
            start = min(site.trial_start, self._kept.trial_start if self._kept else now, now)
            site = replace(site, trial_start=start)
            return self._write(site, Absent(self._keys.site), "The site is founded; its trial starts.", now)
        if self._kept is not None and self._kept.trial_start < facts.site.trial_start:
            site = replace(facts.site, trial_start=self._kept.trial_start)
            condition = ModifiedAt(self._keys.site, view.entries[self._keys.site].mod_revision)
            return self._write(site, condition, "The trial started earlier than etcd says: a node remembers.", now)
        fingerprints = tuple(node.fingerprint for node in facts.views if node.fingerprint)
        if not facts.site.request and facts.ledger is not None and len(fingerprints) == len(facts.site.members):
            site = with_request_code(facts.site, fingerprints, self._new_nonce(), facts.ledger)
            condition = ModifiedAt(self._keys.site, view.entries[self._keys.site].mod_revision)
            return self._write(site, condition, "Every node has reported: there is a request code.", now)
        return None

    def _write(self, site: Site, condition: Absent | ModifiedAt, sentence: str, now: Time) -> Plan:
        write = Put(self._keys.site, encode_value(site))
        return Plan((write,), (condition,), (Change(site.site_id, sentence),), now + CLOCK_EVERY)

    def keep(self, site: Site) -> None:
        """Keep the earliest trial start on this node's disk; every node does, whether it leads or not.

        A disk that cannot be written is told once, stops nothing, and is tried again with the next call.
        """
        if self._kept is None or site.trial_start < self._kept.trial_start:
            self._kept = site
        self._file.keep(encode_value(self._kept))

    def _load(self) -> Site | None:
        path = self._file.path
        try:
            site = read_message(str(path), self._file.read(), Site)
        except FileNotFoundError:
            return None
        except (OSError, BadValue, msgspec.DecodeError) as error:
            raise FoundingError(f"{path}: {error}. Restore the file, or remove it if this node is new.") from error
        if site.site_id != self._keys.site_id:
            raise FoundingError(f"{path} belongs to site {site.site_id}: use another state_dir for this site.")
        return site
