"""The nodes side by side with their keys, the key state explained, what a removal would bring, and the buffer."""

from __future__ import annotations

import json
from signal import SIGKILL

from playwright.sync_api import Locator, Page, expect

from tests.integration.page.page_site import READER, PageSite
from tests.integration.page.visitor import Visits
from tests.site import broken, node_in
from tests.waiting import eventually_sync


def node(page: Page, label: str) -> Locator:
    """Return the card of a node."""
    return page.get_by_role("article", name=f"Node {label}")


def key_state(page: Page, word: str, sentence: str) -> None:
    """Expect the state of the site's key, and why."""
    region = page.get_by_role("region", name="Keys and nodes")
    expect(region.get_by_role("heading", name=f"USB key: {word}")).to_be_visible()
    expect(region.get_by_text(sentence)).to_be_visible()


def test_the_nodes_side_by_side(visits: Visits, site: PageSite) -> None:
    """Who leads, who holds the virtual IP, which key is where and which one carries the licence; also after a move."""
    page = visits.sign_in(READER).page
    site.plug("b", site.new_key("SIDE"))
    expect(node(page, "b")).to_contain_text("SIDE")
    expect(node(page, "b")).to_contain_text("Licence in force")
    expect(node(page, "b")).to_contain_text("Proven")
    expect(node(page, "a")).to_contain_text("No USB key is inserted.")
    leader, other = site.leader()
    expect(node(page, leader).get_by_role("listitem").filter(has_text="Leads")).to_have_count(1)
    expect(node(page, other).get_by_role("listitem").filter(has_text="Leads")).to_have_count(0)
    expect(node(page, "a")).to_contain_text("Virtual IP")
    site.nodes["a"].vip.unlink()
    site.nodes["b"].vip.touch()
    try:
        expect(node(page, "b")).to_contain_text("Virtual IP")
        expect(node(page, "a")).not_to_contain_text("Virtual IP")
    finally:
        site.nodes["b"].vip.unlink()
        site.nodes["a"].vip.touch()

    def beside() -> bool:
        places = "cards => cards.map(card => card.getBoundingClientRect())"
        left, right = page.get_by_role("article").evaluate_all(places)
        return left["top"] == right["top"] and 0 < left["right"] < right["left"]

    eventually_sync(beside, what="the cards are beside each other; they may just be drawn anew")


def test_two_keys_in_one_node_are_a_fault(visits: Visits, site: PageSite) -> None:
    """The page names the node, how many keys and which, says what to do, and is content when it was done."""
    page = visits.sign_in().page
    site.plug("b", site.new_key("FIRST"))
    key_state(page, "Normal", "USB key FIRST in node b works.")
    site.plug("b", site.new_key("SECOND"))
    key_state(page, "Fault", "Fault: node b has 2 USB keys (FIRST and SECOND).")
    expect(page.get_by_role("region", name="Alerts")).to_contain_text("USB key at fault")
    site.unplug("b", "SECOND")
    key_state(page, "Normal", "USB key FIRST in node b works.")
    expect(page.get_by_role("region", name="Alerts")).to_be_hidden()


def test_a_key_in_each_node_is_abnormal(visits: Visits, site: PageSite) -> None:
    """The licence is not affected, and the page says so."""
    page = visits.sign_in().page
    site.plug("a", site.new_key("LEFT"))
    site.wait_for_all(lambda status: status["license"]["keyId"] == "LEFT")
    site.plug("b", site.new_key("RIGHT"))
    key_state(page, "Abnormal", "The licence is not affected; leave one key in the site.")
    expect(page.get_by_role("heading", name="Valid", exact=True)).to_be_visible()


def test_one_key_in_both_nodes_is_called_a_clone(visits: Visits, site: PageSite) -> None:
    """Both nodes show it, and the alert says that one of them may be a copy."""
    page = visits.sign_in().page
    key = site.new_key("TWIN")
    site.plug("a", key)
    site.wait_for_all(lambda status: status["license"]["keyId"] == "TWIN")
    site.plug("b", key)
    expect(page.get_by_role("region", name="Alerts")).to_contain_text("Clone suspected")
    key_state(page, "Abnormal", "USB key TWIN is in nodes a and b at once: one of them may be a copy.")


