"""Histories for tests: records that follow from one another."""

from __future__ import annotations

import datetime as dt
from typing import Any

from licensing.licence import Quota
from licensing.records import Action, ChainHead, Content, ManagementType, Record, Unit, append
from licensing.status import Validity

BEGINNING = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def content(number: int = 0, **changes: Any) -> Content:
    """Return what a record says of the day `number`, with some members changed."""
    facts: dict[str, Any] = {
        "upload_date": BEGINNING + dt.timedelta(days=number),
        "management_type": ManagementType.USB_KEY,
        "authorization_method": (Unit.HOSTS,),
        "item": "Basic Edition - Paid",
        "quota": Quota(hosts=10),
        "status": Validity.VALID,
        "issued_date": BEGINNING,
        "expired_date": BEGINNING + dt.timedelta(days=365),
        "key_id": "K1",
        "licence_id": f"L{number}",
        "name": "Site licence",
        "who": "admin",
        "node": "a",
        "replaced": None,
        "action": Action.INSTALLED,
        "sentence": "Installed.",
    }
    return Content(**facts | changes)


def history(contents: list[Content]) -> tuple[list[Record], ChainHead]:
    """Return the records that say this, in order, and the head of their chain."""
    records, head = [], ChainHead()
    for each in contents:
        record, head = append(head, each)
        records.append(record)
    return records, head
