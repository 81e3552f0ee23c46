"""Members of an etcd in containers are killed, paused and cut off; the site goes on, and all heals by itself."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest

from tests.integration.containers.conftest import ContainerSite
from tests.integration.containers.etcd_containers import EtcdContainer
from tests.site import Status, keys_in

TURNED = 8.0
"""Seconds within which a change is published although etcd's leader was lost, on a machine that runs other tests."""
NOTICED = 8.0
BACK = 15.0
FAULTS: dict[str, Callable[[EtcdContainer], None]] = {
    "killed": EtcdContainer.kill,
    "paused": EtcdContainer.pause,
    "disconnected": EtcdContainer.disconnect,
}


def is_licensed(status: Status) -> bool:
    """Whether a status has the licence of the key that is in use."""
    return (status["license"]["keyId"], status["license"]["status"]) == ("held", "Valid")


def published_on_both(site: ContainerSite) -> None:
    """Plug a key into node b and wait until both nodes show it, freshly; the licence is in every answer."""
    name = uuid.uuid4().hex

    def shows(status: Status) -> bool:
        told.append(is_licensed(status))
        return not status["stale"] and keys_in(status)["b"].get(name) == "ok"

    told = list[bool]()
    site.plug("b", site.new_key(name))
    site.wait_for_all(shows, TURNED)
    assert all(told)


@pytest.mark.parametrize("fault", FAULTS)
def test_the_loss_of_the_leading_member_stops_nothing(site: ContainerSite, fault: str) -> None:
    """What is plugged in then is published by the other two, and the member follows them when it is back."""
    lost = site.members.leader()
    FAULTS[fault](lost)
    published_on_both(site)
    site.members.mend()
    published_on_both(site)


@pytest.mark.parametrize("fault", FAULTS)
def test_without_a_quorum_the_last_answer_is_served(site: ContainerSite, fault: str) -> None:
    """Two of three members are lost: both nodes answer with the licence, as stale, and freshly when they are back."""
    for member in site.members.members[1:]:
        FAULTS[fault](member)
    assert all(map(is_licensed, site.wait_for_all(lambda status: status["stale"], NOTICED)))
    site.members.mend()
    site.wait_for_all(lambda status: not status["stale"] and is_licensed(status), BACK)
    published_on_both(site)
