"""How a daemon writes its log: one event a line on standard error, as `key=value` pairs.

`log.info("published", extra={"keys": 2})` becomes `time=… level=info from=agent.reporter event=published keys=2`. For
systemd's journal, which keeps a time of its own, it becomes `<6>level=info …`: the number is the priority by which
`journalctl -p` chooses. Knows no event in particular.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
import sys
from collections.abc import Mapping

PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_./:+@%,[]")
OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
"""What every record has; the rest of a record's members are the facts of the event."""


_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_DEBUG = 7
"""Of syslog, by the least level that has it."""


class LineFormatter(logging.Formatter):
    """Formats a record as one line; what is not plain is quoted, so that no text can forge a line or a pair."""

    def __init__(self, *, for_journal: bool = False) -> None:
        super().__init__()
        self._for_journal = for_journal

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without its end."""
        time = dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(timespec="milliseconds")
        pairs: dict[str, object] = {} if self._for_journal else {"time": time}
        pairs |= {"level": record.levelname.lower(), "from": record.name, "event": record.getMessage()}
        pairs |= {key: value for key, value in vars(record).items() if key not in OWN}
        if record.exc_info:
            pairs["trace"] = self.formatException(record.exc_info)
        line = " ".join(f"{key}={_quoted(value)}" for key, value in pairs.items())
        return _priority(record.levelno) + line if self._for_journal else line


def log_to_stderr(level: str) -> None:
    """Send every record of at least `level` ("debug", "info", …) to standard error, and nowhere else."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter(for_journal=_is_journal(os.environ)))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def complain(text: str) -> None:
    """Write an error for people to standard error, before there is a log."""
    mark = _priority(logging.ERROR) if _is_journal(os.environ) else ""
    for line in text.splitlines():
        print(mark + line, file=sys.stderr)  # noqa: T201 - there is no log yet


def _is_journal(environ: Mapping[str, str]) -> bool:
    """Whether standard error is the stream to the journal that systemd told of, and was not turned elsewhere since."""
    try:
        stat = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):  # there is no standard error, or it is no file
        return False
    return environ.get("JOURNAL_STREAM") == f"{stat.st_dev}:{stat.st_ino}"


def _priority(level: int) -> str:
    return f"<{next((number for least, number in _PRIORITIES if level >= least), _DEBUG)}>"


def _quoted(value: object) -> str:
    text = str(value)
    return text if text and set(text) <= PLAIN else json.dumps(text)
