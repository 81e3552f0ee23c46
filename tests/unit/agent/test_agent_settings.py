"""The agent's settings: what is refused and that everything is described."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.settings import AgentSettings
from cluster.settings import BadSettings, describe, read_settings

SITE = {"TWINKEY_SITE_ID": "site-1"}


def test_a_site_id_is_all_that_must_be_said() -> None:
    """Everything but the site has a default that suits a node."""
    settings = read_settings(None, AgentSettings, SITE)
    assert settings.bus == "usb"
    assert settings.state_dir == Path("/var/lib/twinkey")
    assert settings.etcd.endpoints == ("127.0.0.1:2379",)


def test_everything_can_be_set() -> None:
    """Each setting takes a good value from the environment."""
    given = {
        "NODE": "0f8fad5b-d9cb-469f-a165-70867728950e",
        "NAME": "node-a",
        "STATE_DIR": "/state",
        "KEYRING": "/keyring",
        "BUS": "simulated:/keys",
        "READ_DEADLINE": "2.5",
        "VIRTUAL_IP": "2001:db8::1",
        "TRACK_FILE": "/run/track",
        "COORDINATOR": "https://192.0.2.1:8441",
        "COORDINATOR_CA": "/ca.pem",
        "LEASE_TTL": "4",
        "LOG_LEVEL": "debug",
    }
    environ = SITE | {f"TWINKEY_{name}": value for name, value in given.items()}
    settings = read_settings(None, AgentSettings, environ)
    assert {name: str(getattr(settings, name.lower())) for name in given} == given


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("SITE_ID", "a/b", "site id"),
        ("BUS", "pci", "usb or simulated:"),
        ("READ_DEADLINE", "0", "above 0"),
        ("VIRTUAL_IP", "10.0.0.300", "virtual_ip"),
        ("VIRTUAL_IP", "10.0.0.1/24", "without a prefix length"),
        ("TRACK_FILE", "/run/track", "set virtual_ip"),
        ("COORDINATOR", "192.0.2.1:8441", "coordinator"),
        ("COORDINATOR_CA", "/ca.pem", "write https:// in coordinator"),
        ("LEASE_TTL", "1", "from 3"),
        ("LOG_LEVEL", "loud", "one of debug, info"),
        ("NODE", "not a uuid", "UUID"),
    ],
)
def test_a_wrong_setting_is_refused(variable: str, value: str, says: str) -> None:
    """Each answer says what is allowed."""
    with pytest.raises(BadSettings, match=says):
        read_settings(None, AgentSettings, SITE | {f"TWINKEY_{variable}": value})


def test_there_is_one_answer_to_who_holds_the_virtual_ip() -> None:
    """The address and its stand-in exclude each other."""
    with pytest.raises(BadSettings, match="exclude each other"):
        read_settings(None, AgentSettings, SITE | {"TWINKEY_VIRTUAL_IP": "10.0.0.1", "TWINKEY_VIRTUAL_IP_FILE": "/f"})


def test_every_setting_is_described_once() -> None:
    """No setting lacks a description, and no two share a variable."""
    rows = describe(AgentSettings)
    assert all(row.description for row in rows)
    assert len({row.variable for row in rows}) == len(rows)
