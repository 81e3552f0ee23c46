"""Uploads: what is taken for licence files, what is no licence data at all, and what the vendor packs."""

from __future__ import annotations

import hashlib
import lzma
import stat
import struct
import tarfile
import zipfile
from base64 import b64encode, encodebytes
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licensing.archive import LicenceFile, UploadRefused, pack, read_upload
from licensing.unpacking import MAX_MEMBERS
from tests.unit.licensing.archives import ONE, TWO, Pipe, gzipped, member, named, patched, tarred, tgz, zipped

BOTH = (ONE, TWO)
HTML = b"<!DOCTYPE html><html><body>Your session has expired.</body></html>"
TAR = tarred(*map(member, BOTH))
TAR_END = -(-len(TAR.rstrip(b"\0")) // 512) * 512 + 1024  # what follows is filling
TGZ = gzipped(TAR)
ZIP = zipped(*BOTH)
STORED = zipped(*BOTH, method=zipfile.ZIP_STORED)
DOT = member(named("./", b""), tarfile.DIRTYPE)


def refusal(data: bytes) -> UploadRefused:
    """Return why an upload is refused, which it must be."""
    with pytest.raises(UploadRefused) as caught:
        read_upload(data)
    return caught.value


# --- what is accepted ---------------------------------------------------------------------------------------------

ARCHIVES = {
    "zip": ZIP,
    "zip, stored": STORED,
    "zip, written to a pipe": zipped(*BOTH, to=Pipe()),
    "zip, no modes": zipped(*BOTH, mode=0),
    "zip, dotted": zipped(named("./one.lic"), named(".//two.lic", TWO.data)),
    "tar": TAR,
    "tar.gz": TGZ,
    "tar.gz, GNU": gzipped(tarred(*map(member, BOTH), form=tarfile.GNU_FORMAT)),
    "tar.gz, pax": gzipped(tarred(*(member(file, mtime=1.5) for file in BOTH), form=tarfile.PAX_FORMAT)),
    "tar.gz, of a folder": gzipped(tarred(DOT, *map(member, BOTH))),
    "packed": pack(BOTH),
}

ENCODINGS: dict[str, Callable[[bytes], bytes]] = {
    "as it is": bytes,
    "base64": b64encode,
    "base64 in lines": encodebytes,
    "base64 without padding": lambda data: b64encode(data).rstrip(b"="),
    "base64 from a mail": lambda data: b"\r\n  " + encodebytes(data).replace(b"\n", b"\r\n\t"),
}


@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS)
@pytest.mark.parametrize("archive", ARCHIVES.values(), ids=ARCHIVES)
def test_an_archive_holds_its_licence_files(archive: bytes, encode: Callable[[bytes], bytes]) -> None:
    """Every plain archive, bare or in base64, gives its licence files in order under their plain names."""
    assert read_upload(encode(archive)) == BOTH


@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS)
def test_a_bare_licence_file_is_one_without_a_name(encode: Callable[[bytes], bytes]) -> None:
    """A licence file needs no archive."""
    assert read_upload(encode(ONE.data)) == (named(""),)


@pytest.mark.parametrize("name", ["Müller & Söhne.lic", "a/b/c.lic", "许可证", "..lic", "a" * 100, "a" * 99 + "/b"])
def test_names_may_be_any_plain_ones(name: str) -> None:
    """A name may have letters of any language, folders, and as many dots as it likes."""
    assert read_upload(zipped(named(name))) == read_upload(tgz(named(name))) == (named(name),)


def test_times_in_a_gnu_header_are_no_part_of_a_name() -> None:
    """GNU keeps times where POSIX continues the name."""
    header = patched(tarred(member(ONE), form=tarfile.GNU_FORMAT), 345, b"01234567012")
    checksum = b"%06o" % (sum(header[:148]) + 8 * ord(" ") + sum(header[156:512]))
    assert read_upload(patched(header, 148, checksum)) == (ONE,)


