"""The list of verbs: every one can be used, is described, and is found by a shell's completion."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
from click.shell_completion import BashComplete
from click.testing import CliRunner

from console.main import VERBS, main

README = Path(__file__).parents[3] / "README.md"


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_can_be_called(verb: str) -> None:
    """Its module is there and its help says how to use it, under the name by which it is called."""
    result = CliRunner().invoke(main, [verb, "--help"])
    assert result.exit_code == 0, result.output
    command = main.get_command(click.Context(main), verb)
    assert command
    assert command.name == verb


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_in_the_readme(verb: str) -> None:
    """Who reads it finds all that can be done."""
    text = README.read_text(encoding="utf-8")
    row = rf"^\|[^|]*`{re.escape(verb)}[ `]"
    assert re.search(rf"twinkey {re.escape(verb)}\b(?!-)", text) or re.search(row, text, re.MULTILINE)


@pytest.mark.parametrize(
    ("typed", "next_word", "offered"),
    [
        ([], "do", {"doctor"}),
        ([], "u", {"udev-rules", "usage"}),
        (["keys"], "pre", {"preview-removal"}),
        (["keys"], "--w", {"--watch"}),
        (["doctor"], "--", {"--config", "--user", "--read", "--json", "--help"}),
        (["udev-rules"], "--c", {"--config"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_shell_completes_verbs_and_options(typed: list[str], next_word: str, offered: set[str]) -> None:
    """What is offered is what there is."""
    completion = BashComplete(main, {}, "twinkey", "_TWINKEY_COMPLETE")
    assert {item.value for item in completion.get_completions(typed, next_word)} == offered
