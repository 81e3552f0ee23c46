"""When something breaks while the page is open: it says what it does not know, and goes on by itself."""

from __future__ import annotations

import re
from signal import SIGKILL

from playwright.sync_api import Locator, Page, expect

from tests.integration.page.page_site import PageSite
from tests.integration.page.visitor import Visits
from tests.waiting import eventually_sync


def connection(page: Page) -> Locator:
    """Return the word at the top that says whether the answer is the newest."""
    return page.get_by_role("status", name="Connection")


def licensed(page: Page, site: PageSite, key: str) -> None:
    """Have the page show a valid licence."""
    site.plug("a", site.new_key(key))
    expect(page.get_by_role("region", name="Licence", exact=True)).to_contain_text(f"USB key {key} carries it")


def age(page: Page) -> int:
    """Return how old the page says its answer is, in seconds."""
    text = page.get_by_text("second").filter(has_text="old, from").inner_text()
    return int(re.findall(r"It is (\d+) seconds? old", text)[0])


def test_a_stale_answer_is_called_so_and_its_age_counts(visits: Visits, site: PageSite) -> None:
    """Without etcd the last answer stays, valid as it was, with its age; when etcd is back so is the page."""
    page = visits.sign_in().page
    licensed(page, site, "STALE")
    site.etcd.stop()
    expect(connection(page)).to_have_text("Out of date")
    expect(page.get_by_text("This answer may be out of date.").first).to_be_visible()
    expect(page.get_by_role("heading", name="Valid as of then")).to_be_visible()
    expect(page.get_by_text("Check etcd and the network.").first).to_be_visible()
    before = age(page)
    eventually_sync(lambda: age(page) >= before + 2, within=10)
    site.launch()
    expect(connection(page)).to_have_text("Live", timeout=20_000)
    expect(page.get_by_role("heading", name="Valid", exact=True)).to_be_visible()
    expect(page.get_by_text("This answer may be out of date.")).to_be_hidden()


def test_a_stale_page_that_is_opened_knows_how_old_its_answer_is(visits: Visits, site: PageSite) -> None:
    """Whoever comes only now is told the age that the node knows, and not that of the page."""
    site.wait_until_told()
    site.etcd.stop()
    site.wait_for("a", lambda status: status["stale"], within=10)
    visitor = visits.open()
    visitor.sign_in()
    page = visitor.page
    expect(page.get_by_text("old, from")).to_be_visible()
    known = int(site.get("a", "/v1/status").headers["Age"])
    assert abs(age(page) - known) <= 2
    page.reload()
    expect(page.get_by_text("old, from")).to_be_visible()
    assert age(page) >= known


def test_the_leader_changes_while_the_page_is_open(visits: Visits, site: PageSite) -> None:
    """The page of the node that stays names the new leader and since when it leads, and is fresh; nobody signs in."""
    leader, other = site.leader()
    page = visits.sign_in(label=other).page
    licensed(page, site, "LEADER")
    site.coordinators[leader].end(SIGKILL)
    expect(page.get_by_role("article", name=f"Node {other}")).to_contain_text("Leads since", timeout=20_000)
    expect(page.get_by_role("status", name="News")).to_contain_text(f"Node {other} leads now.")
    expect(connection(page)).to_have_text("Live")
    expect(page.get_by_role("article", name=f"Node {leader}")).not_to_contain_text("Leads")
    expect(page.get_by_role("heading", name="Valid", exact=True)).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_no_node_leads(visits: Visits, site: PageSite) -> None:
    """Where nobody is left to lead, what the page shows is as of then; it goes on with the next leader."""
    leader, other = site.leader()
    page = visits.sign_in(label=other).page
    licensed(page, site, "NOBODY")
    site.etcd.pause()
    site.coordinators[leader].end(SIGKILL)
    try:
        expect(connection(page)).to_have_text("Out of date")
        expect(page.get_by_role("heading", name="Valid as of then")).to_be_visible()
    finally:
        site.etcd.resume()
    expect(connection(page)).to_have_text("Live", timeout=20_000)
    expect(page.get_by_role("article", name=f"Node {other}")).to_contain_text("Leads since")


def test_the_page_lives_on_when_its_own_node_comes_back(visits: Visits, site: PageSite) -> None:
    """While the node is away the page says so, keeps what it showed and names the other node; then it is live again."""
    page = visits.sign_in(label="b").page
    licensed(page, site, "RETURN")
    site.coordinators["b"].end(SIGKILL)
    expect(connection(page)).to_have_text("Not connected")
    expect(page.get_by_text("This page cannot reach the node.").first).to_be_visible()
    expect(page.get_by_text("The site's nodes a and b give the same answer")).to_be_visible()
    expect(page.get_by_role("heading", name="Valid as of then")).to_be_visible()
    before = age(page)
    eventually_sync(lambda: age(page) > before, within=10)
    page.get_by_role("button", name="Synchronise").click()
    result = page.get_by_role("status", name="Result", exact=True)
    expect(result).to_contain_text("This node cannot be reached.")
    site.coordinators["b"].start()
    expect(connection(page)).to_have_text("Live", timeout=30_000)
    expect(page.get_by_role("heading", name="Valid", exact=True)).to_be_visible()
    site.unplug("a", "RETURN")
    expect(page.get_by_role("article", name="Node a")).to_contain_text("No USB key is inserted.")


def test_the_session_ends_while_the_node_is_away(visits: Visits, site: PageSite) -> None:
    """When the node is back the page asks for the token over what it shows, and goes on."""
    visitor = visits.sign_in(label="b")
    page = visitor.page
    licensed(page, site, "AWAY")
    site.coordinators["b"].end(SIGKILL)
    expect(connection(page)).to_have_text("Not connected")
    page.context.clear_cookies()
    site.coordinators["b"].start()
    dialog = page.get_by_role("dialog", name="Your session has ended")
    expect(dialog).to_be_visible(timeout=30_000)
    expect(page.get_by_role("article", name="Node a", include_hidden=True)).to_contain_text("AWAY")
    visitor.sign_in()
    expect(connection(page)).to_have_text("Live")
