"""What a newer version writes, as far as this one can know: values that have something more to say."""

from __future__ import annotations

import json

NEW_MEMBER = "aNewMember"


def extended(value: bytes) -> bytes:
    """Return a stored value as a version would write it that has one more member."""
    told = json.loads(value)
    told["data"][NEW_MEMBER] = {"of": [1, "thing"]}
    return json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
