"""Archives that mean harm: each is refused whole, in words, within limits of time and memory."""

from __future__ import annotations

import contextlib
import io
import stat
import struct
import tarfile
import time
import tracemalloc
import zipfile
import zlib
from base64 import b64encode
from collections.abc import Callable

import pytest

from licensing.archive import LicenceFile, UploadRefused, read_upload
from licensing.envelope import MAX_BYTES as MAX_FILE
from licensing.unpacking import MAX_BYTES, MAX_MEMBERS
from tests.unit.licensing.archives import (
    ONE,
    TWO,
    Pipe,
    gzipped,
    member,
    named,
    patched,
    shaped,
    tarred,
    tgz,
    zipped,
)

ZIP = zipped(ONE)
LISTED = ZIP.rindex(b"PK\x01\x02")
PAIR = zipped(ONE, TWO)
PIPED = zipped(ONE, to=Pipe())
TAR = tarred(member(ONE))
ZEROS = bytes(8 << 20)


def refusal(data: bytes) -> UploadRefused:
    """Return why an upload is refused, which it must be."""
    with pytest.raises(UploadRefused) as caught:
        read_upload(data)
    refused = caught.value
    assert str(refused) == refused.text
    assert (refused.text + refused.hint).isprintable()
    return refused


def special(kind: bytes, **changes: object) -> bytes:
    """Return a tar.gz with a good member and one of another kind."""
    return gzipped(tarred(member(ONE), member(named("b", b""), kind, **changes)))


def pax(**headers: str) -> bytes:
    """Return a tar.gz with extended headers for its one member."""
    return gzipped(tarred(member(ONE, pax_headers=headers), form=tarfile.PAX_FORMAT))


def pax_raw(body: bytes) -> bytes:
    """Return a tar.gz with an extended header as it is."""
    return gzipped(tarred(member(named("x", body), tarfile.XHDTYPE), member(ONE)))


def listed(at: int, new: bytes) -> bytes:
    """Return a zip of one member whose directory says something else than its header."""
    return patched(ZIP, LISTED + at, new)


def with_gap(junk: bytes) -> bytes:
    """Return a zip with something between its member and its directory."""
    moved = ZIP[:LISTED] + junk + ZIP[LISTED:]
    return patched(moved, -6, struct.pack("<L", LISTED + len(junk)))


def reaching(further: int) -> bytes:
    """Return a zip whose member goes on into the directory, with a good checksum."""
    stored = zipped(ONE, method=zipfile.ZIP_STORED)
    at = stored.rindex(b"PK\x01\x02")
    data = ONE.data + stored[at : at + further]
    said = struct.pack("<3L", zlib.crc32(data), len(data), len(data))
    return patched(patched(stored, 14, said), at + 16, said)


# --- names and kinds ----------------------------------------------------------------------------------------------

OUTSIDE = ["../one.lic", "a/../../b", "..", "/etc/passwd", "C:one.lic", "c:/one", "a\\b", "..\\b"]
UNPRINTABLE = ["a\nb", "\x1b[2J", "\u202ecil.eno"]


@pytest.mark.parametrize("name", OUTSIDE + UNPRINTABLE)
@pytest.mark.parametrize("archived", [zipped, tgz], ids=["zip", "tar.gz"])
def test_a_name_must_be_plain(archived: Callable[..., bytes], name: str) -> None:
    """A name that anyone could take for a place elsewhere, or that does not print, refuses the archive."""
    refused = refusal(archived(ONE, named(name)))
    assert (refused.code, refused.http) == ("bad-archive", 400)
    assert repr(name) in refused.text
    assert ("points out" if name in OUTSIDE else "not printable") in refused.text


def test_a_folder_must_be_plain_too() -> None:
    """A folder that is ignored may still not point elsewhere."""
    assert "points out" in refusal(zipped(named("../a/", b""), ONE)).text
    assert "points out" in refusal(special(tarfile.DIRTYPE, name="/a")).text


