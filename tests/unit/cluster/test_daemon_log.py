"""The daemons' log: one event a line, as pairs that no text can forge."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from cluster.daemon_log import LineFormatter


def line(text: str, *args: object, **facts: object) -> str:
    """Format one event without its time."""
    record = logging.makeLogRecord(
        {"name": "agent.x", "levelname": "INFO", "msg": text, "args": args, "created": 0.5} | facts
    )
    first, _, rest = LineFormatter().format(record).partition(" ")
    assert first == "time=1970-01-01T00:00:00.500+00:00"
    return rest


def test_an_event_is_a_line_of_pairs() -> None:
    """The level, where it comes from, the event and its facts, in this order."""
    assert line("published", keys=2, vip=True) == "level=info from=agent.x event=published keys=2 vip=True"


def test_a_formatted_text_is_an_event_too() -> None:
    """Messages of libraries, with arguments and blanks, become one quoted value."""
    assert line("lease %x is lost", 255) == 'level=info from=agent.x event="lease ff is lost"'


def test_no_text_can_forge_a_line() -> None:
    """Line ends, quotes and equal signs in a fact are quoted."""
    assert line("seen", key='a\nlevel=error "') == 'level=info from=agent.x event=seen key="a\\nlevel=error \\""'
    assert line("seen", key="") == 'level=info from=agent.x event=seen key=""'


def test_a_trace_stays_on_the_line() -> None:
    """A traceback is one more pair."""
    try:
        Path("/nowhere/at/all").read_bytes()
    except OSError:
        text = line("failed", exc_info=sys.exc_info())
    assert "\n" not in text
    assert "FileNotFoundError: " in text
