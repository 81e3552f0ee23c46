"""Of what a site can be made, and what is refused before anything is written."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from msgspec.structs import replace

from console.site_plan import BadPlan, Machine, Ports, decide, differences, named_machine, named_uuids
from console.site_settings import agent_toml
from tests.unit.console.founding import ALONE, NOW, WISH, A, B, W

UUID = "5a5b9f0e-8f0e-4c56-9f3c-0d6a3b3f3a01"


def test_a_plan_decides_what_was_left_open() -> None:
    """Nodes get uuids of their own where none were given, the witness none, and the cluster a token."""
    plan = decide(replace(WISH, uuids={"b": UUID}), NOW)
    assert plan.nodes[1].uuid == UUID
    assert plan.nodes[0].uuid not in (None, UUID)
    assert plan.witness == W
    assert plan.token.startswith("acme-")
    assert plan.token != decide(WISH, NOW).token


def test_the_nearest_member_is_asked_first() -> None:
    """Each machine names its own etcd first, and all of them."""
    plan = decide(WISH, NOW)
    assert plan.endpoints(plan.nodes[1]) == ("203.0.113.2:2379", "203.0.113.1:2379", "203.0.113.3:2379")


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"witness": None}, "two nodes need a witness"),
        ({"nodes": (A,), "virtual_ip": ""}, "one node has no witness"),
        ({"nodes": (A, B, Machine("c", "203.0.113.4"))}, "one or two"),
        ({"nodes": (A, Machine("A", "203.0.113.2"))}, "same name"),
        ({"nodes": (A, Machine("b", "203.0.113.1"))}, "same address"),
        ({"nodes": (A, Machine("b", "2001:db8::2"))}, "one kind"),
        ({"site_id": "a/b"}, "site id 'a/b'"),
        ({"virtual_ip": "203.0.113.3"}, "is the address of w"),
        ({"virtual_ip": "2001:db8::9"}, "one kind"),
        ({"nodes": (A,), "witness": None}, "leave --virtual-ip out"),
        ({"uuids": {"c": UUID}}, "no node is called c"),
        ({"uuids": {"a": UUID, "b": UUID}}, "same --uuid"),
        ({"bus": "simulated:keys"}, "absolute path"),
        ({"bus": "simulated:/keys\x7f"}, "plain text"),
        ({"bus": "simulated:/\udcff"}, "plain text"),
        ({"stick_ids": ("nonsense",)}, "--stick-id"),
        ({"ports": Ports(2379, 2379, 8441)}, "three different"),
        ({"ports": Ports(0, 2380, 8441)}, "three different"),
        ({"ports": Ports(2379, 2380, 65536)}, "three different"),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_what_cannot_be_a_site_is_refused(changed: dict[str, Any], told: str) -> None:
    """And the refusal says why."""
    with pytest.raises(BadPlan, match=told):
        decide(replace(WISH, **changed), NOW)


@pytest.mark.parametrize(
    "text",
    [
        "a",
        "a=",
        "a=host",
        "=203.0.113.1",
        "a b=203.0.113.1",
        "-a=203.0.113.1",
        "localhost=203.0.113.1",
        "a=0.0.0.0",
        "a=224.0.0.1",
        "a=2001:db8::1%eth0",
        "a=fe80::1%eth0",
        "a=fe80::1",
    ],
)
def test_a_machine_has_a_name_and_an_address(text: str) -> None:
    """The name can be a host name, and the address is one at which others reach it."""
    with pytest.raises(BadPlan):
        named_machine(text)


def test_each_node_has_one_uuid() -> None:
    """They are read by the node's name, in whichever way they are written."""
    other = "0d6a3b3f-8f0e-4c56-9f3c-5a5b9f0e3a01"
    assert named_uuids([f"a={UUID.upper()}", f"b={other}"]) == {"a": UUID, "b": other}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([f"a={UUID}", "a=0d6a3b3f-8f0e-4c56-9f3c-5a5b9f0e3a01"], "names a twice"),
        ([UUID], "write NAME=UUID"),
        (["a=b"], "--uuid a=b"),
    ],
    ids=["twice", "no-name", "no-uuid"],
)
def test_what_gives_no_uuid_or_two_is_refused(given: list[str], told: str) -> None:
    """None is chosen silently."""
    with pytest.raises(BadPlan, match=told):
        named_uuids(given)


def test_settings_are_read_as_they_were_meant() -> None:
    """With every letter that a folder's name can have."""
    plan = decide(replace(WISH, bus='simulated:/keys/\N{KEY}"\\ü'), NOW)
    assert tomllib.loads(agent_toml(plan, plan.nodes[0]))["bus"] == plan.bus


def test_addresses_are_written_in_one_way() -> None:
    """So that the same address is never taken for two."""
    assert named_machine("a=2001:DB8:0::1") == Machine("a", "2001:db8::1")


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"site_id": "other"}, "--site-id was acme, and is other now"),
        (
            {"nodes": (A, Machine("b", "203.0.113.9"))},
            "--node was a=203.0.113.1 b=203.0.113.2, and is a=203.0.113.1 b=203.0.113.9",
        ),
        ({"witness": Machine("w", "203.0.113.4")}, "--witness was w=203.0.113.3, and is w=203.0.113.4 now"),
        ({"virtual_ip": ""}, "--virtual-ip was 203.0.113.10, and is none now"),
        ({"bus": "simulated:/keys"}, "--bus was usb"),
        ({"stick_ids": ("0781:5567",)}, "--stick-id was none, and is 0781:5567 now"),
        ({"ports": Ports(http=443)}, "the ports"),
        ({"uuids": {"a": UUID}}, "--uuid of a was"),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_a_site_that_is_asked_for_otherwise_is_told_apart(changed: dict[str, Any], told: str) -> None:
    """Every decision that differs is named, with what it was and what it is."""
    (different,) = differences(decide(WISH, NOW), replace(WISH, **changed))
    assert told in different


def test_a_site_that_is_asked_for_again_is_the_same() -> None:
    """Nothing differs, with two nodes or one, and with uuids that were decided or not named."""
    plan = decide(WISH, NOW)
    assert not list(differences(plan, WISH))
    assert not list(differences(plan, replace(WISH, uuids={"b": str(plan.nodes[1].uuid)})))
    assert not list(differences(decide(ALONE, NOW), ALONE))
