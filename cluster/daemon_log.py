"""How a daemon writes its log: one event a line on standard error, as `key=value` pairs.

`log.info("published", extra={"keys": 2})` becomes `time=… level=info from=agent.reporter event=published keys=2`.
Knows no event in particular.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import sys

PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_./:+@%,[]")
OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
"""What every record has; the rest of a record's members are the facts of the event."""


class LineFormatter(logging.Formatter):
    """Formats a record as one line; what is not plain is quoted, so that no text can forge a line or a pair."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without its end."""
        pairs: dict[str, object] = {
            "time": dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "from": record.name,
            "event": record.getMessage(),
        }
        pairs |= {key: value for key, value in vars(record).items() if key not in OWN}
        if record.exc_info:
            pairs["trace"] = self.formatException(record.exc_info)
        return " ".join(f"{key}={_quoted(value)}" for key, value in pairs.items())


def log_to_stderr(level: str) -> None:
    """Send every record of at least `level` ("debug", "info", …) to standard error, and nowhere else."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def _quoted(value: object) -> str:
    text = str(value)
    return text if text and set(text) <= PLAIN else json.dumps(text)
