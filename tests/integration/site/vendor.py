"""The vendor of a running site: signs licences that answer the site's newest request code, and odd ones too."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from licensing.envelope import seal
from licensing.keyring import key_id
from licensing.licence import Edition, Licence, SiteBinding
from licensing.request_code import binding_of, parse
from tests.licences import good_licence
from tests.site import KEYS, Answer, LiveSite
from tests.waiting import eventually_sync

DAY = dt.timedelta(days=1)


class Vendor:
    """Signs for one site; every licence is a contract of its own unless it is told otherwise."""

    def __init__(self, site: LiveSite) -> None:
        self.site = site
        self.key = site.site.vendor

    @property
    def kid(self) -> str:
        """The id of its key."""
        return key_id(self.key.public_key().public_bytes_raw())

    def binding(self) -> SiteBinding:
        """Return what binds a licence to the site, by the request code that it gives out now."""
        answer = eventually_sync(self._request_code)  # a node that was in the dark may need a moment to see it
        return binding_of(parse(answer.body.decode()))

    def _request_code(self) -> Answer | None:
        answer = self.site.get("a", "/v1/licenses/request-code")
        return answer if answer.status == 200 else None

    def licence(self, **changes: Any) -> Licence:
        """Return a good licence but for the changes."""
        now, name = dt.datetime.now(dt.UTC), uuid.uuid4().hex  # to the microsecond: the newest is the one in force
        good = good_licence(name, self.binding(), now, 300 * DAY, sequence=5, edition=Edition.BASIC_PAID)
        return replace(good, **changes)

    def file(self, **changes: Any) -> bytes:
        """Return the file of a good licence but for the changes."""
        return self.sign(self.licence(**changes))

    def sign(self, licence: Licence, key: Ed25519PrivateKey | None = None) -> bytes:
        """Return a licence's file, signed with the vendor's key or another one."""
        signing = key or self.key
        return seal(licence, key_id(signing.public_key().public_bytes_raw()), signing)

    def install(self, file: bytes, label: str = "b") -> dict[str, Any]:
        """Upload a file that must be accepted; return the answer."""
        answer = self.site.call(label, "POST", "/v1/licenses", file)
        assert answer.status == 200, answer.body
        found: dict[str, Any] = json.loads(answer.body)
        return found


def refused(answer: Answer) -> tuple[int, str]:
    """Return status and code of a refusal, which must say what to do next."""
    error = json.loads(answer.body)["error"]
    assert error["description"]
    assert error["hint"]
    return answer.status, error["code"]


def state_of(site: LiveSite) -> dict[str, bytes]:
    """Return everything that is stored but what idle daemons may write, and what both nodes answer."""
    site.wait_until_told()
    passing = (KEYS.outcomes, KEYS.clock)

    async def read(store: Any) -> dict[str, bytes]:
        entries = (await store.snapshot(KEYS.prefix)).entries
        return {key: entry.value for key, entry in entries.items() if not key.startswith(passing)}

    shown = {label: site.get(label, "/v1/status").body for label in site.nodes}
    return site.in_store(read) | shown
