"""A site that is installed as its page says works, and goes on through what becomes of machines and packages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.packages.installed_site import (
    AT_REST,
    BUS,
    DAEMONS,
    ETC,
    HOSTS,
    SEEN,
    VIRTUAL_IP,
    InstalledSite,
    at_rest,
)
from tests.integration.packages.machines import CARRIED, CommandFailed, Machine, holds, repacked
from tests.site import Status
from tests.waiting import eventually_sync

pytestmark = pytest.mark.timeout(300)  # the first test also builds the package and installs the site

HUNG = 60.0
"""Seconds within which a daemon that hangs has been noticed and is there again."""
NEWER = "99.0"
MAY_NOT_START = "4"
PLATFORM = "/etc/systemd/system/platform.service"
PLATFORM_UNIT = """\
[Service]
Type=oneshot
RemainAfterExit=yes
User=nobody
ExecStart=/bin/true
"""


@pytest.fixture(scope="module")
def newer(deb: Path, installed: InstalledSite, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Make the package in a newer version and return where the machines find it."""
    made = repacked(deb, NEWER, tmp_path_factory.mktemp("newer"))
    made.rename(installed.folder / made.name)
    return f"{CARRIED}/{made.name}"


@pytest.fixture
def platform(site: InstalledSite) -> Iterator[Machine]:
    """Give a node with a service that stands for the platform's, to which the example was added."""
    node = site.founder
    example = "/usr/share/doc/twinkey/examples/start-check.conf"
    write(node, PLATFORM, PLATFORM_UNIT)
    node.run("install", "-D", "-m", "0644", example, f"{PLATFORM}.d/twinkey.conf")
    node.run("systemctl", "daemon-reload")
    yield node
    node.run("twinkey", "usage", "set", "--hosts", "1")
    node.run("systemctl", "reset-failed")
    node.run("rm", "-r", PLATFORM, f"{PLATFORM}.d")
    node.run("systemctl", "daemon-reload")


def test_both_nodes_say_that_the_site_is_licensed(site: InstalledSite) -> None:
    """On each node root is told without a token, in words, that the key's licence is valid and both nodes report."""
    for node in site.nodes.values():
        said = node.run("twinkey", "status")
        assert re.search("^Licence +Valid", said, re.MULTILINE), said
        assert re.findall(r"^Node (\S+) +reachable", said, re.MULTILINE) == list(site.nodes), said


def test_the_daemons_can_do_nothing_else(site: InstalledSite) -> None:
    """Each runs as its own user without any of root's powers, under a filter of system calls, and can gain nothing."""
    for unit in DAEMONS:
        pid = site.founder.property_of(unit, "MainPID")
        facts = dict(re.findall(r"^(\w+):\s+(\w+)", site.founder.run("cat", f"/proc/{pid}/status"), re.MULTILINE))
        assert facts["Uid"] == site.founder.run("id", "--user", unit).strip()
        assert (int(facts["CapBnd"], 16), int(facts["CapEff"], 16)) == (0, 0)
        assert (facts["NoNewPrivs"], facts["Seccomp"]) == ("1", "2")


def test_nobody_reads_the_keys_of_others(site: InstalledSite) -> None:
    """Private keys and tokens can be read by whom they are for, and by no other daemon."""
    for node in site.nodes.values():
        for user, own in (("twinkey-agent", "agent"), ("twinkey-coordinator", "coordinator"), ("etcd", "etcd")):
            found = node.run("find", ETC, "-type", "f").split()
            secret = {path for path in found if path.endswith((".key", "token", "tokens.json"))}
            read = {path for path in secret if node.succeeds("runuser", "-u", user, "--", "test", "-r", path)}
            expected = {path for path in secret if path.startswith(f"{ETC}/{own}/")}
            assert expected
            assert read == expected | ({f"{ETC}/tokens.json"} if own == "coordinator" else set()), user


def test_the_package_knows_the_files_of_the_site(site: InstalledSite) -> None:
    """A key whose group is not what it was is put right by the package; where all is well it changes nothing."""
    node, key = site.founder, f"{ETC}/coordinator/http.key"
    listed = ("find", ETC, "/var/lib/twinkey", "-printf", "%p %m %u %g\n")
    before = node.run(*listed)
    node.run("systemd-tmpfiles", "--create", "twinkey.conf")
    assert node.run(*listed) == before
    node.run("chown", "0:0", key)
    node.run("systemd-tmpfiles", "--create", "twinkey.conf")
    assert node.run(*listed) == before


