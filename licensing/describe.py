"""The published answer: what a site's ledger means at one moment.

This is the part of the law that depends on the passing of time alone, so a node that sees no leader can say it too.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from licensing import quota as quotas
from licensing.alerts import Situation, alerts_of, banner_of, because
from licensing.genuine import device_key_of
from licensing.inforce import InForce, in_force
from licensing.ledger import Ledger, Site, Usage
from licensing.policy import USAGE_FRESH_FOR, Policy
from licensing.presence import Presence
from licensing.seen import Assurance, InsertedKey, NodeView, Reading, Visibility
from licensing.status import Alert, BufferStatus, KeyStatus, LicenceStatus, NodeStatus, Status, UsageStatus, Validity
from licensing.value import Time


def describe(
    site: Site, ledger: Ledger, nodes: tuple[NodeStatus, ...], key_reason: str, now: Time, policy: Policy
) -> Status:
    """Return the status at `now`; `nodes` and `key_reason` are what the last decision saw."""
    held = in_force(site, ledger, now)
    quota = held.licence.quota if held else None
    over = quotas.over_quota(quota, ledger.usage)
    situation = Situation(now, held, ledger.key_state, over, clones(nodes), keys_fail(nodes))
    alerts = alerts_of(situation)
    return Status(
        key_state=ledger.key_state,
        key_state_reason=key_reason,
        license=_licence_status(held),
        buffer=BufferStatus(held.buffer_until) if held and held.buffer_until else None,
        alerts=alerts,
        restricted=bool(over) or not situation.usable,
        start_allowed=not over,
        banner=banner_of(alerts, policy),
        nodes=nodes,
        usage=_usage_status(ledger.usage, now),
        quota=quota,
        reasons=(
            key_reason,
            because(situation),
            *_quota_reasons(over, held, ledger.usage),
            *_problems(nodes),
        ),
    )


def lapse(status: Status, now: Time, policy: Policy) -> tuple[Status, Time | None]:
    """Return what a status has become by `now`, when the ledger behind it cannot be read, and when it changes next.

    All that can be known without the ledger is that a licence which has run out is not valid.
    """
    ends = [at for at in (status.license.expires, status.buffer.expires if status.buffer else None) if at is not None]
    if status.license.status is Validity.EXPIRED or not ends:
        return status, None
    if now < min(ends):
        return status, min(ends)
    alerts = tuple(alert for alert in Alert if alert in status.alerts or alert is Alert.EXPIRED)
    expired = replace(
        status,
        license=replace(status.license, status=Validity.EXPIRED),
        alerts=alerts,
        restricted=True,
        banner=banner_of(alerts, policy),
        reasons=(status.key_state_reason, f"The licence {status.license.name} has run out."),
    )
    return expired, None


def clones(nodes: Sequence[NodeStatus]) -> tuple[str, ...]:
    """The key ids that are in more than one node at once."""
    seen = [key_id for node in nodes for key_id in {key.key_id for key in node.ukeys}]
    return tuple(sorted({key_id for key_id in seen if seen.count(key_id) > 1}))


def keys_fail(nodes: Sequence[NodeStatus]) -> bool:
    """Whether keys are inserted and none of them can be used; one that is being read may yet."""
    readings = {key.reading for node in nodes for key in node.ukeys}
    return bool(readings) and not readings & {Reading.OK, Reading.PENDING}


def node_statuses(views: Sequence[NodeView], presence: Presence) -> tuple[NodeStatus, ...]:
    """Show every member with the keys that count in it."""
    return tuple(
        NodeStatus(
            management_node_uuid=view.node,
            name=view.name,
            reachable=view.visibility is Visibility.LIVE,
            visibility=view.visibility,
            vip=view.vip and view.visibility is Visibility.LIVE,
            ukeys=tuple(_key_status(key) for key in presence.keys[view.node]),
            problem=view.problem or _silence(view, presence),
            reported_at=view.reported_at,
            abandoned_readers=view.abandoned_readers,
        )
        for view in views
    )


def _key_status(key: InsertedKey) -> KeyStatus:
    return KeyStatus(key.key_id, key.reading, key.reason, _assurance(key))


def _assurance(key: InsertedKey) -> Assurance | None:
    """What the key's reading is worth; one that must prove itself and is only presumed to be there proved nothing."""
    if key.reading is not Reading.OK or key.licence is None:
        return None
    if device_key_of(key.licence) is None:
        return "copyable"
    return "proven" if key.proved is not None else None


def _silence(view: NodeView, presence: Presence) -> str:
    if view.node in presence.given_up:
        return "It has not reported for so long that its keys count as removed."
    if view.visibility is Visibility.STALE:
        return "It stopped reporting; its last report is held."
    return ""


def _licence_status(held: InForce | None) -> LicenceStatus:
    if held is None:
        return LicenceStatus(None, Validity.EXPIRED, None, None, None, None, None, None)
    licence = held.licence
    return LicenceStatus(
        name=licence.name,
        status=Validity.VALID if held.usable else Validity.EXPIRED,
        expires=licence.expires,
        edition=licence.edition,
        source=held.source,
        key_id=held.key_id,
        issued=licence.issued,
        service_expires=licence.service_expires,
    )


def _usage_status(usage: Usage | None, now: Time) -> UsageStatus | None:
    if usage is None:
        return None
    stale = now - usage.reported_at > USAGE_FRESH_FOR
    return UsageStatus(usage.hosts, usage.cpu_sockets, usage.cpu_cores, usage.vms, usage.reported_at, stale)


def _quota_reasons(over: tuple[str, ...], held: InForce | None, usage: Usage | None) -> tuple[str, ...]:
    if usage is None:
        return ("Usage was never reported, so it is not known whether the quota is kept.",)
    if held is None:
        return ()
    return tuple(quotas.explain(unit, held.licence.quota, usage) for unit in over)


def _problems(nodes: Sequence[NodeStatus]) -> tuple[str, ...]:
    return tuple(f"Node {node.name}: {node.problem}" for node in nodes if node.problem)