def test_an_altered_licence_file_is_left_to_its_signature() -> None:
    """One flipped bit does not turn a licence file into something else, so that it is refused for its signature."""
    for bit in range(len(ONE.data) * 8):
        altered = patched(ONE.data, bit // 8, bytes([ONE.data[bit // 8] ^ 1 << bit % 8]))
        assert read_upload(altered) == (named("", altered),)
        assert read_upload(tgz(named("a", altered))) == (named("a", altered),)


# --- what is no licence data --------------------------------------------------------------------------------------

SHORT_DIRECTORY = ZIP[:30] + b"PK\x01\x02######" + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, 10, 30, 0)


def zip_of_another_size() -> bytes:
    """Return a zip that says twice that its member is larger than it is."""
    whole = zipped(ONE)
    more = struct.pack("<L", len(ONE.data) + 1)
    return patched(patched(whole, 22, more), whole.rindex(b"PK\x01\x02") + 24, more)


NO_LICENCE_DATA = {
    "nothing": (b"", "empty"),
    "blank": (b" \r\n", "not a licence file"),
    "HTML": (HTML, "not a licence file"),
    "HTML in base64": (b64encode(HTML), "not a licence file"),
    "half a licence": (ONE.data[:300], "cut short"),
    "half a licence in base64": (b64encode(ONE.data)[:300], "cut short"),
    "base64 with a letter too many": (b64encode(ONE.data[:300]) + b"A", "base64 text is cut short"),
    "base64 of base64": (b64encode(b64encode(ZIP)), "not a licence file"),
    "base64 with another character": (patched(b64encode(ZIP), 9, b"*"), "not a licence file"),
    "another compression": (lzma.compress(TAR), "not a licence file"),
    "a gzip file of a licence": (gzipped(ONE.data), "not hold a tar"),
    "a gzip file of nothing": (gzipped(b""), "cut short"),
    "zeros": (bytes(10240), "not a licence file"),
    "an empty zip": (zipped(), "no licence file"),
    "an empty tar": (tgz(), "no licence file"),
    "a zip of folders": (zipped(named("a/", b""), mode=stat.S_IFDIR), "no licence file"),
    "a readme in a zip": (zipped(ONE, named("README.txt", b"Hello")), "'README.txt' in the archive: This is not"),
    "a readme in a tar": (tgz(ONE, named("README", b"")), "'README' in the archive: The file is empty"),
    "HTML in a zip": (zipped(named("one.lic", HTML)), "'one.lic' in the archive: This is not"),
    "base64 in a zip": (zipped(named("one.lic", b64encode(ONE.data))), "'one.lic' in the archive: This is not"),
    "wrong data in a zip": (patched(STORED, 100, b"#"), "'one.lic' in the archive is damaged"),
    "wrong deflated data in a zip": (patched(ZIP, 50, bytes(9)), "'one.lic' in the archive is damaged"),
    "a wrong size in a zip": (zip_of_another_size(), "'one.lic' in the archive is damaged: its size"),
    "a short directory in a zip": (SHORT_DIRECTORY, "directory of the zip archive is damaged"),
    "wrong directory in a zip": (patched(ZIP, ZIP.rindex(b"PK\x01\x02"), b"#"), "directory of the zip"),
    "something after a zip": (ZIP + b"#", "after its end"),
    "wrong checksum in gzip": (patched(TGZ, -8, b"#"), "damaged"),
    "wrong length in gzip": (patched(TGZ, -2, b"#"), "damaged"),
    "wrong checksum in a tar": (patched(TAR, 0, b"#"), "checksum is wrong"),
    "a tar cut within a member": (TAR[:700], "The tar archive is cut short"),
    "a tar cut within a header": (TAR[:1100], "The tar archive is cut short"),
    "no number in a tar": (patched(TAR, 148, b"#"), "no number"),
}


@pytest.mark.parametrize(("data", "said"), NO_LICENCE_DATA.values(), ids=NO_LICENCE_DATA)
def test_what_is_no_valid_licence_data_is_refused(data: bytes, said: str) -> None:
    """Empty, truncated, damaged and wrong kinds of files are no valid licence data, and the answer says which."""
    refused = refusal(data)
    assert (refused.code, refused.http) == ("LICENSE.1006", 400)
    assert said in refused.text
    assert refused.hint


