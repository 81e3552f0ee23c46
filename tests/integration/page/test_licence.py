"""Are we licensed, until when, why not, what next; what is used of it; and what can be asked for beside an upload."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGCONT, SIGSTOP

from playwright.sync_api import Page, expect

from licensing.request_code import parse
from tests.integration.page.page_site import NAME, READER, PageSite
from tests.integration.page.visitor import Visits

DAY = dt.timedelta(days=1)


@contextmanager
def used(site: PageSite, **counts: int) -> Iterator[None]:
    """Have the platform report usage, and less for the tests that follow."""
    report(site, **counts)
    try:
        yield
    finally:
        report(site, hosts=1)


def report(site: PageSite, **counts: int) -> None:
    """Report usage as the platform does."""
    assert site.call("a", "PUT", "/v1/licenses/usage", json.dumps(counts).encode()).status == 200


def standing(page: Page, word: str) -> None:
    """Expect the verdict at the top."""
    expect(page.get_by_role("region", name="Licence", exact=True).get_by_role("heading", level=3).first).to_have_text(
        word
    )


def test_the_licence_of_a_key_is_shown_as_it_is_plugged_in(visits: Visits, site: PageSite) -> None:
    """Without a reload: valid, until when and how long that is, why, what next, and its particulars."""
    page = visits.sign_in().page
    region = page.get_by_role("region", name="Licence", exact=True)
    site.plug("a", site.new_key("LIVE-KEY"))
    expect(region).to_contain_text("USB key LIVE-KEY carries it and is in service.")
    standing(page, "Valid")
    expires = dt.datetime.fromisoformat(site.status("a")["license"]["expires"])
    until = region.get_by_role("paragraph").filter(has_text="days left").get_by_role("time")
    expect(until).to_have_attribute("title", f"{expires:%Y-%m-%d %H:%M:%S} UTC")
    for sentence in ("299 days left", "Nothing to do.", "Advanced Edition - Paid", "After-sales service"):
        expect(region.get_by_text(sentence).first).to_be_visible()
    expect(page).to_have_title("Valid · Licence management")


def test_usage_against_quota(visits: Visits, site: PageSite) -> None:
    """Bars with numbers for what is limited, words for what is not; over quota is said at once, with the next step."""
    site.plug("a", site.new_key("QUOTA-KEY"))
    page = visits.sign_in(READER).page
    region = page.get_by_role("region", name="Licence", exact=True)
    hosts = region.get_by_role("meter", name="Hosts")
    with used(site, hosts=4, cpuSockets=8):
        expect(hosts).to_have_attribute("aria-valuetext", "4 of 10")
        expect(region.get_by_role("listitem").filter(has_text="CPU sockets")).to_contain_text("8, unlimited")
        standing(page, "Valid")
        report(site, hosts=12)
        standing(page, "Restricted")
        expect(hosts).to_have_attribute("aria-valuenow", "12")
        expect(region.get_by_role("listitem").filter(has_text="Hosts")).to_contain_text("2 too many")
        alerts = page.get_by_role("region", name="Alerts")
        expect(alerts.get_by_role("listitem")).to_contain_text("Insufficient quota")
        expect(alerts).to_contain_text(site.status("a")["banner"]["text"])
        expect(region).to_contain_text("Reduce usage or upload a larger licence.")
        expect(region).to_contain_text("A management node may not start again.")
    standing(page, "Valid")
    expect(page.get_by_role("region", name="Alerts")).to_be_hidden()


def test_a_licence_that_ends_soon(visits: Visits, site: PageSite) -> None:
    """The banner names the day and whom to contact, and the countdown runs."""
    site.plug("b", site.new_key("SOON-KEY", 10 * DAY))
    page = visits.sign_in(label="b").page
    alerts = page.get_by_role("region", name="Alerts")
    expect(alerts.get_by_role("listitem")).to_contain_text("Licence expiring")
    expect(alerts).to_contain_text("in 9 days")
    expect(alerts).to_contain_text("Contact your sales contact for a new one.")
    expect(page.get_by_role("region", name="Licence", exact=True)).to_contain_text("Ask the vendor for a new licence")


def test_a_licence_that_ends_while_the_page_is_open(visits: Visits, site: PageSite) -> None:
    """The page counts the seconds down and says expired, since when, why and what to do."""
    site.plug("a", site.new_key("SHORT-KEY", dt.timedelta(seconds=8)))
    page = visits.sign_in().page
    region = page.get_by_role("region", name="Licence", exact=True)
    expect(region.get_by_text("seconds left")).to_be_visible()
    standing(page, "Expired")
    for sentence in ("Ended on", "The licence's own term is over.", "Install a valid licence."):
        expect(region).to_contain_text(sentence)
    expect(page.get_by_role("region", name="Alerts")).to_contain_text("Licence not usable")


def test_synchronise_with_progress(visits: Visits, site: PageSite) -> None:
    """While a node still reads its keys there is progress to be seen; then it is said what came of it."""
    site.plug("a", site.new_key("SYNC-KEY"))
    site.wait_for_all(lambda status: status["license"]["keyId"] == "SYNC-KEY")
    page = visits.sign_in().page
    result = page.get_by_role("status", name="Result", exact=True)
    site.agents["b"].send(SIGSTOP)
    try:
        page.get_by_role("button", name="Synchronise").click()
        expect(result.get_by_role("progressbar")).to_be_visible()
        expect(result).to_contain_text("The nodes read their USB keys.")
    finally:
        site.agents["b"].send(SIGCONT)
    expect(result).to_contain_text("Nothing has changed.")
    expect(result.get_by_role("progressbar")).to_have_count(0)


def test_synchronise_refused(visits: Visits, site: PageSite) -> None:
    """Where nobody can do it the page says why, with the code and the next step."""
    page = visits.sign_in().page
    site.etcd.stop()
    try:
        page.get_by_role("button", name="Synchronise").click()
        result = page.get_by_role("status", name="Result", exact=True)
        expect(result).to_contain_text("503 store-unavailable", timeout=20_000)
        expect(result).to_contain_text("Next:")
    finally:
        site.launch()


def test_the_request_code_is_downloaded(visits: Visits, site: PageSite, tmp_path: Path) -> None:
    """The file is the text that the site gives out now, and the vendor can read it; a reader may have it too."""
    page = visits.sign_in(READER).page
    with page.expect_download() as download:
        page.get_by_role("button", name="Download request code").click()
    download.value.save_as(tmp_path / "code.txt")
    text = (tmp_path / "code.txt").read_bytes()
    assert download.value.suggested_filename == "twinkey-request-code.txt"
    assert text == site.get("a", "/v1/licenses/request-code").body
    assert parse(text.decode()).site_id == site.status("a")["siteId"]
    expect(page.get_by_role("status", name="Result", exact=True)).to_contain_text("twinkey-request-code.txt")


def test_a_new_request_code(visits: Visits, site: PageSite) -> None:
    """The site gives out another one from then on."""
    page = visits.sign_in().page
    before = site.get("a", "/v1/licenses/request-code").body
    page.get_by_role("button", name="New request code").click()
    expect(page.get_by_role("status", name="Result", exact=True)).to_contain_text("There is a new request code.")
    assert site.get("a", "/v1/licenses/request-code").body != before


def test_the_id_of_the_key_is_copied(visits: Visits, site: PageSite) -> None:
    """It is in the clipboard, and the page says so."""
    site.plug("a", site.new_key("COPY-ME"))
    page = visits.sign_in().page
    actions = page.get_by_role("region", name="Licence", exact=True)
    actions.get_by_role("button", name="Copy USB key ID").click()
    expect(actions.get_by_text("Copied COPY-ME")).to_be_visible()
    expect(page.get_by_role("status", name="News")).to_have_text("Copied COPY-ME")
    assert page.evaluate("() => navigator.clipboard.readText()") == "COPY-ME"


def test_the_id_is_copied_where_the_browser_gives_no_clipboard(visits: Visits, site: PageSite) -> None:
    """By plain HTTP and a name, as nodes are reached in a data centre, browsers offer no clipboard to a page."""
    site.plug("b", site.new_key("BY-HAND"))
    page = visits.sign_in(label="b", host=NAME).page
    assert page.evaluate("() => navigator.clipboard === undefined")
    node = page.get_by_role("article", name="Node b")
    node.get_by_role("button", name="Copy ID of USB key BY-HAND").click()
    expect(node.get_by_text("Copied BY-HAND")).to_be_visible()
    search = page.get_by_label("Text", exact=True)
    search.press("Control+V")
    expect(search).to_have_value("BY-HAND")
