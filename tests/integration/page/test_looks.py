"""States of the page when all is well: axe finds nothing in either theme and language, nothing sticks out on a phone.

`Visitor.examine` also keeps pictures of them, to be looked at.
"""

from __future__ import annotations

from typing import get_args

import pytest
from playwright.sync_api import FilePayload, expect

from tests.integration.page.page_site import ADMIN, READER, PageSite
from tests.integration.page.visitor import Language, Visits
from tests.integration.site.vendor import Vendor

languages = pytest.mark.parametrize("language", get_args(Language))


def in_force(site: PageSite, key: str) -> None:
    """Wait until the licence of a key is in force."""
    site.wait_for_all(lambda status: status["license"]["keyId"] == key)


@languages
def test_signing_in(visits: Visits, language: Language) -> None:
    """The dialog, and what it says of a wrong token."""
    visitor = visits.open(language=language)
    expect(visitor.page.get_by_role("dialog")).to_be_visible()
    visitor.examine("sign-in")
    visitor.page.get_by_role("dialog").get_by_label(visitor.say("session.token"), exact=True).fill("wrong")
    visitor.button("session.signIn").click()
    expect(visitor.page.get_by_role("dialog").get_by_role("alert")).not_to_be_empty()
    visitor.examine("sign-in-refused")


@languages
def test_a_key_in_service(visits: Visits, site: PageSite, language: Language) -> None:
    """All sections, for those who may change things and for a reader, and the preview of a removal."""
    site.plug("b", site.new_key("READY"))
    in_force(site, "READY")
    assert site.call("a", "PUT", "/v1/licenses/usage", b'{"hosts": 7, "cpuSockets": 14}').status == 200
    visitor = visits.sign_in(ADMIN, language=language)
    page = visitor.page
    expect(page.get_by_role("meter")).to_have_count(1)
    visitor.button("removal.ofKey", key="READY").click()
    visitor.button("verify.button").click()
    expect(visitor.button("removal.close")).to_be_visible()
    expect(page.get_by_role("status", name=visitor.say("verify.result"))).not_to_be_empty()
    visitor.examine("ready")
    visits.sign_in(READER, language=language).examine("ready-reader")


@languages
def test_uploads(visits: Visits, site: PageSite, language: Language) -> None:
    """A preview, a refusal and a licence that was installed."""
    visitor, vendor = visits.sign_in(ADMIN, language=language), Vendor(site)
    page = visitor.page
    result = page.get_by_role("status", name=visitor.say("upload.result"))
    for state, file in (("refused", b"no licence"), ("accepted", vendor.file(name="ACME LTD"))):
        with page.expect_file_chooser() as chooser:
            page.get_by_text(visitor.say("upload.choose")).click()
        chooser.value.set_files(FilePayload(name="acme.licence", mimeType="application/octet-stream", buffer=file))
        expect(visitor.button("upload.apply")).to_have_count(int(state == "accepted"))
        expect(visitor.button("upload.discard")).to_be_visible()
        visitor.examine(f"upload-{state}")
    visitor.button("upload.apply").click()
    expect(visitor.button("upload.discard")).to_have_count(0)
    expect(result).to_contain_text("ACME LTD")
    visitor.examine("upload-installed")


@languages
def test_the_record(visits: Visits, site: PageSite, language: Language) -> None:
    """A history with keys that came and went, filtered."""
    for name in ("OLD-KEY", "NEW-KEY"):
        site.plug("a", site.new_key(name))
        in_force(site, name)
        site.unplug("a", name)
        site.wait_for_all(lambda status: status["buffer"])
    visitor = visits.sign_in(READER, language=language)
    visitor.page.get_by_label(visitor.say("records.managementType")).select_option("usb-key")
    visitor.page.get_by_label(visitor.say("records.text"), exact=True).fill("OLD-KEY")
    expect(visitor.page.get_by_role("table", name=visitor.say("records.title"))).to_contain_text("OLD-KEY")
    visitor.examine("record-and-buffer")
