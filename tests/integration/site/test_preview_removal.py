"""What pulling out a key would bring, asked of a running site, and then the key is pulled out."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
from pathlib import Path
from typing import Any

from tests.site import TWINKEY, LiveSite


def ask(site: LiveSite, label: str, *words: str, code: int = 0) -> str:
    """Run `twinkey keys preview-removal` against a node and return what it prints."""
    place = ("--url", site.nodes[label].url, "--token", site.site.token)
    line = [TWINKEY, "keys", "preview-removal", *words, *place]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=60, cwd=Path("/"))
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def foretold(site: LiveSite, label: str, key: str) -> dict[str, Any]:
    """Return what a node foretells."""
    found: dict[str, Any] = json.loads(ask(site, label, key, "--json"))["removal"]
    return found


def without_the_moment(removal: dict[str, Any]) -> dict[str, Any]:
    """Leave out what depends on the second in which was asked."""
    return {name: value for name, value in removal.items() if name not in {"at", "settled", "buffer"}}


def test_what_was_foretold_happens(site: LiveSite) -> None:
    """Both nodes foretell the same, and the published status becomes that, but for the moments between."""
    site.plug("a", site.new_key("told"))
    site.wait_for_all(lambda status: status["license"]["keyId"] == "told")
    removal = foretold(site, "a", "told")
    assert without_the_moment(foretold(site, "b", "told")) == without_the_moment(removal)
    assert ask(site, "b").startswith("Unplug told now: 30 days of buffer, until ")
    site.unplug("a", "told")
    for status in site.wait_for_all(lambda status: status["buffer"]):
        for member in ("keyState", "keyStateReason", "license", "alerts"):
            assert status[member] == removal[member], member
        ends = (dt.datetime.fromisoformat(one["buffer"]["expires"]) for one in (status, removal))
        assert abs(next(ends) - next(ends)) < dt.timedelta(seconds=30)


def test_a_key_with_an_odd_name_is_found_and_one_that_is_not_there_is_refused(site: LiveSite) -> None:
    """Whatever a key calls itself; the refusal names those that are there."""
    site.plug("b", site.new_key("a/b?%2F"))
    site.wait_for_all(lambda status: status["license"]["keyId"] == "a/b?%2F")
    assert foretold(site, "a", "a/b?%2F")["keyState"] == "Missing"
    assert "a/b?%2F" in ask(site, "a", "elsewhere", code=1)
