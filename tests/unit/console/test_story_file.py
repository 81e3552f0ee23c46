"""The story file: what cannot be told is refused in one sentence, and never with a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from console.simulate import command

BEGINNING = 'nodes = ["a", "b"]\nstart = 2026-01-01T00:00:00Z\n'
LICENCE = """
[[license]]
name = "L"
edition = "basic-paid"
issued = 2026-01-01T00:00:00Z
expires = {expires}
quota = {{ hosts = {hosts} }}
"""
EVENT = "[[event]]\nat = {at}\ndo = {do}\n"

REFUSED = {
    "an empty file": ("", "`nodes`"),
    "not TOML": ("nodes = [", "not a TOML file"),
    "too deep": ("x = " + "[" * 100_000, "nested too deeply"),
    "a time without an offset": ('nodes = ["a"]\nstart = 2026-01-01T00:00:00\n', "$.start"),
    "a time beyond the calendar": (BEGINNING + LICENCE.format(expires="9999-12-31T23:59:59-12:00", hosts=1), "UTC"),
    "a quota with a fraction": (BEGINNING + LICENCE.format(expires="2027-01-01T00:00:00Z", hosts=1.5), "quota.hosts"),
    "an unknown member": (BEGINNING + "colour = 1\n", "colour"),
    "an unknown deed": (BEGINNING + EVENT.format(at="2026-01-02T00:00:00Z", do='"dance"'), "dance"),
    "a node twice": ('nodes = ["a", "a"]\nstart = 2026-01-01T00:00:00Z\n', "named twice"),
    "an unknown node": (BEGINNING + EVENT.format(at="2026-01-02T00:00:00Z", do='"down"\nnode = "c"'), "no node 'c'"),
    "an unknown licence": (BEGINNING + EVENT.format(at="2026-01-02T00:00:00Z", do='"install"\nlicense = "L"'), "'L'"),
    "usage of nothing": (BEGINNING + EVENT.format(at="2026-01-02T00:00:00Z", do='"usage"'), "names no unit"),
    "a pull of no key": (
        BEGINNING + EVENT.format(at="2026-01-02T00:00:00Z", do='"unplug"\nnode = "a"\nkey = "K"'),
        "plug it first",
    ),
    "an event before the start": (BEGINNING + EVENT.format(at="2025-01-02T00:00:00Z", do='"observe"'), "time order"),
}


@pytest.mark.parametrize(("text", "said"), REFUSED.values(), ids=REFUSED)
def test_an_impossible_story_is_refused_in_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    """The error names the file and what is wrong in it; nothing of the story is printed."""
    file = tmp_path / "story.toml"
    file.write_text(text)
    result = CliRunner().invoke(command, [str(file), "--json"])
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith(f"Error: {file}: ")
    assert result.stderr.count("\n") == 1
    assert said in result.stderr
