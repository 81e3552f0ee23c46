"""The licensing record: sorted, filtered and paged by the site, exported, and verified."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from pathlib import Path
from urllib.parse import urlencode

import pytest
from msgspec.structs import replace
from playwright.sync_api import Locator, Page, expect

from cluster.values import decode_value, encode_value
from licensing.records import Record
from tests.integration.page.page_site import READER, PageSite
from tests.integration.page.visitor import Visits
from tests.integration.site.vendor import DAY, Vendor
from tests.site import KEYS

PAGE = 20
LICENCES = 24


@pytest.fixture(scope="module")
def running(running: PageSite) -> PageSite:
    """Give the site a history of more than a page: licences of different lengths, and a USB key."""
    for number in range(LICENCES):
        install(running, f"Contract {number:02}", days=300 + number * 7 % LICENCES)
    running.plug("a", running.new_key("RECORDED"))
    running.wait_for_all(lambda status: status["license"]["keyId"] == "RECORDED")
    return running


def install(site: PageSite, name: str, days: int) -> None:
    """Install a licence for the site that is older than the one of its key, which stays in force."""
    vendor, issued = Vendor(site), dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
    file = vendor.file(name=name, issued=issued, not_before=issued, expires=issued + days * DAY)
    vendor.install(file, "a")


def table(page: Page) -> Locator:
    """Return the table."""
    return page.get_by_role("table", name="Licensing record")


def shown(page: Page) -> Locator:
    """Return what the page says of how much is shown."""
    return page.get_by_role("status", name="Records shown")


def asked(site: PageSite, **wish: object) -> tuple[list[dict[str, str]], int]:
    """Return what the site answers to a wish, and how many there are in all."""
    answer = json.loads(site.get("a", f"/v1/licenses/records?{urlencode(wish)}").body)
    return answer["inventories"], answer["total"]


def expect_rows(page: Page, records: list[dict[str, str]]) -> None:
    """Expect a row for each record, in this order."""
    rows = table(page).get_by_role("row").filter(has=page.get_by_role("cell"))
    expect(rows).to_contain_text([record["sentence"] for record in records])
    expect(rows).to_have_count(len(records))


def test_the_newest_come_first_and_pages_are_turned(visits: Visits, site: PageSite) -> None:
    """Every page is the one that the site gives, and at the ends there is no further."""
    page = visits.sign_in(READER).page
    records, total = asked(site, sortDirection="desc", limit=PAGE)
    assert total > PAGE
    expect(shown(page)).to_have_text(f"1 to {PAGE} of {total}")
    expect_rows(page, records)
    expect(page.get_by_role("button", name="Previous")).to_be_disabled()
    page.get_by_role("button", name="Next").click()
    expect(shown(page)).to_have_text(f"{PAGE + 1} to {min(total, 2 * PAGE)} of {total}")
    expect_rows(page, asked(site, sortDirection="desc", limit=PAGE, start=PAGE)[0])
    if total <= 2 * PAGE:
        expect(page.get_by_role("button", name="Next")).to_be_disabled()
    page.get_by_role("button", name="Previous").click()
    expect_rows(page, records)


@pytest.mark.parametrize("column", ["Expiry time", "Issue time"], ids=["expiry", "issue"])
def test_the_record_is_sorted(visits: Visits, site: PageSite, column: str) -> None:
    """A click sorts by that column with the latest first, another one the other way; the heading says which."""
    sort_by = {"Expiry time": "expiredDate", "Issue time": "issuedDate"}[column]
    page = visits.sign_in(READER).page
    heading = page.get_by_role("columnheader", name=column)
    expect(heading).to_have_attribute("aria-sort", "none")
    for direction, word in (("desc", "descending"), ("asc", "ascending")):
        heading.get_by_role("button").click()
        expect(heading).to_have_attribute("aria-sort", word)
        expect_rows(page, asked(site, sortBy=sort_by, sortDirection=direction, limit=PAGE)[0])
        expect(heading.get_by_role("button")).to_be_focused()
    expect(page.get_by_role("columnheader", name="Upload time")).to_have_attribute("aria-sort", "none")


def test_the_record_is_filtered(visits: Visits, site: PageSite) -> None:
    """By text, management type and status, also together; where nothing matches the page says so."""
    page = visits.sign_in(READER).page
    page.get_by_label("Text", exact=True).fill("contract 0")
    records, total = asked(site, text="contract 0", sortDirection="desc")
    expect(shown(page)).to_have_text(f"1 to {total} of {total}")
    expect_rows(page, records)
    page.get_by_label("Management type").select_option("USB key")
    expect(shown(page)).to_have_text("No record matches.")
    page.get_by_label("Text", exact=True).fill("")
    records, total = asked(site, managementType="usb-key", sortDirection="desc")
    expect(shown(page)).to_contain_text(f"of {total}")
    expect_rows(page, records)
    page.get_by_label("Status").select_option("Expired")
    expect(shown(page)).to_have_text("No record matches.")


def test_the_record_is_exported(visits: Visits, site: PageSite, tmp_path: Path) -> None:
    """The file has what is filtered, all pages of it in the same order, as the site gives it out."""
    page = visits.sign_in(READER).page
    page.get_by_label("Text", exact=True).fill("contract")
    records, total = asked(site, text="contract", sortDirection="desc", limit=1000)
    expect(shown(page)).to_contain_text(f"of {total}")
    with page.expect_download() as download:
        page.get_by_role("link", name="Export as CSV").click()
    download.value.save_as(tmp_path / "records.csv")
    data = (tmp_path / "records.csv").read_bytes()
    assert download.value.suggested_filename.endswith(".csv")
    assert data == site.get("a", "/v1/licenses/records.csv?text=contract&sortBy=uploadDate&sortDirection=desc").body
    rows = list(csv.DictReader(io.StringIO(data.decode())))
    assert [row["hash"] for row in rows] == [record["hash"] for record in records]


def test_what_happens_is_added_while_the_page_is_open(visits: Visits, site: PageSite) -> None:
    """A licence that somebody installs is in the record at once."""
    page = visits.sign_in(READER).page
    install(site, "While you watch", days=300)
    expect(table(page)).to_contain_text("While you watch")
    expect(table(page)).to_contain_text("demo")


def test_the_chain_is_verified(visits: Visits, site: PageSite) -> None:
    """Intact, with how many records were checked; altered, which one and what to do about it."""
    page = visits.sign_in().page
    result = page.get_by_role("status", name="Verification result")
    page.get_by_role("button", name="Verify record").click()
    expect(result).to_contain_text(f"All {asked(site, count='true')[1]} records are as they were written.")
    place = KEYS.record(3)
    record = decode_value(place, site.read(place).value, Record)
    with site.tampered(place, encode_value(replace(record, who="somebody else"))):
        page.get_by_role("button", name="Verify record").click()
        expect(result).to_contain_text("Record 3 is not as it was written.")
        expect(result).to_contain_text("Find out who had access to etcd")
    page.get_by_role("button", name="Verify record").click()
    expect(result).to_contain_text("records are as they were written.")
