"""Who sees the page and what they may do: signing in and out, sessions that end, readers, and the other node."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.integration.page.page_site import ADMIN, OTHER_ADMIN, READER, PageSite
from tests.integration.page.visitor import Visits


def test_a_wrong_token_is_refused(visits: Visits) -> None:
    """The dialog says why and what to do, keeps nothing of the token, and takes the right one next."""
    visitor = visits.open()
    dialog = visitor.page.get_by_role("dialog", name="Sign in")
    token = dialog.get_by_label("Token", exact=True)
    token.fill("nobody's token")
    dialog.get_by_role("button", name="Sign in").click()
    alert = dialog.get_by_role("alert")
    expect(alert).to_contain_text("The token is not known.")
    expect(alert).to_contain_text("Next:")
    expect(token).to_have_value("")
    expect(token).to_be_focused()
    token.fill(ADMIN)
    token.press("Enter")
    expect(dialog).to_be_hidden()
    expect(visitor.page.get_by_role("heading", name="Licence management")).to_be_visible()


def test_nothing_is_told_before_somebody_signs_in(visits: Visits) -> None:
    """Behind the dialog there is nothing of the site, and the escape key does not open it."""
    page = visits.open().page
    dialog = page.get_by_role("dialog", name="Sign in")
    expect(dialog).to_be_visible()
    for _ in range(3):
        page.keyboard.press("Escape")
    expect(dialog).to_be_visible()
    expect(page.get_by_role("region", name="Licence", exact=True)).to_be_hidden()
    assert "anna" not in page.content()


def test_a_reload_keeps_the_sign_in_and_no_script_can_read_it(visits: Visits) -> None:
    """The session is in a cookie that is for the browser alone, and no token is kept anywhere."""
    visitor = visits.open()
    visitor.sign_in()
    page = visitor.page
    page.reload()
    expect(page.get_by_text("anna", exact=True)).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)
    (cookie,) = page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    kept = page.evaluate("() => document.cookie + JSON.stringify({...localStorage, ...sessionStorage})")
    assert "twinkey" not in kept
    assert ADMIN not in kept + cookie["value"]


def test_signing_out(visits: Visits) -> None:
    """The page asks for a token again, also after a reload."""
    page = visits.sign_in().page
    page.get_by_role("button", name="Sign out").click()
    dialog = page.get_by_role("dialog", name="Sign in")
    expect(dialog).to_be_visible()
    assert not page.context.cookies()
    page.reload()
    expect(dialog).to_be_visible()


def test_a_reader_sees_everything_and_is_offered_no_change(visits: Visits) -> None:
    """No upload, synchronise or new request code, which the node would refuse; all else is there, and works."""
    page = visits.sign_in(READER).page
    for name in ("Licence", "Keys and nodes", "Buffer", "Licensing record"):
        expect(page.get_by_role("region", name=name, exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Download request code")).to_be_visible()
    for name in ("Synchronise", "New request code"):
        expect(page.get_by_role("button", name=name)).to_have_count(0)
    expect(page.get_by_role("heading", name="Upload licence")).to_be_hidden()
    expect(page.get_by_text("needs a token with the scope admin")).to_be_visible()
    page.get_by_role("button", name="Verify record").click()
    expect(page.get_by_role("status", name="Verification result")).to_contain_text("records are as they were written.")


def test_a_session_that_ends_is_asked_for_again_over_the_page(visits: Visits, site: PageSite) -> None:
    """What was there stays, the change that was under way is made after signing in, and the page goes on living."""
    page = visits.sign_in().page
    page.get_by_label("Text", exact=True).fill("kept")
    expect(page.get_by_role("status", name="Records shown")).to_have_text("No record matches.")
    page.context.clear_cookies()
    page.get_by_role("button", name="Synchronise").click()
    dialog = page.get_by_role("dialog", name="Your session has ended")
    expect(dialog).to_be_visible()
    dialog.get_by_label("Token", exact=True).fill(ADMIN)
    dialog.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("status", name="Result", exact=True)).to_contain_text("Nothing has changed.")
    expect(page.get_by_label("Text", exact=True)).to_have_value("kept")
    site.plug("b", site.new_key("AFTER-SIGN-IN"))
    expect(page.get_by_role("article", name="Node b")).to_contain_text("AFTER-SIGN-IN")


def test_a_change_is_not_made_in_the_name_of_somebody_else(visits: Visits) -> None:
    """Where another person signs in after a session ended, the page says that nothing was done."""
    page = visits.sign_in().page
    page.context.clear_cookies()
    page.get_by_role("button", name="Synchronise").click()
    dialog = page.get_by_role("dialog", name="Your session has ended")
    dialog.get_by_label("Token", exact=True).fill(OTHER_ADMIN)
    dialog.get_by_role("button", name="Sign in").click()
    result = page.get_by_role("status", name="Result", exact=True)
    expect(result).to_contain_text("Somebody else is signed in now")
    expect(page.get_by_text("bob", exact=True)).to_be_visible()


def test_the_other_node_shows_the_same(visits: Visits, site: PageSite) -> None:
    """The page of either node tells of both nodes, and what one is told the other shows."""
    pages = [visits.sign_in(label=label).page for label in site.nodes]
    site.plug("b", site.new_key("EITHER"))
    for page in pages:
        expect(page.get_by_role("article", name="Node b")).to_contain_text("EITHER")
        expect(page.get_by_role("article", name="Node a")).to_contain_text("No USB key is inserted.")
        expect(page.get_by_role("heading", name="Valid", exact=True)).to_be_visible()
