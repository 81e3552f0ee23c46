"""Licences that a client uploads: signed for the site's request code, each a contract of its own."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from typing import Any

from licensing.envelope import seal
from licensing.keyring import key_id
from licensing.licence import Edition
from licensing.request_code import RequestCode, binding_of, parse
from tests.licences import good_licence
from tests.netsite.netsite import NetSite

UPLOAD = "/v1/licenses"


def new_licence(site: NetSite, label: str) -> tuple[str, bytes]:
    """Return the name and the file of a licence that answers the request code which a node gives out now."""
    return licence_for(site, request_code(site, label))


def request_code(site: NetSite, label: str) -> RequestCode:
    """Return the request code that a node gives out now."""
    answer = site.call(label, "GET", "/v1/licenses/request-code")
    assert answer.status == 200, answer.body
    return parse(answer.body.decode())


def licence_for(site: NetSite, code: RequestCode) -> tuple[str, bytes]:
    """Return the name and the file of a new licence that answers a request code."""
    now, name = dt.datetime.now(dt.UTC), uuid.uuid4().hex
    licence = good_licence(name, binding_of(code), now, dt.timedelta(days=300), edition=Edition.BASIC_PAID)
    vendor = site.site.vendor
    return name, seal(licence, key_id(vendor.public_key().public_bytes_raw()), vendor)


def times_installed(site: NetSite, label: str, name: str) -> int:
    """Return how many records say that this licence was installed."""
    records: list[dict[str, Any]] = []
    while True:
        page = json.loads(site.call(label, "GET", f"/v1/licenses/records?start={len(records)}&limit=100").body)
        records += page["inventories"]
        if not page["inventories"] or len(records) >= page["total"]:
            return sum(each["action"] == "installed" and each["name"] == name for each in records)
