"""The licence in force in the words of the platform's own licence API.

A pure translation of a status: what is shown is what the status says, and the ledger and the site only add what a
status does not repeat (which licence it is, when and for which node it was installed). Decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from licensing.inforce import BUILT_IN, USB_KEY, trial_of
from licensing.ledger import Ledger, Site
from licensing.licence import Edition, Licence, Quota, SignedLicence
from licensing.seen import Assurance
from licensing.status import LicenceStatus, Status, UsageStatus, Validity
from licensing.usage import available
from licensing.value import Time, Value


class Inventory(Value, frozen=True):
    """One licence as the platform's clients read it; None for what does not apply or is not known.

    A number of None means no limit; `available…` is what is left of a limit, None as well where its usage is unknown.
    `cpuNum` counts CPU sockets and `cpuCoreNum` CPU cores; no licence limits virtual machines or `capacity`.
    `user`: the licensee. `source`: usb-key, request-key or built-in. `platformId`: the site. `licenseRequest`: the
    site's request code. `managementNodeUuid`: the node for which it was installed, or in which its key was last seen.
    `assurance`: what the reading of its USB key is worth, while that is inserted.
    """

    uuid: str | None
    user: str | None
    prod_info: str | None
    cpu_num: int | None
    host_num: int | None
    vm_num: int | None
    capacity: int | None
    license_type: str | None
    quota_type: str | None
    expired_date: Time | None
    issued_date: Time | None
    upload_date: Time | None
    management_node_uuid: str | None
    expired: bool
    source: str | None
    platform_id: str | None
    license_request: str | None
    available_host_num: int | None
    available_cpu_num: int | None
    available_vm_num: int | None
    usage: UsageStatus | None
    edition: Edition | None
    service_expired_date: Time | None
    cpu_core_num: int | None
    key_id: str | None
    assurance: Assurance | None


QUOTA_TYPES = {"hosts": "Host", "cpu_sockets": "CPU", "cpu_cores": "CPUCore"}
"""What the platform calls a licence that is counted in a unit; one counted in several has them joined by `+`."""


NOTHING = Quota(hosts=0, cpu_sockets=0, cpu_cores=0)
"""What a site without a licence may use."""


def inventory(status: Status, ledger: Ledger | None, site: Site | None) -> Inventory:
    """Return the licence in force; `ledger` and `site` are None where they cannot be read."""
    shown, quota = status.license, status.quota or NOTHING
    held = _found(shown, ledger or Ledger(), site)
    left = available(status.quota, status.usage)
    return Inventory(
        uuid=held.licence.licence_id if held else None,
        user=shown.name,
        prod_info=shown.edition.title if shown.edition else None,
        cpu_num=quota.cpu_sockets,
        host_num=quota.hosts,
        vm_num=None,
        capacity=None,
        license_type=_license_type(shown.edition),
        quota_type=_quota_type(status.quota or Quota()),
        expired_date=shown.expires,
        issued_date=shown.issued,
        upload_date=held.uploaded_at if held else None,
        management_node_uuid=held.node or None if held else None,
        expired=shown.status is Validity.EXPIRED,
        source=shown.source,
        platform_id=site.site_id if site else None,
        license_request=site.request or None if site else None,
        available_host_num=left.hosts,
        available_cpu_num=left.cpu_sockets,
        available_vm_num=None,
        usage=status.usage,
        edition=shown.edition,
        service_expired_date=shown.service_expires,
        cpu_core_num=quota.cpu_cores,
        key_id=shown.key_id,
        assurance=_assurance(status),
    )


def _assurance(status: Status) -> Assurance | None:
    keys = (key for node in status.nodes for key in node.ukeys if key.key_id == status.license.key_id)
    return next((key.assurance for key in keys), None)


def _license_type(edition: Edition | None) -> str | None:
    if edition is None:
        return None
    return "Trial" if edition is Edition.BASIC_TRIAL else "Paid"


def _quota_type(quota: Quota) -> str | None:
    return "+".join(word for unit, word in QUOTA_TYPES.items() if getattr(quota, unit) is not None) or None


def _found(shown: LicenceStatus, ledger: Ledger, site: Site | None) -> SignedLicence | None:
    """Return what is remembered of the licence that is shown; None when the ledger is of another moment."""
    same = (held for held in _candidates(shown, ledger, site) if _is(shown, held.licence))
    return max(same, key=lambda held: held.licence.licence_id, default=None)


def _candidates(shown: LicenceStatus, ledger: Ledger, site: Site | None) -> Iterator[SignedLicence]:
    if shown.source == USB_KEY:
        for history in ledger.keys:
            if history.key_id == shown.key_id:
                held = history.signed
                yield SignedLicence(held.licence, held.file, held.uploaded_at, history.node or held.node, held.who)
    elif shown.source == BUILT_IN:
        if site is not None:
            yield SignedLicence(trial_of(site), b"")
    else:
        yield from ledger.installed


def _is(shown: LicenceStatus, licence: Licence) -> bool:
    of_licence = (licence.name, licence.edition, licence.issued, licence.expires, licence.service_expires)
    return (shown.name, shown.edition, shown.issued, shown.expires, shown.service_expires) == of_licence
