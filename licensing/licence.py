"""The licence: what the vendor signs, for whom, and what it covers.

This file knows the shape of a licence and no rule about it. How a licence is written in a file is the subject of
`licensing.envelope`.
"""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import msgspec
from msgspec import Meta

from licensing.value import Count, Name, Time, Value


class Edition(Enum):
    """The three licensing agreements."""

    BASIC_TRIAL = "basic-trial"
    BASIC_PAID = "basic-paid"
    ADVANCED_PAID = "advanced-paid"

    @property
    def title(self) -> str:
        """The agreement's name as the platform shows it."""
        return _EDITION_TITLES[self]


_EDITION_TITLES = {
    Edition.BASIC_TRIAL: "Basic Edition - Trial",
    Edition.BASIC_PAID: "Basic Edition - Paid",
    Edition.ADVANCED_PAID: "Advanced Edition - Paid",
}


class Quota(Value, frozen=True, omit_defaults=True):
    """What a licence covers; a unit that is None is unlimited."""

    hosts: Count | None = None
    cpu_sockets: Count | None = None
    cpu_cores: Count | None = None


class KeyBinding(Value, frozen=True, tag_field="kind", tag="usb-key", omit_defaults=True):
    """The licence belongs to one USB key; `device_public_key` (32 bytes, Ed25519) where the key can prove itself."""

    key_id: Name
    device_public_key: Annotated[bytes, Meta(min_length=32, max_length=32)] | None = None


class SiteBinding(Value, frozen=True, tag_field="kind", tag="request-key"):
    """The licence belongs to one site, asked for with a request code."""

    site_id: Name
    fingerprints: Annotated[tuple[Name, ...], Meta(min_length=1, max_length=8)]
    nonce: Name


class BuiltIn(Value, frozen=True, tag_field="kind", tag="built-in"):
    """The trial, which no file carries."""


Binding = KeyBinding | SiteBinding | BuiltIn


class Licence(Value, frozen=True, omit_defaults=True):
    """What the vendor signs.

    `lineage` names the contract that a licence continues and `sequence` its place in it: within a lineage the higher
    (sequence, issued) replaces the lower.
    """

    licence_id: Name
    lineage: Name
    sequence: Count
    product: Name
    name: Name
    edition: Edition
    issued: Time = msgspec.field(name="issuedDate")
    not_before: Time = msgspec.field(name="notBeforeDate")
    expires: Time = msgspec.field(name="expiredDate")
    quota: Quota
    binding: Binding
    service_expires: Time | None = msgspec.field(name="serviceExpiredDate", default=None)


class SignedLicence(Value, frozen=True, omit_defaults=True):
    """A licence together with the very bytes whose signature was verified.

    `uploaded_at`, `node`, `who`: when it was installed, for which node and by whom; empty for what is only carried.
    """

    licence: Licence
    file: bytes
    uploaded_at: Time | None = None
    node: str = ""
    who: str = ""