def test_a_key_that_does_not_answer(visits: Visits, site: PageSite) -> None:
    """It is called faulty, in words, with what the node found."""
    page = visits.sign_in().page
    key = site.new_key("DEAF")
    site.plug("a", key)
    key_state(page, "Normal", "USB key DEAF in node a works.")
    site.plug("a", broken(key))
    expect(node(page, "a")).to_contain_text("Faulty")
    key_state(page, "Fault", "Fault: USB key DEAF in node a is inserted but cannot be used.")


def test_a_node_that_falls_silent_is_stale(visits: Visits, site: PageSite) -> None:
    """The page says so, what the node last had, and what to look at; it is live again when it reports again."""
    page = visits.sign_in().page
    site.plug("b", site.new_key("SILENT"))
    expect(node(page, "b")).to_contain_text("SILENT")
    site.agents["b"].end(SIGKILL)
    expect(node(page, "b").get_by_text("Stale", exact=True)).to_be_visible()
    expect(node(page, "b")).to_contain_text("SILENT")
    expect(node(page, "b")).to_contain_text(node_in(site.status("a"), "b")["problem"])
    site.agents["b"].start()
    expect(node(page, "b").get_by_text("Live", exact=True)).to_be_visible()


def test_what_a_removal_would_bring(visits: Visits, site: PageSite) -> None:
    """It is what the site foretells, in words; the keyboard goes to it and comes back when it is closed."""
    page = visits.sign_in(READER).page
    site.plug("a", site.new_key("FORETOLD"))
    ask = node(page, "a").get_by_role("button", name="Preview removal of USB key FORETOLD")
    ask.click()
    region = page.get_by_role("region", name="Keys and nodes")
    heading = region.get_by_role("heading", name="If USB key FORETOLD were removed now")
    expect(heading).to_be_focused()
    expect(region).to_contain_text("A buffer licence would run until")
    removal = json.loads(site.get("a", "/v1/licenses/ukeys/removal?keyId=FORETOLD").body)["removal"]
    expect(region).to_contain_text(removal["reason"])
    assert removal["daysLeft"] == 30
    region.get_by_role("button", name="Close preview").click()
    expect(heading).to_be_hidden()
    expect(ask).to_be_focused()


def test_an_open_preview_follows_the_site(visits: Visits, site: PageSite) -> None:
    """When the key is gone meanwhile it no longer says what its removal would bring."""
    page = visits.sign_in().page
    site.plug("a", site.new_key("GOING"))
    node(page, "a").get_by_role("button", name="Preview removal of USB key GOING").click()
    region = page.get_by_role("region", name="Keys and nodes")
    expect(region).to_contain_text("A buffer licence would run until")
    site.unplug("a", "GOING")
    expect(region).to_contain_text("404 not-inserted")
    expect(region).to_contain_text("Next:")


def test_the_buffer_after_a_removal(visits: Visits, site: PageSite) -> None:
    """How long it runs, the key that was removed on a timeline and in a table, and before that what it would give."""
    page = visits.sign_in(READER).page
    region = page.get_by_role("region", name="Buffer", exact=True)
    site.plug("a", site.new_key("PULLED"))
    expect(region).to_contain_text("If key PULLED were removed now:")
    expect(region).to_contain_text("A buffer licence would run until")
    site.unplug("a", "PULLED")
    expect(region).to_contain_text("A buffer licence runs until")
    expect(region).to_contain_text("29 days left")
    expect(region.get_by_role("img", name="Timeline of removals and buffers")).to_be_visible()
    row = region.get_by_role("row").filter(has=page.get_by_role("rowheader", name="PULLED"))
    expect(row).to_contain_text("Out of service since")
    (told,) = (key for key in removals(site) if key["keyId"] == "PULLED")
    for member in ("lastRemoval", "bufferExpires", "bufferUncapped"):
        expect(row.get_by_role("cell").locator(f'time[datetime="{told[member]}"]').first).to_be_visible()
    expect(page.get_by_role("region", name="Licence", exact=True)).to_contain_text(
        "USB key PULLED is out of service, and a buffer licence stands in for it."
    )
    site.plug("b", site.new_key("INSTEAD"))
    expect(region).to_contain_text("If key INSTEAD were removed now:")
    expect(region.get_by_role("row").filter(has_text="PULLED")).to_be_visible()


def removals(site: PageSite) -> list[dict[str, str]]:
    """Return the history of the keys as the site tells it."""
    found: list[dict[str, str]] = json.loads(site.get("a", "/v1/licenses/removals").body)["inventories"]
    return found
