"""Takes the README's pictures of the page, from the demo.

Usage: python -m tests.integration.page.pictures FOLDER. The demo runs in a folder of its own on its usual ports, and
everything that is to be seen is done with the `twinkey` command, as a reader of the README would.
"""

from __future__ import annotations

import argparse
import datetime as dt
import tempfile
from pathlib import Path

from playwright.sync_api import FloatRect, Locator, Page, ViewportSize, expect

from console.demo_places import PORTS, url_of
from tests.integration.demo.running_demo import RunningDemo
from tests.integration.page.browsing import chromium

WINDOW: ViewportSize = {"width": 1200, "height": 760}
MARGIN = 16
LARGEST = 120_000
"""Bytes of a picture: whoever clones the repository gets them all."""


def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the pictures go")
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, chromium() as browser:
        demo = RunningDemo(Path(scratch), ports=tuple(PORTS.values()))
        try:
            demo.wait_until_ready()
            page = browser.new_page(viewport=WINDOW, color_scheme="light", locale="en-GB", reduced_motion="reduce")
            take(demo, page, folder)
        finally:
            demo.close()


def take(demo: RunningDemo, page: Page, folder: Path) -> None:
    """Lead the demo through its states and take a picture of each."""
    demo.twinkey("usage", "set", "--hosts", "6", "--cpu-sockets", "12", "--cpu-cores", "384")
    page.goto(url_of(PORTS["a"]))
    page.get_by_label("Token", exact=True).fill(demo.ready["token"])
    page.get_by_role("button", name="Sign in").click()
    upload = page.get_by_role("status", name="Upload result")
    with page.expect_file_chooser() as chooser:
        page.get_by_text("Choose a licence file").click()
    chooser.value.set_files(issue(demo))
    expect(upload).to_contain_text("It can be installed.")
    keep(page, folder / "upload.png", upload.locator(".."))
    upload.get_by_role("button", name="Discard").click()

    demo.do("plug", "a", "K1")
    expect(page.get_by_role("region", name="Licence", exact=True)).to_contain_text("USB key K1 carries it")
    expect(page.get_by_role("meter").first).to_be_visible()
    keep(page, folder / "licence.png")

    demo.do("plug", "a", "K2")
    demo.becomes(keyState="Fault")
    keys = page.get_by_role("region", name="Keys and nodes")
    expect(keys).to_contain_text("Fault: node a has 2 USB keys")
    keep(page, folder / "keys.png", keys)


def issue(demo: RunningDemo) -> Path:
    """Have the demo's vendor answer the site's request code; return the licence's file."""
    code, file = demo.here / "site.txt", demo.here / "acme.zip"
    code.write_text(demo.twinkey("request-code"), encoding="utf-8")
    until = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=3 * 365)
    terms = ("--name", "Acme Ltd", "--edition", "advanced-paid", "--hosts", "16", "--cpu-sockets", "32")
    dates = ("--expires", f"{until}", "--service-expires", f"{until}")
    key = ("--key", f"{demo.folder / 'vendor.key'}", "--request-code", f"{code}", "--out", f"{file}")
    demo.twinkey("issuer", "issue", *terms, *dates, *key)
    return file


def keep(page: Page, path: Path, part: Locator | None = None) -> None:
    """Keep a picture of the top of the page, or of a part with a little around it, if it is small enough."""
    clip: FloatRect | None = None
    if part is None:
        page.evaluate("scrollTo(0, 0)")
    else:
        part.evaluate("part => scrollTo(0, part.getBoundingClientRect().top + scrollY - 100)")
        box = part.bounding_box()
        assert box
        clip = {
            "x": box["x"] - MARGIN,
            "y": box["y"] - MARGIN,
            "width": box["width"] + 2 * MARGIN,
            "height": box["height"] + 2 * MARGIN,
        }
    data = page.screenshot(path=path, clip=clip, animations="disabled")
    if len(data) > LARGEST:
        raise SystemExit(f"{path} has {len(data)} bytes, more than {LARGEST}: show less of the page.")


if __name__ == "__main__":
    main()
