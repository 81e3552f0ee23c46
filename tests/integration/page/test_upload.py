"""Uploading a licence: what it would do is shown before anything changes, what is refused changes nothing."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace
from playwright.sync_api import FilePayload, Locator, Page, expect

from licensing.licence import SiteBinding
from tests.integration.page.page_site import ADMIN, OTHER_ADMIN, PageSite
from tests.integration.page.visitor import Visits
from tests.integration.site.vendor import DAY, Vendor, state_of

HOUR = dt.timedelta(hours=1)


@pytest.fixture
def vendor(site: PageSite) -> Vendor:
    """Give the vendor of the site."""
    return Vendor(site)


def choose(page: Page, file: bytes, name: str = "acme.licence") -> Locator:
    """Choose a file with the picker; return the place where the page says what it would do."""
    with page.expect_file_chooser() as chooser:
        page.get_by_text("Choose a licence file").click()
    chooser.value.set_files(FilePayload(name=name, mimeType="application/octet-stream", buffer=file))
    return page.get_by_role("status", name="Upload result")


def licence_shown(page: Page) -> Locator:
    """Return the name of the licence in force, as the page shows it."""
    return page.get_by_role("region", name="Licence", exact=True).get_by_role("definition")


def test_a_licence_is_previewed_and_then_applied(visits: Visits, vendor: Vendor) -> None:
    """The preview says what would change, and nothing has; applied, the licence is in force at once, on both nodes."""
    page = visits.sign_in().page
    licence = vendor.licence(name="Acme Ltd", service_expires=dt.datetime.now(dt.UTC) + 20 * DAY)
    before = state_of(vendor.site)
    result = choose(page, vendor.sign(licence))
    expect(result.get_by_role("heading", name="What acme.licence would do")).to_be_visible()
    expect(result).to_contain_text("It can be installed.")
    comparison = result.get_by_role("table", name="The licence in force now and afterwards")
    row = comparison.get_by_role("row").filter(has=page.get_by_role("rowheader", name="Licence", exact=True))
    expect(row.get_by_role("cell").last).to_contain_text("Acme Ltd")
    expect(row).to_contain_text("changes")
    assert state_of(vendor.site) == before
    result.get_by_role("button", name="Apply").click()
    expect(result).to_contain_text("Done.")
    expect(licence_shown(page).get_by_text("Acme Ltd", exact=True)).to_be_visible()
    expect(page.get_by_role("region", name="Licence", exact=True)).to_contain_text(
        "It was installed for this site with its request code."
    )
    expect(page.get_by_role("region", name="Alerts")).to_contain_text("in 19 days")
    expect(page.get_by_role("button", name="Copy USB key ID")).to_have_count(0)
    vendor.site.wait_for("b", lambda status: status["license"]["name"] == "Acme Ltd")


def test_a_licence_is_dropped_and_discarded(visits: Visits, vendor: Vendor, tmp_path: Path) -> None:
    """A file that is dragged onto the page is checked like one that is chosen; discarded, nothing is left of it."""
    file = tmp_path / "dropped.licence"
    file.write_bytes(vendor.file())
    page = visits.sign_in().page
    before = state_of(vendor.site)
    drop(page, page.get_by_text("Drop a licence file here"), file)
    result = page.get_by_role("status", name="Upload result")
    expect(result.get_by_role("heading", name="What dropped.licence would do")).to_be_visible()
    result.get_by_role("button", name="Discard").click()
    expect(result).to_be_empty()
    assert state_of(vendor.site) == before


def drop(page: Page, target: Locator, file: Path) -> None:
    """Drag a file over the page and let it go, as the browser's window is told by the desktop."""
    target.scroll_into_view_if_needed()
    box = target.bounding_box()
    assert box
    place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    data = {"items": [], "files": [str(file)], "dragOperationsMask": 1}
    session = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, **place, "data": data})


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("wrong-site", "422 LICENSE.1002"),
        ("flipped-bit", "422 bad-signature"),
        ("wrong-vendor", "422 unknown-key-id"),
        ("no-licence", "400 LICENSE.1006"),
        ("expired", "422 LICENSE.1000"),
    ],
    ids=["wrong-site", "flipped-bit", "wrong-vendor", "no-licence", "expired"],
)
def test_an_upload_is_refused(visits: Visits, vendor: Vendor, fault: str, code: str) -> None:
    """The page shows the code, why, what to do and that nothing was changed, which is right; it cannot be applied."""
    page = visits.sign_in().page
    before = state_of(vendor.site)
    result = choose(page, wrong(vendor, fault))
    expect(result.get_by_text(code)).to_be_visible()
    expect(result).to_contain_text("Next:")
    expect(result).to_contain_text("Nothing was changed.")
    expect(result.get_by_role("button", name="Apply")).to_have_count(0)
    assert state_of(vendor.site) == before