def test_systemd_finds_nothing_wrong(site: InstalledSite) -> None:
    """The units are valid to systemd on a machine that has all that they name, and no service has failed."""
    for node in site.nodes.values():
        assert node.run("systemd-analyze", "verify", *(f"{unit}.service" for unit in DAEMONS)) == ""
        assert node.run("systemctl", "--failed", "--no-legend", "--plain") == ""


def test_a_reload_keeps_the_process(site: InstalledSite) -> None:
    """`systemctl reload` is answered when it is done, and both daemons go on as the same process."""
    node = site.founder
    before = [node.property_of(unit, "MainPID") for unit in DAEMONS]
    node.run("systemctl", "reload", *DAEMONS)
    assert [node.property_of(unit, "MainPID") for unit in DAEMONS] == before
    assert all(node.is_active(unit) for unit in DAEMONS)


def test_daemons_that_hang_are_started_again(site: InstalledSite) -> None:
    """Frozen, both daemons of a node are noticed and replaced, and the journal has where each of their threads was."""
    node = site.holder()
    before = {unit: node.property_of(unit, "MainPID") for unit in DAEMONS}

    def there_again() -> bool:
        now = {unit: node.property_of(unit, "MainPID") for unit in DAEMONS}
        return all(now[unit] not in {before[unit], "0"} and node.is_active(unit) for unit in DAEMONS)

    with site.licensed_throughout(site.other(node)):
        node.run("kill", "-STOP", *before.values())
        try:
            eventually_sync(there_again, HUNG)
        finally:
            node.succeeds("kill", "-CONT", *before.values())
        site.shown(node.address, at_rest, AT_REST)
    for unit in DAEMONS:
        told = node.journal(unit)
        # What wakes a frozen daemon to be ended wakes its loop too, which may be anywhere when its frames are read.
        assert "Fatal Python error: Aborted" in told, told[-6000:]
        assert "most recent call first" in told, told[-6000:]


def test_nothing_needs_etcd_to_start(site: InstalledSite) -> None:
    """Without any etcd both daemons of a node start all the same, and the last answer is served, as a stale one."""
    node = site.founder
    for machine in site.machines:
        machine.run("systemctl", "stop", "etcd")
    node.run("systemctl", "restart", *DAEMONS)
    shown = site.shown(node.address, lambda status: status["stale"], SEEN)
    assert (shown["license"]["status"], shown["license"]["keyId"]) == ("Valid", "K1")
    assert all(node.is_active(unit) for unit in DAEMONS)


@pytest.mark.parametrize("goes_off", [Machine.shut_down, Machine.lose_power], ids=["reboot", "power"])
def test_a_node_comes_back_by_itself(site: InstalledSite, goes_off: Callable[[Machine], None]) -> None:
    """The node with the virtual IP goes off: the other one has all of it and says Valid throughout; then it returns."""
    node = site.holder()
    other = site.other(node)
    with site.licensed_throughout(other):
        goes_off(node)
        site.shown(VIRTUAL_IP, lambda status: leads(status, other) and not status["stale"], AT_REST)
        assert holds(other, VIRTUAL_IP)
        node.boot()
        site.shown(node.address, at_rest, AT_REST)


def test_one_node_after_the_other_is_upgraded(site: InstalledSite, newer: str) -> None:
    """While a node is upgraded the other one says Valid; the two versions work together, and so do they in the end."""
    for node in site.nodes.values():
        with site.licensed_throughout(site.other(node)):
            node.run("dpkg", "--install", newer)
            assert node.run("twinkey", "--version").split()[-1] == NEWER
            site.shown(node.address, at_rest, AT_REST)


def test_an_upgrade_changes_no_setting_and_starts_nothing(site: InstalledSite, newer: str) -> None:
    """It leaves every file of /etc/twinkey as it was, and what is stopped or disabled too."""
    node = site.other(site.holder())
    node.run("systemctl", "disable", "--now", "twinkey-agent")
    node.run("systemctl", "stop", "twinkey-coordinator")
    try:
        before = settings_of(node)
        node.run("dpkg", "--install", newer)
        assert settings_of(node) == before
        assert not node.is_active("twinkey-coordinator")
        assert not node.is_active("twinkey-agent")
        assert not node.succeeds("systemctl", "--quiet", "is-enabled", "twinkey-agent")
    finally:
        node.run("systemctl", "enable", "twinkey-agent")


