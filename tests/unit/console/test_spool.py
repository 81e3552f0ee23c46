"""A licence that comes while etcd has no quorum: checked, kept on the disk, and installed later."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import Result

from console.spool import kept
from licensing.envelope import seal
from licensing.keyring import render_keyring
from tests.unit.console.recorded_site import RecordedSite, recorded, recorded_site
from tests.unit.licensing.signing import KEYRING, KID, VENDOR, licence

GOOD = seal(licence(), KID, VENDOR)


@pytest.fixture
def keyring(tmp_path: Path) -> Path:
    """Give the file of the vendor's public keys."""
    path = tmp_path / "keyring.json"
    path.write_bytes(render_keyring(KEYRING))
    return path


async def install(site: RecordedSite, spool: Path, *words: str | Path, data: bytes = GOOD) -> Result:
    """Install a licence, or with `--spooled` those that wait."""
    file = () if "--spooled" in words else ("-",)
    return await site.run("license", "install", *file, "--spool", spool, *words, data=data)


async def test_a_licence_waits_while_the_site_cannot_take_it(tmp_path: Path, keyring: Path) -> None:
    """It is verified, kept whole for root alone, and said not to be installed: exit code 5."""
    spool = tmp_path / "spool"
    async with recorded_site() as site:
        site.gives("POST /v1/licenses", recorded("unavailable"))
        result = await install(site, spool, "--keyring", keyring)
        again = await install(site, spool, "--keyring", keyring, "--json")
    (file,) = spool.iterdir()
    assert (result.exit_code, again.exit_code, file.read_bytes()) == (5, 5, GOOD)
    assert (spool.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o700, 0o600)
    for part in ("NOT installed yet", "is genuine", str(file), "--spooled", "cannot reach etcd"):
        assert part in result.stderr
    assert json.loads(again.stdout) == json.loads(again.stdout) | {"spooled": str(file), "verified": True}


async def test_an_unverified_licence_is_said_to_be_unverified(tmp_path: Path) -> None:
    """Without a keyring only the form can be checked, which is said."""
    async with recorded_site() as site:
        site.gives("POST /v1/licenses", recorded("unavailable"))
        result = await install(site, tmp_path / "spool")
    assert (result.exit_code, "was not verified (give --keyring)" in result.stderr) == (5, True)


@pytest.mark.parametrize("data", [b"nonsense", GOOD.replace(b"quota", b"Quota")])
async def test_a_bad_licence_does_not_wait(tmp_path: Path, keyring: Path, data: bytes) -> None:
    """What could never be installed is refused at once, and nothing is kept."""
    async with recorded_site() as site:
        site.gives("POST /v1/licenses", recorded("unavailable"))
        result = await install(site, tmp_path / "spool", "--keyring", keyring, data=data)
    assert (result.exit_code, "Nothing was kept." in result.stderr) == (1, True)
    assert not (tmp_path / "spool").exists()


async def test_what_waits_is_installed_later(tmp_path: Path) -> None:
    """`--spooled` installs it and takes it out of the spool; then nothing waits any more."""
    spool = tmp_path / "spool"
    async with recorded_site() as site:
        site.gives("POST /v1/licenses", recorded("unavailable"), recorded("installed"))
        await install(site, spool)
        result = await install(site, spool, "--spooled")
        assert (result.exit_code, "Installed Acme." in result.stdout) == (0, True)
        assert [asked.body for asked in site.asked] == [GOOD, GOOD]
        assert f"Nothing waits in {spool}." in (await install(site, spool, "--spooled")).stdout


async def test_what_still_cannot_be_taken_goes_on_waiting(tmp_path: Path) -> None:
    """Without a quorum `--spooled` ends with 5 and keeps what there is."""
    async with recorded_site() as site:
        site.gives("POST /v1/licenses", recorded("unavailable"))
        await install(site, tmp_path)
        assert (await install(site, tmp_path, "--spooled")).exit_code == 5
    assert [file.read_bytes() for file in kept(tmp_path)] == [GOOD]


async def test_a_refused_licence_stays_in_the_spool_and_does_not_hold_up_others(tmp_path: Path) -> None:
    """One refusal is exit code 1, names its file and goes on with the next."""
    other = seal(licence(name="other"), KID, VENDOR)
    async with recorded_site() as site:
        site.gives("POST /v1/licenses", *[recorded("unavailable")] * 2, recorded("refused"), recorded("installed"))
        await install(site, tmp_path)
        (first,) = kept(tmp_path)
        await install(site, tmp_path, data=other)
        result = await install(site, tmp_path, "--spooled")
    assert (result.exit_code, kept(tmp_path)) == (1, [first])
    assert f"{first} is refused: This is not a licence file." in result.stderr


async def test_a_spool_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A licence that is neither installed nor kept must not be taken for either."""
    blocked = tmp_path / "file"
    blocked.touch()
    async with recorded_site() as site:
        site.gives("POST /v1/licenses", recorded("unavailable"))
        result = await install(site, blocked / "spool")
    assert (result.exit_code, "cannot be kept for later either" in result.stderr) == (1, True)


async def test_a_file_and_the_spool_are_two_things() -> None:
    """Neither and both are a mistake in the usage."""
    async with recorded_site() as site:
        assert (await site.run("license", "install")).exit_code == 2
        assert (await site.run("license", "install", "-", "--spooled")).exit_code == 2
