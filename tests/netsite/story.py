"""A story of a site: faults, plugs, uploads, reports and reads at the same time, from a seed; it yields a history.

A seed fixes what is done and in which order. When exactly each thing happens is the machine's affair, so a failure may
need several runs of its seed to show again.
"""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPException
from random import Random
from typing import Any

from licensing.keyring import parse_keyring
from licensing.policy import Policy
from tests.netsite.history import TAKEN, Deed, History, Upload, UsageReport
from tests.netsite.licences import UPLOAD, new_licence
from tests.netsite.netsite import VIP, WITNESS, NetSite, now
from tests.site import KEYS, SETTLE, Answer, let_pass
from tests.waiting import eventually_sync
from usbwatch.simulated import SimulatedKey

Act = Callable[[NetSite, str], None]

LASTS = (0.3, 6.0)
RESTS = (0.3, 2.0)
"""Seconds for which a fault lasts, and between two."""
UPLOADS = 40
"""The most that one client uploads, so that the ledger stays small."""
NO_ANSWER = (OSError, HTTPException)
KEPT = 300.0
"""Seconds for which an outcome can be asked for at least."""


def _cut_off(site: NetSite, label: str) -> None:
    site.network.isolate(label, but=["c"])


def _cut_pair(site: NetSite, _label: str) -> None:
    site.network.cut("a", "b")


def _cut_witness(site: NetSite, _label: str) -> None:
    site.network.isolate(WITNESS)


ACTS: Mapping[str, Act] = {
    "kill coordinator": lambda site, label: site.nodes[label].coordinator.kill(),
    "stop coordinator": lambda site, label: site.nodes[label].coordinator.stop(),
    "freeze coordinator": lambda site, label: site.nodes[label].coordinator.freeze(),
    "kill agent": lambda site, label: site.nodes[label].agent.kill(),
    "freeze agent": lambda site, label: site.nodes[label].agent.freeze(),
    "kill etcd": lambda site, label: site.nodes[label].etcd.kill(),
    "freeze etcd": lambda site, label: site.nodes[label].etcd.freeze(),
    "kill keepalived": lambda site, label: site.nodes[label].keepalived.kill(),
    "kill node": lambda site, label: site.nodes[label].kill(),
    "freeze node": lambda site, label: site.nodes[label].freeze(),
    "stop node": lambda site, label: site.nodes[label].stop(),
    "cut off": _cut_off,
    "cut the nodes apart from each other": _cut_pair,
    "cut off the witness": _cut_witness,
    "pull the cable": lambda site, label: site.network.port_down(label),
    "fill the disk": lambda site, label: site.nodes[label].fill_disk("state"),
}


class Clients:
    """Threads that upload and report until `end`, and note every answer; their site must have been started."""

    def __init__(self, site: NetSite, seed: int, seconds: float) -> None:
        self.uploads: list[Upload] = []
        self.usage: list[UsageReport] = []
        self._site = site
        self._pause = max(0.3, seconds / UPLOADS)
        self._ended = threading.Event()
        work = [(self._upload, label) for label in site.labels] + [(self._report, VIP)]
        self._threads = [
            threading.Thread(target=do, args=(target, _chance(f"{seed} {target}")), daemon=True) for do, target in work
        ]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """End the work, and ask what became of the uploads that were taken and not yet answered."""
        self._ended.set()
        for thread in self._threads:
            thread.join()
        self.uploads = [self._settled(each) for each in self.uploads]

    def _upload(self, label: str, chance: Random) -> None:
        while not self._ended.wait(self._pause * chance.uniform(0.5, 1.5)):
            try:
                name, file = new_licence(self._site, label)
            except (*NO_ANSWER, AssertionError):
                continue  # nothing was asked for yet
            asked = now()
            try:
                answer = self._site.call(label, "POST", UPLOAD, file, within=20.0)
                self.uploads.append(Upload(name, label, asked, now(), answer.status, answer.body.decode()))
            except NO_ANSWER as error:
                self.uploads.append(Upload(name, label, asked, now(), 0, repr(error)))

    def _report(self, target: str, chance: Random) -> None:
        while not self._ended.wait(chance.uniform(0.2, 0.6)):
            vms, asked = len(self.usage) + 1, now()
            body = json.dumps({"vms": vms}).encode()
            try:
                http = self._site.call(target, "PUT", "/v1/licenses/usage", body, within=5.0).status
            except NO_ANSWER:
                http = 0
            self.usage.append(UsageReport(vms, asked, now(), http))

    def _settled(self, upload: Upload) -> Upload:
        """Return an upload with its outcome, where the answer was that it waits; without an answer where it is late."""
        if upload.http != TAKEN:
            return upload
        answer: Answer = eventually_sync(lambda: self._asked(upload), 20.0)
        if answer.status != 200:
            http = TAKEN if now() - upload.asked < KEPT else 0
            return Upload(upload.name, upload.node, upload.asked, now(), http, answer.body.decode())
        outcome: dict[str, Any] = json.loads(answer.body)["outcome"]
        return Upload(upload.name, upload.node, upload.asked, now(), outcome["http"], outcome["text"])

    def _asked(self, upload: Upload) -> Answer | None:
        answer = self._site.call(upload.node, "GET", json.loads(upload.text)["location"])
        return answer if answer.status != TAKEN else None


