"""What to do next, in words and commands, after a site was founded, joined or renewed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from console.site_files import Here
from console.site_plan import Machine, Plan
from console.site_settings import ETC

KEEPALIVED = "/etc/keepalived/keepalived.conf"


class Step(NamedTuple):
    """One thing to do, and the commands that do it."""

    text: str
    commands: tuple[str, ...] = ()


def after_founding(here: Here, bundles: dict[str, Path]) -> tuple[Step, ...]:
    """Return what makes a site of files."""
    plan = here.plan
    carry = [
        Step(
            f"Give {machine.name} its files, and run there what joins it:",
            (f"scp {bundles[machine.name]} root@{machine.address}:/root/", *_joining(machine, bundles[machine.name])),
        )
        for machine in plan.machines[1:]
    ]
    where = "On every machine start etcd; it answers when two have been started:" if plan.witness else "Start etcd:"
    roles = Step("Give the roles in etcd, here and once:", ("twinkey site roles",))
    return (*carry, Step(where, ETCD), roles, *_daemons(plan), _LOOK)


def after_joining(here: Here) -> tuple[Step, ...]:
    """Return what starts a machine that has its files now."""
    plan = here.plan
    etcd = Step("Start etcd:", ETCD)
    if here.machine not in {node.name for node in plan.nodes}:
        return (etcd,)
    roles = f"When `twinkey site roles` has been run on {plan.nodes[0].name}, start Twinkey"
    return (etcd, *_daemons(plan, roles), _LOOK)


def after_renewing(here: Here, bundles: dict[str, Path], *, founder: bool) -> tuple[Step, ...]:
    """Return what brings new certificates to whom they are for; etcd and its clients read theirs by themselves."""
    steps = [Step("Let the coordinator show its new certificate:", ("systemctl reload twinkey-coordinator",))]
    if here.machine not in {node.name for node in here.plan.nodes}:
        steps = []
    if founder:
        steps += [
            Step(
                f"Give {machine.name} its new certificates:",
                (
                    f"scp {bundles[machine.name]} root@{machine.address}:/root/",
                    *_joining(machine, bundles[machine.name]),
                    *(("systemctl reload twinkey-coordinator   # there",) if machine.uuid else ()),
                ),
            )
            for machine in here.plan.machines[1:]
        ]
    return tuple(steps)


LINK = f"[ {KEEPALIVED} -ef {ETC}/keepalived.conf ] || ln -s {ETC}/keepalived.conf {KEEPALIVED}"
"""It can be repeated, and fails where keepalived has settings of something else."""
ETCD = ("systemctl daemon-reload", "systemctl enable etcd", "systemctl restart etcd")
_LOOK = Step("Look at the site:", ("twinkey status", "twinkey doctor"))


def _joining(machine: Machine, bundle: Path) -> tuple[str, ...]:
    there = f"/root/{bundle.name}"
    if machine.uuid:
        return (f"twinkey site join {there}   # there",)
    return (f"tar -xf {there} -C /   # there",)


def _daemons(plan: Plan, when: str = "On both nodes start Twinkey") -> Iterable[Step]:
    text = when if plan.witness else "Start Twinkey"
    yield Step(f"{text}:", ("systemctl restart twinkey-coordinator twinkey-agent",))
    if plan.virtual_ip:
        yield Step(
            "On both nodes let keepalived move the virtual IP:",
            (LINK, "systemctl restart keepalived"),
        )