def test_removed_and_installed_again_a_node_is_what_it_was(site: InstalledSite) -> None:
    """A removal stops the daemons and hands the virtual IP over; settings and state stay, and are taken up again."""
    node = site.holder()
    other = site.other(node)
    with site.licensed_throughout(other):
        before = settings_of(node)
        node.run("dpkg", "--remove", "twinkey")
        eventually_sync(lambda: site.holder() is other, SEEN)
        assert not any(node.is_active(unit) for unit in DAEMONS)
        assert settings_of(node) == before
        assert node.succeeds("test", "-e", "/var/lib/twinkey/coordinator")
        node.run("dpkg", "--install", site.deb)
        site.shown(node.address, at_rest, AT_REST)


def test_purged_nothing_of_the_daemons_is_left(site: InstalledSite) -> None:
    """A purge takes their settings, keys, tokens and state; etcd's and keepalived's stay, and the site is licensed."""
    node = site.nodes["node-b"]
    other = site.other(node)
    with site.licensed_throughout(other):
        said = node.run("dpkg", "--purge", "twinkey")
        assert f"{ETC}/etcd stays" in said
        left = {Path(path).name for path in node.run("find", ETC, "-mindepth", "1", "-maxdepth", "1").split()}
        assert left == {"etcd", "ca.pem", "keepalived.conf", "machine.json"}
        assert node.run("ls", "/var/lib/twinkey").split() == ["keepalived"]
        assert not node.succeeds("test", "-e", "/usr/lib/twinkey")
        assert node.is_active("etcd")
        assert not site.status(other.address)["stale"]
        node.run("dpkg", "--install", site.deb)
        site.join(node)
        node.run("systemctl", "restart", *DAEMONS, "keepalived")
        site.shown(node.address, at_rest, AT_REST)


def test_the_platform_starts_where_it_may(platform: Machine) -> None:
    """With the example its unit starts while the quota is kept; above it the unit fails, with the check's own code."""
    platform.run("twinkey", "usage", "set", "--hosts", "1")
    platform.run("systemctl", "restart", "platform")
    platform.run("twinkey", "usage", "set", "--hosts", str(HOSTS + 1))
    with pytest.raises(CommandFailed):
        platform.run("systemctl", "restart", "platform")
    assert f"status={MAY_NOT_START}" in platform.run("systemctl", "show", "--property", "ExecStartPre", "platform")
    assert "may not start" in platform.journal("platform")


def test_the_platform_starts_where_nobody_can_tell(platform: Machine) -> None:
    """With no coordinator on the node its unit starts, and the journal has why that was not known."""
    platform.run("systemctl", "mask", "--now", "--runtime", "twinkey-coordinator")
    try:
        platform.run("systemctl", "restart", "platform")
    finally:
        platform.run("systemctl", "unmask", "--runtime", "twinkey-coordinator")
        platform.run("systemctl", "start", "twinkey-coordinator")
    assert "whether a node may start is not known" in platform.journal("platform")


def test_bash_completes_the_command(site: InstalledSite) -> None:
    """Where bash-completion is installed, TAB after `twinkey st` offers what begins like that."""
    ask = "source /usr/share/bash-completion/bash_completion; _completion_loader twinkey; COMP_WORDS=(twinkey sta) "
    ask += 'COMP_CWORD=1; _twinkey_completion twinkey; echo "${COMPREPLY[@]}"'
    assert set(site.founder.run("bash", "-ic", ask).split()) >= {"start-check", "status"}


def test_a_key_is_seen_by_both_nodes(site: InstalledSite) -> None:
    """Pulled out and inserted again, the key of one node shows on the other one as fast as on its own."""
    site.founder.run("rm", f"{BUS}/K1.ukey")
    for node in site.nodes.values():
        site.shown(node.address, lambda status: not at_rest(status), SEEN)
    site.plug()
    for node in site.nodes.values():
        site.shown(node.address, at_rest, SEEN)


def write(machine: Machine, path: str, text: str) -> None:
    """Write a file on a machine."""
    machine.run("sh", "-c", 'printf %s "$1" >"$2"', "sh", text, path)


def settings_of(machine: Machine) -> str:
    """Return a digest of every file of a machine's settings, with who may read it."""
    modes = machine.run("find", ETC, "-printf", "%p %m %u %g\n")
    return modes + machine.run("sh", "-c", f"find {ETC} -type f -exec sha256sum {{}} + | sort")


def leads(status: Status, node: Machine) -> bool:
    """Whether a status says that a node leads."""
    return bool(status["leader"] and status["leader"]["name"] == node.name)