def play(site: NetSite, seed: int, seconds: float, acts: Mapping[str, Act] = ACTS) -> History:
    """Play a story on a site that was started, let the site come to rest, and return the history."""
    assert site.readers
    site.readers.forget()
    begin, chance, deeds = now(), _chance(str(seed)), list[Deed]()
    spare = [site.new_key(), site.new_key()]
    clients = Clients(site, seed, seconds)

    def note(what: str) -> None:
        deeds.append(Deed(now(), what))

    note("the story begins")
    while now() < begin + seconds:
        for _ in range(chance.choice((1, 1, 1, 2))):
            name, label = chance.choice(tuple(acts)), chance.choice(site.labels)
            note(f"{name} ({label})")
            acts[name](site, label)
        let_pass(chance.uniform(0, 1.0))
        note(_move(site, chance.choice((site.base, *spare)), chance.choice(site.labels)))
        let_pass(chance.uniform(*LASTS))
        note("repair")
        site.repair()
        let_pass(chance.uniform(*RESTS))
    note("the story ends")
    site.start()
    clients.end()
    eventually_sync(lambda: not site.member("a").under(KEYS.inboxes), 20.0)
    return _recorded(site, seed, begin, deeds, clients)


def _move(site: NetSite, key: SimulatedKey, label: str) -> str:
    """Pull a key out of where it is, or plug it into a node; return what was done."""
    for each in site.labels:
        if site.site.nodes[each].has(key.key_id):
            site.unplug(each, key)
            return f"pull {key.key_id} out of {each}"
    site.plug(label, key)
    return f"plug {key.key_id} into {label}"


def _chance(seed: str) -> Random:
    return Random(seed)  # noqa: S311 - it must be the same again


def _recorded(site: NetSite, seed: int, begin: float, deeds: Sequence[Deed], clients: Clients) -> History:
    assert site.readers
    member = site.member("a")
    heard = now()
    until = member.revision()  # the site lives on: all is read as of one moment
    kept = (KEYS.site, KEYS.ledger, KEYS.usage, KEYS.status)
    versions = [each for key in kept for each in member.history(key, until)]
    records = member.under(KEYS.records, until)
    told = (KEYS.site, KEYS.nodes, KEYS.lastseen)
    changes = member.changes(KEYS.prefix, max(version.revision for version in versions))
    return History(
        seed=seed,
        deeds=deeds,
        uploads=clients.uploads,
        usage=clients.usage,
        readings={
            target: [each for each in site.readers.since(begin, target) if each.told <= heard]
            for target in (*site.labels, VIP)
        },
        versions=sorted(versions, key=lambda version: version.revision),
        changes=[change for change in changes if change.key.startswith(told)],
        records=[value for key, value in sorted(records.items()) if "~" not in key],
        keys=KEYS,
        keyring=parse_keyring((site.site.folder / "keyring.json").read_bytes()),
        policy=Policy(removal_settle=dt.timedelta(seconds=SETTLE)),
        ended=dt.datetime.now(dt.UTC),
    )
