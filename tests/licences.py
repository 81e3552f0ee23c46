"""A good licence, to be changed where a test wants another; it is for those who sign it to say by whom it is."""

from __future__ import annotations

import datetime as dt
from typing import Any

from msgspec.structs import replace

from licensing.envelope import PRODUCT
from licensing.licence import Edition, KeyBinding, Licence, Quota, SiteBinding


def good_licence(
    name: str, binding: KeyBinding | SiteBinding, issued: dt.datetime, lasts: dt.timedelta, **changes: Any
) -> Licence:
    """Return a licence for 10 hosts, the first of a lineage with its own name, but for the changes."""
    good = Licence(
        licence_id=name,
        lineage=name,
        sequence=1,
        product=PRODUCT,
        name=name,
        edition=Edition.ADVANCED_PAID,
        issued=issued,
        not_before=issued,
        expires=issued + lasts,
        quota=Quota(hosts=10),
        binding=binding,
    )
    return replace(good, **changes)
