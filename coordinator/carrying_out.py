"""Carrying out an order: from an order and the facts to a new ledger, site and outcome. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec.structs import replace

from coordinator.orders import AddNode, Errand, Install, Order, Outcome, Remove, RenewRequestCode, Synchronise
from licensing.envelope import LicenceRefused, open_licence
from licensing.install import Circumstances, NotInstalled, install, remove, synchronise
from licensing.keyring import Keyring
from licensing.ledger import Ledger, Site
from licensing.licence import SignedLicence, SiteBinding
from licensing.policy import Policy
from licensing.presence import Presence, observe
from licensing.quota import UNITS, over_quota
from licensing.request_code import RequestCode, render
from licensing.seen import NodeView, Visibility
from licensing.value import Time

MOST_MEMBERS = 2
KEPT_NONCES = 8
"""How many request codes stay usable."""


class Scene(msgspec.Struct, frozen=True):
    """What an order meets: the site, its nodes, what is remembered, the vendor's keys, and the time."""

    site: Site
    views: tuple[NodeView, ...]
    ledger: Ledger
    keyring: Keyring
    now: Time
    policy: Policy

    @property
    def presence(self) -> Presence:
        """Which keys count."""
        return observe(self.views, self.ledger, self.now, self.policy)

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """What identifies the machines of this site, as far as they ever reported."""
        return tuple(view.fingerprint for view in self.views if view.fingerprint)

    @property
    def holders(self) -> tuple[str, ...]:
        """The nodes that hold the virtual IP by a live report."""
        return tuple(view.node for view in self.views if view.vip and view.visibility is Visibility.LIVE)


class CarriedOut(msgspec.Struct, frozen=True):
    """What is true after an order; a refused one left `site` and `ledger` as they were."""

    site: Site
    ledger: Ledger
    outcome: Outcome


def carry_out(order: Order[Errand], scene: Scene) -> CarriedOut:
    """Carry out one order."""
    match order.errand:
        case Install(files=files):
            return _install(files, order, scene)
        case Remove(licence_id=licence_id):
            return _remove(licence_id, scene)
        case Synchronise():
            ledger = synchronise(scene.ledger, scene.presence, scene.now)
            keys = tuple(sorted(scene.presence.readable))
            text = f"Synchronised {', '.join(keys)}." if keys else "No working USB key is inserted."
            return _done(scene, ledger, Outcome(200, "", text, "", changed=ledger != scene.ledger, licences=keys))
        case RenewRequestCode():
            return _renew(order.fresh, scene)
        case AddNode(node=node):
            return _add_node(node, scene)


def with_request_code(site: Site, fingerprints: Iterable[str], nonce: str, ledger: Ledger) -> Site:
    """Return the site with a new request code for its nodes."""
    sequence = max((lineage.sequence for lineage in ledger.lineages), default=0)
    code = RequestCode(site.site_id, tuple(fingerprints), nonce, sequence)
    return replace(site, request=render(code), nonces=(*site.nonces, nonce)[-KEPT_NONCES:])


def _with_unspent_code(scene: Scene, ledger: Ledger, fresh: str) -> Site:
    """Give out a new request code when the one given out has been used: the vendor's next answer to it would fail."""
    spent = {spent.nonce for spent in ledger.spent}
    if not scene.site.nonces or scene.site.nonces[-1] not in spent:
        return scene.site
    return with_request_code(scene.site, scene.fingerprints, fresh, ledger)


def _renew(nonce: str, scene: Scene) -> CarriedOut:
    if not scene.fingerprints:
        outcome = Outcome(
            503, "not-ready", "No node has reported yet.", "Start the agents and ask again.", changed=False
        )
        return CarriedOut(scene.site, scene.ledger, outcome)
    site = with_request_code(scene.site, scene.fingerprints, nonce, scene.ledger)
    outcome = Outcome(200, "", "There is a new request code.", "Send it to the vendor.", changed=True)
    return CarriedOut(site, scene.ledger, outcome)


def _add_node(node: str, scene: Scene) -> CarriedOut:
    """Let a node join; the next request code, made when all nodes have reported, names its machine too."""
    site = scene.site
    if node in site.members:
        text = f"The node {node} is a member of this site already; nothing changed."
        return _done(scene, scene.ledger, Outcome(200, "", text, "", changed=False, node=node))
    if len(site.members) >= MOST_MEMBERS:
        text = f"The site has {MOST_MEMBERS} management nodes already: {', '.join(site.members)}."
        hint = "A node with new hardware takes the identity of the one that it replaces: set `node` in its settings."
        return CarriedOut(site, scene.ledger, Outcome(409, "site-full", text, hint, changed=False))
    grown = replace(site, members=(*site.members, node), request="")
    hint = "Start its agent and coordinator; then there is a new request code, and the licence stays as it is."
    outcome = Outcome(200, "", f"The node {node} is a member of this site now.", hint, changed=True, node=node)
    return CarriedOut(grown, scene.ledger, outcome)


