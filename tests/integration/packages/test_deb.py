"""What is in the package, and what is not."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.integration.packages.machines import run
from usbwatch.udev_rules import render

ROOT = Path(__file__).parents[3]
HOME = "usr/lib/twinkey"
EXPECTED = (
    "usr/bin/twinkey",
    "usr/lib/systemd/system/twinkey-agent.service",
    "usr/lib/systemd/system/twinkey-coordinator.service",
    "usr/lib/systemd/system/keepalived.service.d/twinkey.conf",
    "usr/lib/sysusers.d/twinkey.conf",
    "usr/lib/tmpfiles.d/twinkey.conf",
    "usr/lib/udev/rules.d/70-twinkey.rules",
    "usr/share/bash-completion/completions/twinkey",
    "usr/share/doc/twinkey/changelog.gz",
    "usr/share/doc/twinkey/copyright",
    "usr/share/doc/twinkey/examples/start-check.conf",
    "usr/share/doc/twinkey/packages.md",
    "usr/share/doc/twinkey/python-packages",
)


class Unpacked(NamedTuple):
    """The package's files below `root`, and its own files below `control`."""

    root: Path
    control: Path


@pytest.fixture(scope="module")
def unpacked(deb: Path, tmp_path_factory: pytest.TempPathFactory) -> Unpacked:
    """Unpack the package."""
    folder = tmp_path_factory.mktemp("deb")
    run("dpkg-deb", "--extract", str(deb), str(folder / "root"))
    run("dpkg-deb", "--control", str(deb), str(folder / "control"))
    return Unpacked(folder / "root", folder / "control")


@pytest.mark.parametrize("path", EXPECTED)
def test_it_is_there(unpacked: Unpacked, path: str) -> None:
    """The package brings what its page promises."""
    assert (unpacked.root / path).is_file()


def test_everything_is_in_its_place(deb: Path) -> None:
    """All is root's, nobody else may write it, and nothing is below /etc, /var or /opt, nor a setting of somebody's."""
    lines = [line.split(maxsplit=5) for line in run("dpkg-deb", "--contents", str(deb)).splitlines()]
    assert lines
    for mode, owner, _, _, _, path in lines:
        assert owner == "root/root", path
        assert mode[8] != "w", path
        assert mode[5] != "w", path
        assert path.split("/")[1] in {"", "usr"}, path


def test_what_it_says_of_itself(deb: Path, unpacked: Unpacked) -> None:
    """It has the version of the sources, and depends on the Python whose modules it has, and no newer one."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert run("dpkg-deb", "--field", str(deb), "Version").strip() == version
    (python,) = (unpacked.root / HOME / "lib").iterdir()
    major, minor = python.name.removeprefix("python").split(".")
    wanted = {f"python3 (>= {major}.{minor})", f"python3 (<< {major}.{int(minor) + 1})", "libusb-1.0-0"}
    assert wanted <= set(run("dpkg-deb", "--field", str(deb), "Depends").strip().split(", "))
    assert (unpacked.root / HOME / "bin" / "python").readlink() == Path("/usr/bin", python.name)


def test_no_setting_is_its_own(unpacked: Unpacked) -> None:
    """It has no configuration files, so that no upgrade asks whose version of one shall count."""
    assert sorted(path.name for path in unpacked.control.iterdir()) == [
        "control",
        "md5sums",
        "postinst",
        "postrm",
        "preinst",
        "prerm",
    ]


def test_it_knows_nothing_of_where_it_was_built(unpacked: Unpacked, deb: Path) -> None:
    """No file names a folder of the machine that built it, neither that of the sources nor one for a while."""
    places = (str(ROOT).encode(), b"/tmp/tmp.", str(deb.parent).encode())
    for path in unpacked.root.rglob("*"):
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            assert not [place for place in places if place in content], path


def test_it_is_compiled_for_good(unpacked: Unpacked) -> None:
    """Every module of the daemons is compiled so that Python never wants to write it again, also with other times."""
    checked = 0
    for package in ("agent", "cluster", "coordinator", "console", "licensing", "usbwatch"):
        for source in unpacked.root.glob(f"{HOME}/lib/python*/site-packages/{package}/**/*.py"):
            (compiled,) = (source.parent / "__pycache__").glob(f"{source.stem}.cpython-*.pyc")
            flags = int.from_bytes(compiled.read_bytes()[4:8], "little")
            assert flags == 0b01, f"{compiled} would be checked against its source"
            checked += 1
    assert checked > 100


def test_the_rules_are_those_of_the_drivers(unpacked: Unpacked) -> None:
    """Its udev rules are what `twinkey udev-rules` prints, and are named so that those in /etc take their place."""
    assert (unpacked.root / "usr/lib/udev/rules.d/70-twinkey.rules").read_text(encoding="utf-8") == render()


def test_its_scripts_are_sound() -> None:
    """The maintainer scripts and the build are valid to the shells that run them."""
    folder = ROOT / "packaging" / "deb"
    for script in ("preinst", "postinst", "prerm", "postrm"):
        run("sh", "-n", str(folder / script))
    run("bash", "-n", str(folder / "build"))
