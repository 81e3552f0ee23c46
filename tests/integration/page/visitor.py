"""People who come to the page, each with a browser context of their own: language, theme, width and sign-in."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, ViewportSize, expect

from cluster.local_etcd import LOOPBACK
from coordinator.sessions import COOKIE
from tests.integration.page.browsing import PATIENCE, Theme, Watch
from tests.integration.page.english import english_in
from tests.integration.page.page_site import ADMIN, PageSite

SHOTS = Path(__file__).parents[3] / ".cache" / "shots"
"""Where the pictures of all states go, to be looked at; git ignores it."""
HEIGHT = 900
PHONE: ViewportSize = {"width": 360, "height": 740}
RULES: dict[Theme, dict[str, list[str]]] = {"light": {}, "dark": {"runOnly": ["color-contrast"]}}
"""What axe looks for in each theme: everything, and what can differ in the other one."""
Language = Literal["en", "zh"]
LOCALES: dict[Language, str] = {"en": "en-GB", "zh": "zh-CN"}


class Visitor:
    """One person before the page of one node; `watch` notes what must not happen meanwhile."""

    def __init__(self, page: Page, watch: Watch, language: Language) -> None:
        self.page = page
        self.watch = watch
        self.language = language
        self._strings: dict[str, str] = {}

    def say(self, key: str, /, **values: str) -> str:
        """Return a string of the page in the visitor's language; tests of what the page says write it out instead."""
        if not self._strings:
            module = f"/page/strings.{self.language}.js"
            self._strings = self.page.evaluate("async (module) => (await import(module)).default", module)
        return self._strings[key].format(**values)

    def button(self, key: str, /, **values: str) -> Locator:
        """Return the button with this string of the page."""
        return self.page.get_by_role("button", name=self.say(key, **values), exact=True)

    def sign_in(self, token: str = ADMIN) -> None:
        """Give the token to the dialog that asks for it."""
        dialog = self.page.get_by_role("dialog")
        dialog.get_by_label(self.say("session.token"), exact=True).fill(token)
        dialog.get_by_role("button", name=self.say("session.signIn")).click()
        expect(dialog).to_have_count(0)

    def region(self, name: str) -> Locator:
        """Return a section of the page by its heading."""
        return self.page.get_by_role("region", name=name, exact=True)

    def examine(self, state: str) -> None:
        """Look at this state in both themes, and on a phone; axe must find nothing, and nothing may stick out.

        Pictures are kept: of both themes and the phone in English, and one in the other language, in which no English
        may be left.
        """
        for theme, rules in RULES.items():
            self.page.emulate_media(color_scheme=theme)
            if theme == "light" or self.language == "en":
                self.picture(f"{state}-{self.language}-{theme}")
            found = Axe().run(self.page, options={"resultTypes": ["violations"]} | rules)
            assert not found.violations_count, f"{state} {theme}: {found.generate_report()}"
        self.page.emulate_media(color_scheme="light")
        wide = self.page.viewport_size
        assert wide
        self.page.set_viewport_size(PHONE)
        if self.language == "en":
            self.picture(f"{state}-phone")
        assert self.page.evaluate("() => document.documentElement.scrollWidth") <= PHONE["width"], state
        self.page.set_viewport_size(wide)
        if self.language != "en":
            assert not (left := english_in(self.page)), f"{state}: {left}"

    def picture(self, name: str) -> None:
        """Take a picture of the whole page."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.page.evaluate("scrollTo(0, 0)")  # or what stays at the top of the window is in the middle of the picture
        self.page.screenshot(path=SHOTS / f"{name}.png", full_page=True)


class Visits:
    """Lets people come; `end` sends all home and returns every fault that was noted."""

    def __init__(self, browser: Browser, site: PageSite) -> None:
        self._browser = browser
        self._site = site
        self._come: list[Visitor] = []

    def come(self, label: str = "a", *, language: Language = "en", width: int = 1280, host: str = LOOPBACK) -> Visitor:
        """Let somebody start a browser that has never seen the page, before they open it."""
        origin = f"http://{host}:{self._site.nodes[label].port}"
        context = self._browser.new_context(
            base_url=origin,
            locale=LOCALES[language],
            timezone_id="Europe/Berlin",
            reduced_motion="reduce",
            viewport={"width": width, "height": HEIGHT},
            permissions=["clipboard-read", "clipboard-write"],
        )
        context.set_default_timeout(PATIENCE)
        visitor = Visitor(context.new_page(), Watch(context, origin), language)
        self._come.append(visitor)
        return visitor

    def open(self, label: str = "a", *, language: Language = "en", width: int = 1280, host: str = LOOPBACK) -> Visitor:
        """Let somebody open the page of a node, who is not signed in; `host` is what they call the node."""
        visitor = self.come(label, language=language, width=width, host=host)
        visitor.page.goto("/")
        return visitor

    def sign_in(
        self,
        token: str = ADMIN,
        label: str = "a",
        *,
        language: Language = "en",
        width: int = 1280,
        host: str = LOOPBACK,
    ) -> Visitor:
        """Let somebody who has signed in before open the page; return when the site's answer is shown."""
        visitor = self.come(label, language=language, width=width, host=host)
        session = self._site.session(token)
        visitor.page.context.add_cookies([{"name": COOKIE, "value": session, "domain": host, "path": "/"}])
        visitor.page.goto("/")
        expect(visitor.page.get_by_role("status", name=visitor.say("connection.label"))).to_have_text(
            visitor.say("connection.live")
        )
        return visitor

    def end(self) -> list[str]:
        """Close every page and return the faults."""
        for visitor in self._come:
            visitor.page.context.close()
        return [fault for visitor in self._come for fault in visitor.watch.faults]
