"""States of the page when something is wrong: axe finds nothing in either theme and language, nothing sticks out."""

from __future__ import annotations

import datetime as dt
from signal import SIGKILL
from typing import get_args

import pytest
from playwright.sync_api import expect

from tests.integration.page.page_site import ADMIN, PageSite
from tests.integration.page.visitor import Language, Visitor, Visits
from tests.site import broken

languages = pytest.mark.parametrize("language", get_args(Language))


def has_alerts(visitor: Visitor, *alerts: str) -> None:
    """Wait until the page tells of these alerts."""
    banners = visitor.page.get_by_role("region", name=visitor.say("alerts.title"))
    for alert in alerts:
        expect(banners).to_contain_text(visitor.say(f"alert.{alert}"))


@languages
def test_over_the_quota_and_at_fault(visits: Visits, site: PageSite, language: Language) -> None:
    """Two keys in one node, more used than licensed, and a licence that ends soon: three alerts at once."""
    site.plug("b", site.new_key("TIGHT", dt.timedelta(days=9)))
    site.wait_for_all(lambda status: status["license"]["keyId"] == "TIGHT")
    site.plug("b", broken(site.new_key("SECOND")))
    assert site.call("a", "PUT", "/v1/licenses/usage", b'{"hosts": 13}').status == 200
    visitor = visits.sign_in(language=language)
    has_alerts(visitor, "quota-exceeded", "key-fault", "expiring")
    visitor.examine("over-quota-and-fault")


@languages
def test_expired(visits: Visits, site: PageSite, language: Language) -> None:
    """The licence has ended, and a key like it is in the other node."""
    key = site.new_key("OVER", dt.timedelta(seconds=3))
    site.plug("a", key)
    site.wait_for_all(lambda status: status["license"]["keyId"] == "OVER")
    site.plug("b", key)
    visitor = visits.sign_in(language=language)
    has_alerts(visitor, "expired", "clone-suspected", "key-abnormal")
    visitor.examine("expired-and-clone")


@languages
def test_stale_and_a_node_away(visits: Visits, site: PageSite, language: Language) -> None:
    """A node is silent; then the store is away; then the node of the page itself; then the session has ended too."""
    visitor = visits.sign_in(ADMIN, "b", language=language)
    connection = visitor.page.get_by_role("status", name=visitor.say("connection.label"))
    site.agents["a"].end(SIGKILL)
    expect(visitor.page.get_by_text(visitor.say("visibility.stale"), exact=True)).to_be_visible()
    site.etcd.stop()
    expect(connection).to_have_text(visitor.say("connection.stale"))
    visitor.examine("stale")
    site.coordinators["b"].end(SIGKILL)
    expect(connection).to_have_text(visitor.say("connection.lost"))
    visitor.button("actions.synchronise").click()
    expect(visitor.page.get_by_role("status", name=visitor.say("actions.result"), exact=True)).not_to_be_empty()
    visitor.examine("lost")
    visitor.page.context.clear_cookies()
    site.coordinators["b"].start()
    expect(visitor.page.get_by_role("dialog")).to_be_visible(timeout=30_000)
    visitor.examine("session-ended")