UNSAFE = {
    "a long name": (zipped(named("a" * 256)), "too long"),
    "a very long name": (zipped(named("a" * 65535)), "too long"),
    "a zero in a name": (zipped(named("a#b")).replace(b"a#b", b"a\0b"), "not printable"),
    "a name that is not UTF-8 in a zip": (zipped(named("é")).replace("é".encode(), b"\xff\xfe"), "not UTF-8"),
    "a name that is not UTF-8 in a tar": (tgz(named("\udcff")), "not UTF-8"),
    "a file named as a folder": (zipped(named("a/")), "folder's name"),
    "a file without a name": (zipped(named(".")), "folder's name"),
    "a folder with contents": (gzipped(tarred(member(named("a"), tarfile.DIRTYPE))), "folder's name"),
    "a symbolic link in a zip": (zipped(ONE, mode=stat.S_IFLNK), "link or a device"),
    "a device in a zip": (zipped(ONE, mode=stat.S_IFBLK), "link or a device"),
    "a symbolic link": (special(tarfile.SYMTYPE, linkname="/etc/passwd"), "a symbolic link"),
    "a hard link": (special(tarfile.LNKTYPE, linkname="one.lic"), "a hard link"),
    "a character device": (special(tarfile.CHRTYPE), "a device"),
    "a block device": (special(tarfile.BLKTYPE), "a device"),
    "a pipe": (special(tarfile.FIFOTYPE), "a pipe"),
    "a sparse file": (special(tarfile.GNUTYPE_SPARSE), "a sparse file"),
    "a kind of its own": (special(b"V"), "neither a file nor a folder"),
    "a GNU long name": (gzipped(tarred(member(named("a" * 101)), form=tarfile.GNU_FORMAT)), "more than 100 bytes"),
    "another path by pax": (pax(path="../x"), "extension 'path'"),
    "another size by pax": (pax(size="9"), "extension 'size'"),
    "a sparse file by pax": (pax(**{"GNU.sparse.major": "1"}), "extension 'GNU.sparse.major'"),
    "the same name twice in a zip": (PAIR.replace(b"two.lic", b"one.lic"), "two members named 'one.lic'"),
    "the same name twice in a tar": (tgz(ONE, TWO, ONE), "two members named 'one.lic'"),
    "the same name in two ways": (zipped(named("a/b"), named("a/./b")), "two members named 'a/b'"),
    "a zip in a zip": (zipped(ONE, named("a.zip", ZIP)), "another archive, 'a.zip'"),
    "a tar in a zip": (zipped(named("a.tar", TAR)), "another archive, 'a.tar'"),
    "a tar.gz in a tar.gz": (tgz(named("a.tgz", tgz(ONE))), "another archive, 'a.tgz'"),
}

# --- headers that lie ---------------------------------------------------------------------------------------------

LIES = {
    "something after gzip": (tgz(ONE) + b"#", "after its end"),
    "two gzip streams": (tgz(ONE) + tgz(TWO), "after its end"),
    "something after a tar": (TAR + b"#", "after its end"),
    "two tars": (gzipped(TAR + TAR), "after its end"),
    "a zip in a zip's comment": (ZIP[:-2] + b"\x16\x00" + zipped(), "not a plain one"),
    "a zip after a zip": (ZIP + PAIR, "not a plain one"),
    "a comment that is not there": (patched(ZIP, -2, b"\1"), "not a plain one"),
    "one zip of two": (patched(ZIP, -18, b"\1"), "not a plain one"),
    "a directory in another zip": (patched(ZIP, -16, b"\1"), "not a plain one"),
    "members in another zip": (patched(ZIP, -14, b"\0"), "not a plain one"),
    "a zip64 end": (patched(ZIP, -14, b"\xff" * 12), "not a plain one"),
    "zip64 sizes": (listed(20, b"\xff" * 8), "does not fit"),
    "fewer members than there are": (patched(PAIR, -14, b"\1\0\1\0"), "another length than it says"),
    "encrypted": (listed(8, b"\1\0"), "'one.lic' in the archive is encrypted"),
    "encrypted by its header": (patched(ZIP, 6, b"\1\0"), "does not fit"),
    "a compression few know": (zipped(ONE, method=zipfile.ZIP_LZMA), "only few programs know"),
    "another compression": (listed(10, b"\0\0"), "does not fit"),
    "another checksum": (listed(16, b"#"), "does not fit"),
    "another packed size": (patched(ZIP, 18, b"#"), "does not fit"),
    "another size": (patched(ZIP, 22, b"#"), "does not fit"),
    "another name": (listed(46, b"b"), "does not fit"),
    "no header": (patched(PAIR, PAIR.index(b"PK\x03\x04", 9), b"#"), "does not fit"),
    "a first member further on": (listed(42, b"\1"), "before its first member"),
    "members in the same place": (patched(PAIR, PAIR.rindex(b"PK\x01\x02") + 42, bytes(4)), "zip archive overlap"),
    "a member out of the archive": (
        patched(PAIR, PAIR.rindex(b"PK\x01\x02") + 42, b"\xf0\xff\xff\xff"),
        "zip archive overlap",
    ),
    "a member that reaches into the directory": (reaching(10), "or they overlap"),
    "a longer name": (listed(28, b"\xff\xff"), "another length than it says"),
    "a gap": (with_gap(b"#"), "something between 'one.lic' and what follows"),
    "a wrong description": (patched(PIPED, PIPED.index(b"PK\x07\x08") + 4, b"#"), "something between"),
}


@pytest.mark.parametrize(("data", "said"), (UNSAFE | LIES).values(), ids=UNSAFE | LIES)
def test_an_unsafe_archive_is_refused(data: bytes, said: str) -> None:
    """Whatever could be read in two ways, or could reach out of the archive, refuses it and is named."""
    refused = refusal(data)
    assert (refused.code, refused.http) == ("bad-archive", 400)
    assert said in refused.text


