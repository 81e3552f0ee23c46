"""The page in everybody's hands: by keyboard alone, in light and dark, in two languages, and over a slow line."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page, expect

from tests.integration.page.page_site import ADMIN, PageSite
from tests.integration.page.transfer import Transfer
from tests.integration.page.visitor import Visits
from tests.waiting import eventually_sync

FIRST_PAINT = 100_000
"""Bytes that a cold cache may cost until something is painted."""

REACHABLE = """() => [...document.querySelectorAll(
  "a[href], button:not(:disabled), input, select, textarea, summary, [tabindex='0']"
)].filter(node => node.checkVisibility({visibilityProperty: true})).map(node => node.outerHTML.slice(0, 200))"""
FOCUSED = """() => {
  const node = document.activeElement;
  const seen = node.type === "file" ? document.querySelector(`label[for="${node.id}"]`) : node;
  const { outlineStyle, outlineWidth } = getComputedStyle(seen);
  const { top, bottom } = seen.getBoundingClientRect();
  return {
    name: node.outerHTML.slice(0, 200),
    outline: outlineStyle === "none" ? 0 : parseFloat(outlineWidth),
    inView: bottom > 0 && top < innerHeight,
    tag: node.tagName,
  };
}"""


def walk(page: Page, key: str = "Tab") -> list[dict[str, Any]]:
    """Press a key until the focus comes round; return where it has been, in order."""
    been: list[dict[str, Any]] = []
    for _ in range(200):
        page.keyboard.press(key)
        here = page.evaluate(FOCUSED)
        if here["tag"] == "BODY" or (been and here["name"] == been[0]["name"]):
            break
        been.append(here)
    return been


def test_everything_is_reached_with_the_keyboard(visits: Visits, site: PageSite) -> None:
    """The tab key goes through all that can be used, in the order of the page; it can always be seen where one is."""
    site.plug("a", site.new_key("TABBED"))
    page = visits.sign_in().page
    expect(page.get_by_role("button", name="Preview removal of USB key TABBED")).to_be_visible()
    page.reload()  # so that the focus is at the beginning
    expect(page.get_by_role("button", name="Preview removal of USB key TABBED")).to_be_visible()
    expect(page.get_by_role("table", name="Licensing record")).to_be_visible()
    been = walk(page)
    assert [here["name"] for here in been] == page.evaluate(REACHABLE)
    assert [here["name"] for here in been if here["outline"] < 1] == []
    assert [here["name"] for here in been if not here["inView"]] == []


def test_the_first_stop_leads_past_the_heading(visits: Visits) -> None:
    """Whoever uses the keyboard can skip to the licence."""
    page = visits.sign_in().page
    page.reload()
    expect(page.get_by_role("heading", name="Licence management")).to_be_visible()
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the licence")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    assert page.url.endswith("#licence")


def test_the_dialog_keeps_the_keyboard_and_gives_it_back(visits: Visits) -> None:
    """Behind the dialog nothing can be reached; afterwards the keyboard is where it was before."""
    page = visits.sign_in().page
    button = page.get_by_role("button", name="Synchronise")
    button.focus()
    page.context.clear_cookies()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Your session has ended")
    expect(dialog.get_by_label("Token", exact=True)).to_be_focused()
    for _ in range(5):
        page.keyboard.press("Tab")
        assert page.evaluate(
            "() => document.activeElement.closest('dialog') || document.activeElement === document.body"
        )
    dialog.get_by_label("Token", exact=True).fill(ADMIN)
    page.keyboard.press("Enter")
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("status", name="Result", exact=True)).to_contain_text("Nothing has changed.")
    expect(button).to_be_focused()


def test_light_and_dark(visits: Visits) -> None:
    """The page follows the system until somebody chooses, and remembers the choice."""
    page = visits.sign_in().page
    appearance = page.get_by_label("Appearance")
    page.emulate_media(color_scheme="light")
    light = lightness(page)
    page.emulate_media(color_scheme="dark")
    dark = lightness(page)
    assert dark < 60
    assert light > 200
    appearance.select_option("Light")
    assert lightness(page) == light
    page.reload()
    expect(appearance).to_have_value("light")
    assert lightness(page) == light
    page.emulate_media(color_scheme="light")
    appearance.select_option("Dark")
    assert lightness(page) == dark
    appearance.select_option("System")
    assert lightness(page) == light


def lightness(page: Page) -> float:
    """Return how light the background is, from 0 to 255."""
    colour = page.evaluate("() => getComputedStyle(document.body).backgroundColor.match(/[0-9.]+/g).map(Number)")
    return sum(colour[:3]) / 3


def test_the_language_is_chosen_and_remembered(visits: Visits) -> None:
    """It begins as the browser's; another choice holds from then on, and whoever signed in stays so."""
    page = visits.sign_in().page
    expect(page.locator("html")).to_have_attribute("lang", "en-GB")
    page.get_by_label("Language").select_option("中文")
    expect(page.get_by_role("heading", name="许可证管理")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    page.reload()
    expect(page.get_by_role("heading", name="许可证管理")).to_be_visible()
    page.get_by_label("语言").select_option("English")
    expect(page.get_by_role("heading", name="Licence management")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_chinese_browser_begins_in_chinese(visits: Visits) -> None:
    """Also before anybody has signed in."""
    page = visits.open(language="zh").page
    expect(page.get_by_role("dialog", name="登录")).to_be_visible()


def test_a_cold_cache_costs_little(visits: Visits) -> None:
    """Something is painted before 100 kB have come, and even with the whole page in use it is hardly more."""
    visitor = visits.come()
    transfer = Transfer(visitor.page)
    visitor.page.goto("/")
    expect(visitor.page.get_by_role("dialog", name="Sign in")).to_be_visible()
    eventually_sync(lambda: visitor.page.evaluate("1") and transfer.painted)
    assert 5_000 < transfer.until_first_paint < FIRST_PAINT
    visitor.sign_in()
    expect(visitor.page.get_by_role("table", name="Licensing record")).to_be_visible()
    eventually_sync(lambda: visitor.page.evaluate("1") and transfer.total > transfer.until_first_paint)
    print(f"first paint {transfer.until_first_paint} bytes, all {transfer.total} bytes")  # noqa: T201 - for -s
    assert transfer.total < FIRST_PAINT


def test_a_second_visit_costs_next_to_nothing(visits: Visits) -> None:
    """What has not changed is not sent again."""
    visitor = visits.sign_in()
    transfer = Transfer(visitor.page)
    visitor.page.reload()
    expect(visitor.page.get_by_role("table", name="Licensing record")).to_be_visible()
    eventually_sync(lambda: visitor.page.evaluate("1") and transfer.painted)
    assert transfer.total < FIRST_PAINT / 3
