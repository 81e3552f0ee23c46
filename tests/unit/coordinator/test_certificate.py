"""The certificate of the API: what may be loaded, what is served after a change, and when it ends."""

from __future__ import annotations

import datetime as dt
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from aiohttp import ClientConnectorError, ClientSession
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from cluster.https import trusting
from coordinator.certificate import BadCertificate, Certificate, Certificates, end_of
from tests.certificates import HOUR, Authority
from tests.https_server import answering

LATER = 24 * HOUR


async def answers(port: int, ca: Path) -> bool:
    """Whether a new connection believes the certificate that is served."""
    async with ClientSession() as session:
        try:
            async with session.get(f"https://127.0.0.1:{port}/", ssl=trusting(ca)) as answer:
                return answer.ok
        except ClientConnectorError:
            return False


async def test_a_new_certificate_is_served_to_new_connections_and_old_ones_stay(tmp_path: Path) -> None:
    """The very context is changed: a connection that was open before asks on over it."""
    ca, cert, key = Authority().write(tmp_path, "http")
    certificate = Certificate(cert, key)
    async with answering(certificate.context) as port, ClientSession() as session:
        url, trust = f"https://127.0.0.1:{port}/", trusting(ca)
        async with session.get(url, ssl=trust) as answer:
            assert answer.ok
        Authority("another").write(tmp_path, "http", ends_in=LATER)
        assert not await answers(port, ca)
        assert certificate.load() == certificate.ends == end_of(cert)
        assert await answers(port, ca)
        async with session.get(url, ssl=trust) as answer:  # it trusts the old one, so no new connection can be it
            assert answer.ok


def _other_key(folder: Path) -> None:
    (folder / "other").mkdir()
    shutil.copy(Authority().write(folder / "other", "http")[2], folder / "http.key")


def _other_certificate(folder: Path) -> None:
    key = (folder / "http.key").read_bytes()
    Authority().write(folder, "http")
    (folder / "http.key").write_bytes(key)


def _locked_key(folder: Path) -> None:
    key = load_pem_private_key((folder / "http.key").read_bytes(), None)
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    (folder / "http.key").write_bytes(locked)


SPOILT = {
    "no cert": lambda folder: (folder / "http.pem").unlink(),
    "no key": lambda folder: (folder / "http.key").unlink(),
    "half": lambda folder: (folder / "http.pem").write_bytes((folder / "http.pem").read_bytes()[:200]),
    "empty": lambda folder: (folder / "http.key").write_bytes(b""),
    "folder": lambda folder: ((folder / "http.key").unlink(), (folder / "http.key").mkdir()),
    "other's": _other_key,
    "key is late": _other_certificate,
    "locked": _locked_key,
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=list(SPOILT))
async def test_a_bad_pair_is_refused_and_the_old_one_served_on(tmp_path: Path, spoil: object) -> None:
    """Whatever is wrong with the files, the text names one of them and nothing of what is served changes."""
    assert callable(spoil)
    ca, cert, key = Authority().write(tmp_path, "http")
    certificate = Certificate(cert, key)
    ends, trust = certificate.ends, ca.read_bytes()
    async with answering(certificate.context) as port:
        spoil(tmp_path)
        with pytest.raises(BadCertificate, match=r"http\.(pem|key)"):
            certificate.load()
        ca.write_bytes(trust)
        assert await answers(port, ca)
    assert certificate.ends == ends
    with pytest.raises(BadCertificate):
        Certificate(cert, key)


def test_the_ends_of_certificates_are_told_by_name(tmp_path: Path) -> None:
    """That of HTTPS as it is served, that of etcd as it is in the file; what is not there is left out."""
    _, cert, key = Authority().write(tmp_path, "http")
    _, etcd, _ = Authority().write(tmp_path, "etcd", ends_in=LATER)
    certificate = Certificate(cert, key)
    cert.unlink()
    ends = Certificates(certificate, etcd).ends()
    assert list(ends) == ["http", "etcd"]
    assert dt.timedelta(0) < ends["etcd"] - ends["http"] - (LATER - HOUR) + dt.timedelta(minutes=1) < 2 * HOUR
    etcd.write_bytes(b"no certificate")
    assert list(Certificates(certificate, etcd).ends()) == ["http"]
    assert Certificates(None, None).ends() == {}


def test_a_coordinator_without_certificates_does_not_load_what_reads_them() -> None:
    """That would take memory on every node, and only those with HTTPS or etcd over TLS have a use for it."""
    program = "import sys, coordinator.main; print('cryptography.x509' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout == "False\n"