@pytest.mark.parametrize(
    "whole",
    [ONE.data, ZIP, pack(BOTH), TGZ, TAR[:TAR_END]],
    ids=["bare", "zip", "packed", "tar.gz", "tar"],
)
def test_every_beginning_is_refused(whole: bytes) -> None:
    """Wherever a transfer stops, what has arrived is no valid licence data."""
    assert read_upload(whole)
    assert {refusal(whole[:length]).code for length in range(len(whole))} == {"LICENSE.1006"}


# --- what can come at all -----------------------------------------------------------------------------------------

SEEDS = [ONE.data, ZIP, STORED, TGZ, TAR, zipped(*BOTH, to=Pipe()), b64encode(ZIP)]


def outcome(data: bytes) -> set[bytes]:
    """Return the licence files in an upload; none when it is refused, as it should be, in printable words."""
    try:
        return {file.data for file in read_upload(data)}
    except UploadRefused as why:
        refused = why
    assert refused.http in {400, 413}
    assert refused.code
    assert (refused.text + refused.hint).isprintable()
    return set()


@given(st.binary(max_size=4096), st.sampled_from([b"", b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b\x08\x00", ONE.data]))
def test_any_bytes_are_answered(data: bytes, start: bytes) -> None:
    """Whatever is uploaded, the answer is licence files or a refusal."""
    outcome(start + data)


@given(st.sampled_from(SEEDS), st.data())
def test_any_damaged_archive_is_answered(seed: bytes, data: st.DataObject) -> None:
    """An archive that lost, gained or changed bytes anywhere is answered as well."""
    for _ in range(data.draw(st.integers(1, 3))):
        begin = data.draw(st.integers(0, len(seed)))
        end = data.draw(st.integers(begin, min(len(seed), begin + 16)))
        seed = seed[:begin] + data.draw(st.binary(max_size=16)) + seed[end:]
    outcome(seed)


@pytest.mark.parametrize("archive", [ZIP, STORED, TGZ, SEEDS[5]], ids=["zip", "stored", "tar.gz", "pipe"])
def test_no_damage_gives_other_licence_files(archive: bytes) -> None:
    """Where a byte is changed, either what is read is the same, or the archive is refused."""
    whole = {file.data for file in BOTH}
    for at, byte in enumerate(archive):
        for other in (byte ^ 1, byte ^ 0x80, 0, 0xFF):
            assert outcome(patched(archive, at, bytes([other]))) in (set(), whole)


# --- what the vendor packs ----------------------------------------------------------------------------------------

plain_names = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=60)


@given(st.lists(plain_names, min_size=1, max_size=MAX_MEMBERS, unique=True))
def test_what_is_packed_is_what_is_read(names: list[str]) -> None:
    """Licence files come back from their archive, sorted by name."""
    files = [named(name) for name in names]
    assert read_upload(pack(files)) == tuple(sorted(files, key=lambda file: file.name))


def test_the_packed_bytes_are_fixed() -> None:
    """The archive depends on the files and their names, not on their order, the time or the machine."""
    packed = pack([named("b", TWO.data), named("a", ONE.data)])
    assert packed == pack(iter([named("a", ONE.data), named("b", TWO.data)]))
    assert hashlib.sha256(packed).hexdigest() == "5f08602d1619968fe5a962ba27ee77e8e94008b19f014c817802e031577aa08c"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "files",
    [
        [],
        [ONE, ONE],
        [named("")],
        [named("a/")],
        [named("./a")],
        [named("../a")],
        [named("a\0b")],
        [named("a", b"")],
        [named("a", HTML)],
        [named(f"{number}.lic") for number in range(MAX_MEMBERS + 1)],
    ],
    ids=["none", "twice", "no name", "folder", "dotted", "outside", "zero", "empty", "HTML", "too many"],
)
def test_nothing_is_packed_that_a_node_would_refuse(files: list[LicenceFile]) -> None:
    """The vendor hears of it before the customer does."""
    with pytest.raises(UploadRefused):
        pack(files)