def wrong(vendor: Vendor, fault: str) -> bytes:
    """Return a file with one fault."""
    good = vendor.file()
    match fault:
        case "wrong-site":
            return vendor.file(binding=strange(vendor.binding()))
        case "flipped-bit":
            middle = len(good) // 3
            return good[:middle] + bytes([good[middle] ^ 1]) + good[middle + 1 :]
        case "wrong-vendor":
            return vendor.sign(vendor.licence(), Ed25519PrivateKey.generate())
        case "expired":
            now = dt.datetime.now(dt.UTC)
            return vendor.file(issued=now - 2 * HOUR, not_before=now - 2 * HOUR, expires=now - HOUR)
    return b"This is a letter and no licence."


def strange(binding: SiteBinding) -> SiteBinding:
    """Return the binding to a site that is another one."""
    return replace(binding, site_id="another-site", fingerprints=("0" * 64,))


def test_a_file_that_is_too_large_is_not_even_sent(visits: Visits, vendor: Vendor) -> None:
    """The page says how large it is, and asks nothing of the node."""
    visitor = visits.sign_in()
    result = choose(visitor.page, b"x" * (900 * 1024))
    expect(result).to_contain_text("The file has 900 KiB")
    expect(result).to_contain_text("Nothing was changed.")
    assert not [url for url in visitor.watch.requests if "inspect" in url]
    assert vendor.site.status("a")["index"]


def test_two_operators_at_once(visits: Visits, vendor: Vendor) -> None:
    """While one looks at a preview the other installs; the first is told, and applying changes nothing unseen."""
    anna, bob = visits.sign_in(ADMIN).page, visits.sign_in(OTHER_ADMIN, "b").page
    first = vendor.licence(name="Anna's")
    second = vendor.licence(name="Bob's", binding=first.binding)
    looked = choose(anna, vendor.sign(first))
    expect(looked).to_contain_text("It can be installed.")
    installed = choose(bob, vendor.sign(second))
    installed.get_by_role("button", name="Apply").click()
    expect(installed).to_contain_text("Done.")
    expect(looked).to_contain_text("The licence in force has changed since this check.")
    expect(licence_shown(anna).get_by_text("Bob's", exact=True)).to_be_visible()
    looked.get_by_role("button", name="Apply").click()
    expect(looked).to_contain_text("The site has changed since the file was checked")
    expect(looked).to_contain_text("409 nonce-used")
    expect(looked.get_by_role("button", name="Apply")).to_have_count(0)
    assert vendor.site.status("a")["license"]["name"] == "Bob's"


def test_a_preview_that_still_holds_is_applied_at_once(visits: Visits, vendor: Vendor) -> None:
    """What changed meanwhile and makes no difference to the upload does not stop it."""
    page = visits.sign_in().page
    result = choose(page, vendor.file(name="Still good"))
    expect(result).to_contain_text("It can be installed.")
    index = vendor.site.status("a")["index"]
    vendor.site.nodes["a"].vip.unlink()
    vendor.site.nodes["b"].vip.touch()
    try:
        vendor.site.wait_for("a", lambda status: status["index"] > index)
        result.get_by_role("button", name="Apply").click()
        expect(result).to_contain_text("Done.")
    finally:
        vendor.site.nodes["b"].vip.unlink()
        vendor.site.nodes["a"].vip.touch()


def test_the_session_ends_over_a_preview(visits: Visits, vendor: Vendor) -> None:
    """Applying asks for the token, keeps the preview meanwhile, and then goes on by itself."""
    page = visits.sign_in().page
    result = choose(page, vendor.file(name="Patient"))
    expect(result).to_contain_text("It can be installed.")
    page.context.clear_cookies()
    result.get_by_role("button", name="Apply").click()
    dialog = page.get_by_role("dialog", name="Your session has ended")
    dialog.get_by_label("Token", exact=True).fill(ADMIN)
    dialog.get_by_role("button", name="Sign in").click()
    expect(result).to_contain_text("Done.")
    assert vendor.site.status("a")["license"]["name"] == "Patient"


def test_the_store_goes_away_over_an_upload(visits: Visits, vendor: Vendor, site: PageSite) -> None:
    """A site that cannot install just now says so, and the file is still there for another attempt."""
    page = visits.sign_in().page
    result = choose(page, vendor.file(name="Second try"))
    expect(result).to_contain_text("It can be installed.")
    site.etcd.stop()
    try:
        result.get_by_role("button", name="Apply").click()
        expect(result).to_contain_text("Next:", timeout=20_000)
    finally:
        site.launch()
    site.wait_for_all(lambda status: not status["stale"], within=10)
    result.get_by_role("button", name="Back to the preview").click()
    result.get_by_role("button", name="Apply").click()
    expect(result).to_contain_text("Done.")
