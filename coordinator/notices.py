"""What the coordinators found about their own surroundings: clocks, the store, the virtual IP.

A notice is no decision about the licence. The leader adds it to what it publishes; the law knows nothing of it.
"""

from __future__ import annotations

from msgspec.structs import replace

from licensing.status import Alert, Status
from licensing.value import Value


class Notice(Value, frozen=True):
    """One thing to tell; the sentence says what to do, and says the same as long as the thing is the same."""

    alert: Alert
    sentence: str


def with_notices(status: Status, notices: tuple[Notice, ...]) -> Status:
    """Return the status with every notice as an alert and its sentence as a reason."""
    alerts = dict.fromkeys((*status.alerts, *(notice.alert for notice in notices)))
    reasons = dict.fromkeys((*status.reasons, *(notice.sentence for notice in notices)))
    return replace(status, alerts=tuple(alerts), reasons=tuple(reasons))