def _remove(licence_id: str, scene: Scene) -> CarriedOut:
    removed = remove(licence_id, scene.ledger)
    if isinstance(removed, NotInstalled):
        return _refused(scene, removed)
    text = f"The licence {licence_id} is removed."
    return _done(scene, removed.ledger, Outcome(200, "", text, "", changed=True, licences=(licence_id,)))


def _install(files: tuple[bytes, ...], order: Order[Errand], scene: Scene) -> CarriedOut:
    """Install all files or none: the first that is refused refuses all."""
    try:
        opened = sorted((open_licence(file, scene.keyring) for file in files), key=_place_in_lineage)
    except LicenceRefused as refused:
        return _refused(scene, NotInstalled(refused.code, refused.http, refused.text, refused.hint))
    node = _installed_for(opened, order, scene)
    if isinstance(node, NotInstalled):
        return _refused(scene, node)
    ledger, changed, replaced = scene.ledger, False, list[str]()
    at = Circumstances(scene.site, scene.presence, scene.fingerprints, scene.now)
    for signed in opened:
        at = replace(at, spent=tuple(spent for spent in ledger.spent if spent not in scene.ledger.spent))
        told = replace(signed, uploaded_at=scene.now, node=node, who=order.origin.who)
        done = install(told, ledger, at)
        if isinstance(done, NotInstalled):
            return _refused(scene, done)
        ledger, changed = done.ledger, changed or done.changed
        replaced += [done.replaced.name] if done.replaced else []
    outcome = _installed(opened, node, replaced, scene, changed=changed)
    return CarriedOut(_with_unspent_code(scene, ledger, order.fresh), ledger, outcome)


def _place_in_lineage(signed: SignedLicence) -> tuple[int, Time]:
    """The order in which licences that came together are installed, whatever their order in the archive."""
    return signed.licence.sequence, signed.licence.issued


def _installed_for(opened: list[SignedLicence], order: Order[Errand], scene: Scene) -> str | NotInstalled:
    """Say for which node licences are installed: a first one for the virtual IP's holder, others for the receiver."""
    first = not scene.ledger.installed and any(isinstance(signed.licence.binding, SiteBinding) for signed in opened)
    if not first or len(scene.site.members) == 1:
        return order.origin.node
    match scene.holders:
        case (holder,):
            return holder
        case ():
            if order.origin.console:
                return order.origin.node
            return NotInstalled(
                "no-vip-holder",
                409,
                "No node holds the virtual IP, to whose holder a first licence belongs.",
                "See that keepalived runs on a node, or install the licence on a node's console.",
            )
        case _:
            return NotInstalled(
                "two-vip-holders",
                409,
                "Both nodes hold the virtual IP, so it is not clear to which a first licence belongs.",
                "Mend the network between the nodes, so that one of them gives the virtual IP up.",
            )


def _installed(opened: list[SignedLicence], node: str, replaced: list[str], scene: Scene, *, changed: bool) -> Outcome:
    names = ", ".join(signed.licence.name for signed in opened)
    text = f"Installed {names}." if changed else f"{names} is installed already; nothing changed."
    if replaced:
        text += f" It takes the place of {', '.join(replaced)}."
    pending = [signed.licence for signed in opened if signed.licence.not_before > scene.now]
    warnings = [f"{licence.name} becomes valid {licence.not_before:%Y-%m-%d %H:%M} UTC." for licence in pending]
    warnings += [warning for signed in opened for warning in _quota_warnings(signed, scene)]
    hint = "Reduce usage or ask the vendor for more." if len(warnings) > len(pending) else ""
    ids = tuple(signed.licence.licence_id for signed in opened)
    told = node if changed else ""  # the same again stays where it was installed
    return Outcome(200, "", text, hint, changed=changed, node=told, licences=ids, warnings=tuple(warnings))


def _quota_warnings(signed: SignedLicence, scene: Scene) -> list[str]:
    over = over_quota(signed.licence.quota, scene.ledger.usage)
    return [
        f"More {UNITS[unit]} are used than {signed.licence.name} covers; most operations are refused." for unit in over
    ]


def _refused(scene: Scene, why: NotInstalled) -> CarriedOut:
    outcome = Outcome(why.http, why.code, why.text, why.hint, changed=False)
    return CarriedOut(scene.site, scene.ledger, outcome)


def _done(scene: Scene, ledger: Ledger, outcome: Outcome) -> CarriedOut:
    return CarriedOut(scene.site, ledger, outcome)
