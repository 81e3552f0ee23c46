"""What a site may set about the law, and the law's own figures."""

from __future__ import annotations

import datetime as dt

from licensing.value import Value

DAY = dt.timedelta(days=1)
TICK = dt.timedelta(milliseconds=1)
"""The resolution of time: what begins strictly after an instant begins one tick later."""

TRIAL_TERM = 30 * DAY
FIRST_BUFFER = 30 * DAY
LATER_BUFFER = 60 * DAY
REMOVAL_INTERVAL = 60 * DAY
EXPIRING_WITHIN = 15 * DAY
SERVICE_EXPIRING_WITHIN = 30 * DAY
BUFFER_ENDING_WITHIN = 7 * DAY
USAGE_FRESH_FOR = 1 * DAY


class Policy(Value, frozen=True):
    """The site's settings of the law.

    `node_hold`: how long the keys of a node that stopped reporting still count. `removal_settle`: how long a key must
    be out of service before that has consequences. `auto_synchronize`: a newly inserted key's licence is installed by
    itself. `sales`, `support`: whom banners and hints name.
    """

    node_hold: dt.timedelta = 1 * DAY
    removal_settle: dt.timedelta = dt.timedelta(seconds=60)
    auto_synchronize: bool = True
    sales: str = "your sales contact"
    support: str = "your support contact"
