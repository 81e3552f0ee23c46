"""The coordinator's settings: what is allowed, and what the law gets of them."""

from __future__ import annotations

import datetime as dt
import uuid
from pathlib import Path

import pytest

from cluster.settings import BadSettings, read_settings
from coordinator.guarding import Rules
from coordinator.settings import CoordinatorSettings
from licensing.policy import Policy

A, B = (str(uuid.UUID(int=n)) for n in (1, 2))
LEAST = {
    "TWINKEY_SITE_ID": "site-1",
    "TWINKEY_MEMBERS": f"{A},{B}",
    "TWINKEY_STATE_DIR": "/var/lib/twinkey",
    "TWINKEY_KEYRING": "/etc/twinkey/keyring.json",
    "TWINKEY_TOKENS": "/etc/twinkey/tokens.json",
}


def read(**more: str) -> CoordinatorSettings:
    """Read the least settings with more of them."""
    return read_settings(None, CoordinatorSettings, LEAST | {f"TWINKEY_{name}": value for name, value in more.items()})


def test_the_least_settings_are_the_laws_own() -> None:
    """What is left out is the law's own figure, and loopback."""
    settings = read()
    assert settings.policy == Policy()
    assert settings.address == ("127.0.0.1", 8441)
    assert (settings.members, settings.state_dir) == ((A, B), Path("/var/lib/twinkey"))


def test_what_is_set_reaches_the_law() -> None:
    """The site's own figures become the law's."""
    settings = read(NODE_HOLD="60", REMOVAL_SETTLE="1.5", AUTO_SYNCHRONIZE="false", SALES="s", SUPPORT="t")
    assert settings.policy == Policy(dt.timedelta(minutes=1), dt.timedelta(seconds=1.5), False, "s", "t")  # noqa: FBT003


def test_what_is_set_reaches_the_guard() -> None:
    """Names, pace and the length of sessions are those of the settings."""
    rules = read(HOST_NAMES="a.example,b.example", CHANGES_PER_MINUTE="7", SESSION_LIFETIME="90").rules
    assert rules == Rules(("a.example", "b.example"), 7, dt.timedelta(seconds=90))
    assert read().rules == Rules()


@pytest.mark.parametrize(
    ("listen", "address"),
    [("0.0.0.0:80", ("0.0.0.0", 80)), ("[::1]:8443", ("::1", 8443)), ("node-a:65535", ("node-a", 65535))],  # noqa: S104
)
def test_an_address_is_taken_apart(listen: str, address: tuple[str, int]) -> None:
    """Names, IPv4 and IPv6 in brackets are allowed."""
    assert read(LISTEN=listen).address == address


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SITE_ID", "../other"),
        ("NODE", "node-a"),
        ("MEMBERS", "node a"),
        ("MEMBERS", A.upper().replace("-", "")),
        ("MEMBERS", f"{A},{A}"),
        ("MEMBERS", f"{A},{B},{A}"),
        ("MEMBERS", ""),
        ("LISTEN", "127.0.0.1:65536"),
        ("LISTEN", "127.0.0.1"),
        ("NODE_HOLD", "inf"),
        ("NODE_HOLD", "1e300"),
        ("NODE_HOLD", "nan"),
        ("NODE_HOLD", "-1"),
        ("REMOVAL_SETTLE", "1e9"),
        ("SESSION_LIFETIME", "59"),
        ("SESSION_LIFETIME", "1e9"),
        ("LEASE_TTL", "2"),
        ("LOG_LEVEL", "loud"),
    ],
)
def test_a_setting_that_cannot_work_is_refused_at_the_start(name: str, value: str) -> None:
    """Whatever would break later is refused before the daemon starts, with the setting's name."""
    with pytest.raises(BadSettings, match=name.lower() if name != "SITE_ID" else "site id"):
        read(**{name: value})


def test_a_member_is_told_how_to_write_it() -> None:
    """The text says how the node itself will spell its id."""
    with pytest.raises(BadSettings, match=f"as {B}, as its node calls itself"):
        read(MEMBERS=f"{A},{B.replace('-', '')}")


def test_both_daemons_understand_one_log_level() -> None:
    """The two daemons of a node share an environment, so the level is spelt alike."""
    assert read(LOG_LEVEL="debug").log_level == "debug"


def test_https_needs_a_certificate_and_its_key() -> None:
    """Both or neither; without them it is plain HTTP."""
    assert read().tls.pair is None
    assert read(TLS_CERT="/http.pem", TLS_KEY="/http.key").tls.pair == (Path("/http.pem"), Path("/http.key"))
    for half in ("TLS_CERT", "TLS_KEY"):
        with pytest.raises(BadSettings, match="tls: cert and key belong together"):
            read(**{half: "/file"})


@pytest.mark.parametrize(
    ("listen", "here"),
    [
        ("127.0.0.1:80", True),
        ("127.8.8.8:80", True),
        ("[::1]:80", True),
        ("localhost:80", True),
        ("0.0.0.0:80", False),
        ("[::]:80", False),
        ("node-a:80", False),
    ],
)
def test_whether_others_can_call_is_seen(listen: str, *, here: bool) -> None:
    """Only the loopback is sure to be for this machine alone."""
    assert read(LISTEN=listen).listens_here_only is here