@pytest.mark.parametrize("body", [b"5 uid=1\n", b"99 uid=1\n", b"8 uid=12", b"uid=1\n", b"8 uid:1\n", b"0 uid=1\n"])
def test_a_pax_header_must_be_whole(body: bytes) -> None:
    """An extended header whose lengths are wrong hides nothing: it is damaged."""
    refused = refusal(pax_raw(body))
    assert (refused.code, refused.text) == (
        "LICENSE.1006",
        "The tar archive is damaged: an extended header cannot be read.",
    )


# --- limits -------------------------------------------------------------------------------------------------------


def many(count: int, size: int = 0) -> list[LicenceFile]:
    """Return files that differ in their names and are shaped like licence files."""
    return [named(f"{number:02}.lic", shaped(size) if size else ONE.data) for number in range(count)]


def mixed(files: list[LicenceFile]) -> bytes:
    """Return a zip of which the last member is stored and the others are deflated."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            archive.writestr(file.name, file.data, zipfile.ZIP_STORED if file is files[-1] else None)
    return out.getvalue()


BOMB = zipped(named("a", ZEROS))
SMALL = struct.pack("<L", 9)
FOLDERS = [named(f"{number}/", b"") for number in range(MAX_MEMBERS + 1)]

TOO_LARGE = {
    "a large upload": b"#" * (MAX_BYTES + 1),
    "a small one with blanks": b64encode(ZIP) + b"\n" * (2 * MAX_BYTES),
    "a zip that is larger than what it holds": zipped(*many(8, MAX_FILE), method=zipfile.ZIP_STORED),
    "stored after deflated": mixed(many(9, MAX_FILE)),
    "large base64": b64encode(bytes(MAX_BYTES + 1)),
    "a large licence file": shaped(MAX_FILE + 1),
    "a large licence file in a zip": zipped(named("a", shaped(MAX_FILE + 1))),
    "many large ones in a zip": zipped(*many(8, MAX_FILE), ONE),
    "many large ones in a tar": tgz(*many(8, MAX_FILE)),
    "a zip bomb": BOMB,
    "a zip bomb that calls itself small": patched(patched(BOMB, 22, SMALL), BOMB.rindex(b"PK\x01\x02") + 24, SMALL),
    "a gzip bomb": gzipped(ZEROS),
    "a tar bomb": tgz(named("a", ZEROS)),
    "many members in a zip": zipped(*many(MAX_MEMBERS + 1)),
    "many members in a tar": tgz(*many(MAX_MEMBERS + 1)),
    "many folders in a zip": zipped(*FOLDERS),
    "many members, as it says": patched(ZIP, -14, b"\xff\xff\xff\xff"),
}


@pytest.mark.parametrize("data", TOO_LARGE.values(), ids=TOO_LARGE)
def test_what_is_over_a_limit_is_too_large(data: bytes) -> None:
    """Size and number are limited, packed and unpacked, whatever the archive says of itself."""
    refused = refusal(data)
    assert (refused.code, refused.http) == ("too-large", 413)


def test_the_limits_themselves_are_allowed() -> None:
    """Sixteen members are not too many, and 512 KiB are not too large, packed or unpacked."""
    assert read_upload(zipped(*many(MAX_MEMBERS))) == read_upload(tgz(*many(MAX_MEMBERS))) == tuple(many(MAX_MEMBERS))
    assert read_upload(zipped(*many(8, MAX_FILE))) == tuple(many(8, MAX_FILE))
    assert read_upload(gzipped(TAR.ljust(MAX_BYTES, b"\0"))) == (ONE,)
    assert read_upload(b64encode(TAR.ljust(MAX_BYTES, b"\0"))) == (ONE,)


def deflated(stream: bytes) -> bytes:
    """Return a zip with a deflate stream as it is."""
    stored = zipped(named("a", stream), method=zipfile.ZIP_STORED)
    return patched(patched(stored, 8, b"\x08"), stored.rindex(b"PK\x01\x02") + 10, b"\x08")


HOSTILE = TOO_LARGE | {
    "blanks": b" " * (MAX_BYTES * 3 // 2),
    "letters": b"A" * (MAX_BYTES * 3 // 2),
    "nested JSON": zipped(*many(8, MAX_FILE)),
    "many pax records": pax_raw(b"8 uid=1\n" * 60_000),
    "many pax records that are none": pax_raw(b"9" * 500_000),
    "many pax headers": gzipped(tarred(*[member(named("x", b""), tarfile.XHDTYPE)] * 1000)),
    "a deflate stream of nothing": deflated(b"\0\0\0\xff\xff" * 100_000),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_hostile_archives_cost_little(data: bytes) -> None:
    """No upload takes more than a moment or a few megabytes."""

    def attempt() -> float:
        begin = time.process_time()
        with contextlib.suppress(UploadRefused):
            read_upload(data)
        return time.process_time() - begin

    spent = min(attempt() for _ in range(3))
    tracemalloc.start()
    attempt()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert spent < 0.2
    assert peak < 10_000_000
