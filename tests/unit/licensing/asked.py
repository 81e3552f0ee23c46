"""Licences that were asked for with a request code, signed as the vendor does, and the site that asked."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from licensing.envelope import seal
from licensing.ledger import Site
from licensing.licence import SignedLicence
from tests.unit.licensing.signing import AT_SITE, KID, VENDOR, day, licence

NOW = day("2026-03-01")
SITE = Site("site-1", ("node-a", "node-b"), day("2026-02-20"), nonces=("n-1", "n-2", "n-3"))
LATER: dict[str, Any] = {"licence_id": "L-2", "sequence": 2, "issued": day("2026-02-01")}
"""What makes a licence the newer one of its lineage."""
NEXT_YEAR: dict[str, Any] = LATER | {"not_before": day("2027-01-01"), "expires": day("2028-01-01")}
"""The same as a renewal that begins when the first one ends."""


def asked(nonce: str = "n-1", **changes: Any) -> SignedLicence:
    """Return a licence for the site that answers the request code of this nonce."""
    told = licence(**({"binding": replace(AT_SITE, nonce=nonce)} | changes))
    return SignedLicence(told, seal(told, KID, VENDOR))
