"""A coverage-guided fuzzer for everything that reads bytes from outside: `make fuzz`, or with other seconds.

It starts from good uploads, request codes, licence files and a USB stick. A crash, a hang (5 s) or more than 512 MiB
ends it with the input that did it; otherwise its last lines say how many inputs it tried.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import sys
import tarfile
import tempfile
from base64 import b64encode
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["licensing", "cluster.values", "usbwatch.stick_layout"]):
    from cluster.report import Report
    from cluster.values import BadValue, decode_value
    from licensing.archive import UploadRefused, pack, read_upload
    from licensing.envelope import LicenceRefused, open_licence, seal_payload
    from licensing.keyring import KeyringInvalid, parse_keyring, render_keyring
    from licensing.ledger import Ledger
    from licensing.request_code import BadRequestCode, RequestCode, parse, render
    from tests.unit.licensing.archives import ONE, TWO
    from tests.unit.licensing.signing import KEYRING, KID, VENDOR
    from tests.usbmodel.gpt import resealed, with_table
    from usbwatch.stick_layout import PARTITION_TYPE, BadLayout, Extent, Geometry, read_licence, writes

REFUSALS = (UploadRefused, LicenceRefused, KeyringInvalid, BadRequestCode, BadValue, BadLayout)
LARGEST = 4096
BLOCK = 512
PARTITION = Extent(3, 7)
"""Where the licence lies on a stick of the largest size, behind a table of four entries."""


def read_everything(data: bytes) -> None:
    """Give one input to every reader; each may refuse it in its own words and must do nothing else."""
    readers = (
        lambda: [open_licence(file.data, KEYRING) for file in read_upload(data)],
        lambda: open_licence(seal_payload(data, KID, VENDOR), KEYRING),
        lambda: parse_keyring(data),
        lambda: parse(data.decode("utf-8", "replace")),
        lambda: decode_value("ledger", data, Ledger),
        lambda: decode_value("report", data, Report),
        lambda: read_stick(data),
        lambda: read_stick(resealed(data.ljust(LARGEST, b"\0"), BLOCK)),
    )
    for reader in readers:
        with contextlib.suppress(*REFUSALS):
            reader()


def read_stick(disk: bytes) -> bytes:
    """Read the licence on a stick; nothing beyond its end is ever asked for."""
    geometry = Geometry(len(disk) // BLOCK, BLOCK)

    def read(first: int, count: int) -> bytes:
        assert 0 <= first < first + count <= geometry.blocks
        return disk[first * BLOCK : (first + count) * BLOCK]

    return read_licence(read, geometry, LARGEST)


def stick() -> bytes:
    """Return a small stick with something on it."""
    partitions = [(PARTITION_TYPE, PARTITION.first, PARTITION.last)]
    disk = bytearray(resealed(with_table(bytes(LARGEST), BLOCK, partitions, count=4), BLOCK))
    for block, data in writes(b"licence", PARTITION, BLOCK):
        disk[block * BLOCK : block * BLOCK + len(data)] = data
    assert read_stick(bytes(disk)) == b"licence"
    return bytes(disk)


def seeds(folder: Path) -> None:
    """Write inputs that are good, so that the fuzzer need not invent them."""
    tarred = io.BytesIO()
    with tarfile.open(fileobj=tarred, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        member = tarfile.TarInfo(ONE.name)
        member.size = len(ONE.data)
        archive.addfile(member, io.BytesIO(ONE.data))
    good = (
        ONE.data,
        b64encode(ONE.data),
        pack((ONE, TWO)),
        tarred.getvalue(),
        gzip.compress(tarred.getvalue(), mtime=0),
        render_keyring(KEYRING),
        render(RequestCode("site-1", ("node-a", "node-b"), "n-1", 1)).encode(),
        ONE.data.split(b"\n")[2],
        stick(),
    )
    for number, data in enumerate(good):
        (folder / str(number)).write_bytes(data)


def main() -> None:
    """Fuzz for as many seconds as the first argument says."""
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 600
    with tempfile.TemporaryDirectory() as corpus:
        seeds(Path(corpus))
        limits = (f"-max_total_time={seconds}", f"-max_len={LARGEST}", "-timeout=5", "-rss_limit_mb=512")
        atheris.Setup([sys.argv[0], *limits, "-print_final_stats=1", corpus], read_everything)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
