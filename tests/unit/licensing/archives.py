"""Archives for tests, good and bad, as common tools write them."""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
import zipfile

from licensing.archive import LicenceFile
from licensing.envelope import seal
from tests.unit.licensing.signing import AT_SITE, KID, VENDOR, licence

ONE = LicenceFile("one.lic", seal(licence(), KID, VENDOR))
TWO = LicenceFile("two.lic", seal(licence(licence_id="L-2", binding=AT_SITE), KID, VENDOR))


class Pipe(io.BytesIO):
    """A file that cannot go back, such as a pipe: what is not known in time is written later."""

    def seekable(self) -> bool:
        """Tell that it cannot."""
        return False

    def tell(self) -> int:
        """Refuse to tell where it is."""
        raise io.UnsupportedOperation


def named(name: str, data: bytes = ONE.data) -> LicenceFile:
    """Return a file of that name."""
    return LicenceFile(name, data)


def shaped(size: int) -> bytes:
    """Return what has the lines of a licence file and this size, and is none."""
    first, kid, _, signature, end, nothing = ONE.data.split(b"\n")
    rest = sum(map(len, (first, kid, signature, end))) + 5
    return b"\n".join((first, kid, b"[" * (size - rest), signature, end, nothing))


def zipped(
    *files: LicenceFile, method: int = zipfile.ZIP_DEFLATED, mode: int = stat.S_IFREG, to: io.BytesIO | None = None
) -> bytes:
    """Return a zip."""
    out = to or io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for file in files:
            info = zipfile.ZipInfo(file.name)
            info.external_attr, info.compress_type = mode << 16, method
            archive.writestr(info, file.data)
    return out.getvalue()


def tarred(*members: tuple[tarfile.TarInfo, bytes], form: int = tarfile.USTAR_FORMAT) -> bytes:
    """Return a tar."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def member(file: LicenceFile, kind: bytes = tarfile.REGTYPE, **changes: object) -> tuple[tarfile.TarInfo, bytes]:
    """Return a member for `tarred`."""
    info = tarfile.TarInfo(file.name)
    info.size, info.type = len(file.data), kind
    for name, value in changes.items():
        setattr(info, name, value)
    return info, file.data


def gzipped(data: bytes) -> bytes:
    """Return the same gzip file for the same bytes."""
    return gzip.compress(data, mtime=0)


def tgz(*files: LicenceFile) -> bytes:
    """Return a tar.gz of files."""
    return gzipped(tarred(*map(member, files)))


def patched(data: bytes, at: int, new: bytes) -> bytes:
    """Return the data with other bytes at a place, counted from the end when negative."""
    at %= len(data)
    return data[:at] + new + data[at + len(new) :]
