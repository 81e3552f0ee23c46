"""The daemons' log: one event a line, as pairs that no text can forge."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

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


LEVELS = {"critical": 2, "error": 3, "warning": 4, "info": 6, "debug": 7}


@pytest.mark.parametrize(("level", "priority"), LEVELS.items(), ids=list(LEVELS))
def test_the_journal_is_told_a_priority_and_no_time(level: str, priority: int) -> None:
    """The journal has a time of its own, and chooses by syslog's priorities."""
    number = logging.getLevelNamesMapping()[level.upper()]
    record = logging.makeLogRecord(
        {"name": "agent.x", "levelname": level.upper(), "levelno": number, "msg": "published"}
    )
    expected = f"<{priority}>level={level} from=agent.x event=published"
    assert LineFormatter(for_journal=True).format(record) == expected


PROGRAM = """
import logging
from cluster.daemon_log import complain, log_to_stderr
complain("no settings:\\nwrite them")
log_to_stderr("info")
logging.getLogger("agent.x").warning("odd")
"""


@pytest.mark.parametrize("to_journal", [True, False], ids=["journal", "elsewhere"])
def test_whether_it_is_the_journal_is_seen(*, to_journal: bool) -> None:
    """It is where systemd's variable names the very stream; one that was turned elsewhere keeps its times."""
    reading, writing = os.pipe()
    stat = os.fstat(writing)
    named = f"{stat.st_dev}:{stat.st_ino if to_journal else stat.st_ino + 1}"
    with os.fdopen(reading, encoding="utf-8") as log:
        environ = os.environ | {"JOURNAL_STREAM": named}
        subprocess.run([sys.executable, "-c", PROGRAM], env=environ, stderr=writing, check=True)
        os.close(writing)
        lines = log.read().splitlines()
    if to_journal:
        assert lines == ["<3>no settings:", "<3>write them", "<4>level=warning from=agent.x event=odd"]
    else:
        assert lines[:2] == ["no settings:", "write them"]
        assert lines[2].startswith("time=")
