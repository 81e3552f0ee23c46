"""The table of bad input, over HTTP on a real site: each answer, and that a refusal changes nothing at all."""

from __future__ import annotations

import hashlib
import http.client
import json
import tarfile
import uuid
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from cluster.local_etcd import LOOPBACK
from licensing import canonical
from licensing.archive import LicenceFile
from licensing.envelope import seal_payload
from licensing.keyring import Keyring, VendorKey, key_id, parse_keyring, render_keyring
from licensing.licence import KeyBinding
from tests.integration.site.vendor import DAY, Vendor, refused, state_of
from tests.site import Answer, LiveSite
from tests.unit.licensing.archives import gzipped, member, tarred, zipped

UPLOAD = "/v1/licenses"
RETIRED, STRANGER = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
READER = "a token that may only read"


@pytest.fixture(scope="module")
def vendor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vendor]:
    """Give the vendor of a running site, with a retired key in its keyring and as many uploads a minute as it takes."""
    site = LiveSite(tmp_path_factory.mktemp("site"))
    ring = site.site.folder / "keyring.json"
    pinned = parse_keyring(ring.read_bytes()).keys
    public = RETIRED.public_key().public_bytes_raw()
    retired = VendorKey(key_id(public), public, pinned[0].valid_from, None, revoked=True)
    ring.write_bytes(render_keyring(Keyring((*pinned, retired))))
    tokens = site.site.folder / "tokens.json"
    known = json.loads(tokens.read_bytes())["tokens"]
    reader = {"name": "reader", "sha256": hashlib.sha256(READER.encode()).hexdigest(), "scopes": ["read"]}
    tokens.write_text(json.dumps({"tokens": [*known, reader]}), encoding="utf-8")
    for coordinator in site.coordinators.values():
        coordinator.environment["TWINKEY_CHANGES_PER_MINUTE"] = "100000"
    try:
        site.start()
        yield Vendor(site)
    finally:
        site.close()


@pytest.fixture(scope="module")
def installed(vendor: Vendor) -> bytes:
    """Give the file of a licence that is installed, the fifth of its contract."""
    file = vendor.file(lineage="contract", licence_id="fifth")
    vendor.install(file)
    return file


@contextmanager
def untouched(vendor: Vendor) -> Iterator[None]:
    """Assert that ledger, site, records, reports and both nodes' statuses are byte for byte what they were."""
    before = state_of(vendor.site)
    yield
    assert state_of(vendor.site) == before


def upload(vendor: Vendor, body: bytes, label: str = "b") -> Answer:
    """Upload a body as it is."""
    return vendor.site.call(label, "POST", UPLOAD, body)


# --- files that are refused ----------------------------------------------------------------------------------------

Bad = Callable[[Vendor], bytes]


def payload(vendor: Vendor, old: bytes, new: bytes) -> bytes:
    """Return a file whose payload the vendor signed after a part of it was exchanged."""
    good = canonical.encode(vendor.licence())
    assert old in good
    return seal_payload(good.replace(old, new, 1), vendor.kid, vendor.key)


def with_own_key(vendor: Vendor) -> bytes:
    """Return a file that brings the public key along with which it is signed."""
    public = b64encode(STRANGER.public_key().public_bytes_raw())
    good = canonical.encode(vendor.licence())
    own = good.replace(b'"quota"', b'"publicKey":"%s","quota"' % public)
    return seal_payload(own, key_id(STRANGER.public_key().public_bytes_raw()), STRANGER)


FILES: dict[str, tuple[int, str, Bad]] = {
    "signed by a stranger": (422, "unknown-key-id", lambda v: v.sign(v.licence(), STRANGER)),
    "signed with a retired key": (422, "retired-key-id", lambda v: v.sign(v.licence(), RETIRED)),
    "issued before its key was valid": (422, "retired-key-id", lambda v: v.file(issued=v.licence().issued - 90 * DAY)),
    "unknown format version": (422, "unsupported-version", lambda v: v.file().replace(b"LICENCE 1", b"LICENCE 2", 1)),
    "a public key inside": (422, "unknown-key-id", with_own_key),
    "bound to another site": (
        422,
        "LICENSE.1002",
        lambda v: v.file(binding=replace(v.binding(), site_id="elsewhere")),
    ),
    "bound to other machines": (
        422,
        "LICENSE.1002",
        lambda v: v.file(binding=replace(v.binding(), fingerprints=("x",))),
    ),
    "answers a code never given out": (422, "LICENSE.1002", lambda v: v.file(binding=replace(v.binding(), nonce="x"))),
    "bound to a key that is not in": (422, "LICENSE.1002", lambda v: v.file(binding=KeyBinding("K-elsewhere"))),
    "another product": (422, "LICENSE.1003", lambda v: payload(v, b'"twinkey"', b'"kittiwake"')),
    "expired": (422, "LICENSE.1000", lambda v: v.file(**past(v))),
    "duplicate JSON members": (400, "malformed", lambda v: payload(v, b'"sequence":5', b'"sequence":5,"sequence":5')),
    "NaN": (400, "malformed", lambda v: payload(v, b'"sequence":5', b'"sequence":NaN')),
    "nested deeply": (
        400,
        "malformed",
        lambda v: payload(v, b'"sequence":5', b'"sequence":' + b"[" * 9000 + b"]" * 9000),
    ),
    "white space in the payload": (400, "malformed", lambda v: payload(v, b'"sequence":5', b'"sequence": 5')),
    "unknown member": (400, "malformed", lambda v: payload(v, b'"sequence":5', b'"sequel":1,"sequence":5')),
    "empty": (400, "LICENSE.1006", lambda _: b""),
    "truncated": (400, "LICENSE.1006", lambda v: v.file()[:-30]),
    "without its beginning": (400, "LICENSE.1006", lambda v: v.file()[30:]),
    "HTML": (400, "LICENSE.1006", lambda _: b"<!doctype html><title>Log in</title>"),
    "a picture": (400, "LICENSE.1006", lambda _: b"\x89PNG\r\n\x1a\n" + bytes(range(256))),
    "a truncated zip": (400, "LICENSE.1006", lambda v: zipped(LicenceFile("a.lic", v.file()))[:-40]),
    "too large": (413, "too-large", lambda _: bytes(600 * 1024)),
}


def past(vendor: Vendor) -> dict[str, object]:
    """Return the dates of a licence that has ended."""
    now = vendor.licence().issued
    return {"issued": now - DAY / 2, "not_before": now - DAY / 2, "expires": now - DAY / 4}


@pytest.mark.parametrize("name", FILES)
def test_a_bad_file_is_refused_and_nothing_changes(vendor: Vendor, installed: bytes, name: str) -> None:
    """Whatever is wrong with a file, the answer names it and the site stays as it was, whichever node was asked."""
    status, code, make = FILES[name]
    body = make(vendor)
    assert body != installed
    with untouched(vendor):
        for label in vendor.site.nodes:
            assert refused(upload(vendor, body, label)) == (status, code)


@pytest.mark.parametrize("name", FILES)
def test_the_platforms_own_call_refuses_it_too(vendor: Vendor, installed: bytes, name: str) -> None:
    """`updateLicense` under the platform's prefix and scheme gives the same answers."""
    assert installed
    status, code, make = FILES[name]
    body = json.dumps({"updateLicense": {"license": b64encode(make(vendor)).decode()}, "systemTags": []}).encode()
    path = f"/zstack/v1/licenses/mn/{vendor.site.nodes['a'].uuid}/actions"
    with untouched(vendor):
        answer = vendor.site.call("a", "PUT", path, body, {"Authorization": f"OAuth {vendor.site.site.token}"})
        assert refused(answer) == (status, code)


def test_no_bit_of_a_file_may_be_flipped(vendor: Vendor) -> None:
    """Each byte with one of its bits flipped is refused by 422: altered, or another version or signer than known."""
    file = vendor.file()
    connection = http.client.HTTPConnection(LOOPBACK, vendor.site.nodes["b"].port, timeout=15)
    head = len(file.partition(b"\n{")[0])
    with untouched(vendor):
        for at in range(len(file)):
            flipped = file[:at] + bytes([file[at] ^ 1 << at % 8]) + file[at + 1 :]
            connection.request("POST", UPLOAD, flipped, {"Authorization": f"Bearer {vendor.site.site.token}"})
            response = connection.getresponse()
            status, code = refused(Answer(response.status, response.headers, response.read()))
            assert status == 422, (at, flipped)
            assert code == "bad-signature" or at < head, (at, code, flipped)
    connection.close()


def test_the_answer_names_the_key_that_is_not_known(vendor: Vendor) -> None:
    """Who reads the refusal can tell the vendor with which key the file is signed."""
    answer = upload(vendor, vendor.sign(vendor.licence(), STRANGER))
    assert key_id(STRANGER.public_key().public_bytes_raw()) in answer.body.decode()


def test_the_refusal_of_an_expired_licence_tells_its_dates(vendor: Vendor) -> None:
    """When it was issued and when it ended."""
    dates = past(vendor)
    text = json.loads(upload(vendor, vendor.file(**dates)).body)["error"]["description"]
    assert all(f"{dates[name]:%Y-%m-%d %H:%M}" in text for name in ("issued", "expires"))


# --- licences that do not fit what is installed --------------------------------------------------------------------


@pytest.mark.parametrize("older", [{"sequence": 4}, {"sequence": 5, "issued": -DAY}])
def test_an_older_licence_of_the_contract_is_refused(vendor: Vendor, older: dict[str, object]) -> None:
    """A lower sequence, or the same one issued before, does not replace what is installed."""
    lineage = uuid.uuid4().hex
    newest = vendor.licence(lineage=lineage, issued=vendor.licence().issued)
    vendor.install(vendor.sign(newest))
    changes = older | ({"issued": newest.issued - DAY / 2} if "issued" in older else {})
    file = vendor.file(lineage=lineage, **changes)
    with untouched(vendor):
        assert refused(upload(vendor, file)) == (409, "LICENSE.1004")


def test_the_same_file_again_changes_nothing(vendor: Vendor, installed: bytes) -> None:
    """200 with `changed: false`, at either node."""
    with untouched(vendor):
        assert [vendor.install(installed, label)["changed"] for label in ("a", "b")] == [False, False]


def test_a_request_code_is_answered_once(vendor: Vendor) -> None:
    """Another licence for a request code that was used is refused."""
    first = vendor.licence()
    vendor.install(vendor.sign(first))
    second = vendor.file(binding=first.binding)
    with untouched(vendor):
        assert refused(upload(vendor, second)) == (409, "nonce-used")


# --- archives ------------------------------------------------------------------------------------------------------


def in_zip(*names: str) -> Bad:
    """Return a maker of zips with the same licence under these names."""
    return lambda vendor: zipped(*(LicenceFile(name, file) for file in [vendor.file()] for name in names))


def in_tar(name: str, kind: bytes) -> Bad:
    """Return a maker of tar.gz archives with a licence and a member of another kind."""
    odd = member(LicenceFile(name, b""), kind, linkname="/etc/passwd")
    return lambda vendor: gzipped(tarred(member(LicenceFile("a.lic", vendor.file())), odd))


def one_of_two_altered(vendor: Vendor) -> bytes:
    """Return a zip with a good licence and an altered one."""
    good, bad = vendor.file(), vendor.file().replace(b'"hosts":10', b'"hosts":99')
    return zipped(LicenceFile("a.lic", good), LicenceFile("b.lic", bad))


ARCHIVES: dict[str, tuple[int, str, Bad]] = {
    "a path upwards": (400, "bad-archive", in_zip("../evil.lic")),
    "an absolute path": (400, "bad-archive", in_zip("/etc/evil.lic")),
    "a drive": (400, "bad-archive", in_zip("C:\\evil.lic")),
    "a symbolic link": (400, "bad-archive", in_tar("evil", tarfile.SYMTYPE)),
    "a hard link": (400, "bad-archive", in_tar("evil", tarfile.LNKTYPE)),
    "a device": (400, "bad-archive", in_tar("evil", tarfile.CHRTYPE)),
    "a pipe": (400, "bad-archive", in_tar("evil", tarfile.FIFOTYPE)),
    "a bomb in a zip": (413, "too-large", lambda _: zipped(LicenceFile("a.lic", bytes(64 * 1024 * 1024)))),
    "a bomb in a gzip": (413, "too-large", lambda _: gzipped(bytes(64 * 1024 * 1024))),
    "seventeen members": (413, "too-large", in_zip(*(f"{n}.lic" for n in range(17)))),
    "the same name twice": (400, "bad-archive", in_zip("a.lic", "./a.lic")),
    "an archive in the archive": (400, "bad-archive", lambda v: zipped(LicenceFile("a.zip", in_zip("a.lic")(v)))),
    "something else in it": (
        400,
        "LICENSE.1006",
        lambda v: zipped(LicenceFile("a.lic", v.file()), LicenceFile("readme.txt", b"Dear customer")),
    ),
    "one licence of two is bad": (422, "bad-signature", one_of_two_altered),
    "one licence of two is expired": (
        422,
        "LICENSE.1000",
        lambda v: zipped(LicenceFile("a.lic", v.file()), LicenceFile("b.lic", v.file(**past(v)))),
    ),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_a_bad_archive_is_refused_whole(vendor: Vendor, name: str) -> None:
    """Nothing of it is installed, and nothing is unpacked anywhere."""
    status, code, make = ARCHIVES[name]
    body, files = make(vendor), files_of(vendor)
    with untouched(vendor):
        assert refused(upload(vendor, body)) == (status, code)
    assert files_of(vendor) == files


def files_of(vendor: Vendor) -> set[str]:
    """Return all files of the site."""
    folder = vendor.site.site.folder
    return {str(path) for path in folder.rglob("*") if "etcd" not in path.parts}


def test_a_body_without_end_is_cut_off(vendor: Vendor) -> None:
    """A body that is sent in chunks, with no length told, is read no further than to the limit."""
    chunk, sent = bytes(64 * 1024), [0]

    def endless() -> Iterator[bytes]:
        while sent[0] < 256 * len(chunk):
            sent[0] += len(chunk)
            yield chunk

    with untouched(vendor):
        try:
            assert refused(vendor.site.call("b", "POST", UPLOAD, endless())) == (413, "too-large")
        except (BrokenPipeError, ConnectionResetError):
            assert sent[0] < 256 * len(chunk), "it was read to its end"


# --- licences that are accepted with a word ------------------------------------------------------------------------


def test_a_licence_that_starts_later_waits(vendor: Vendor, installed: bytes) -> None:
    """It is stored and recorded, with a warning, and what was in force stays in force."""
    assert installed
    before = vendor.site.status("a")["license"]
    starts = vendor.licence().issued + DAY
    answer = vendor.install(vendor.file(name="Next year", not_before=starts))
    assert answer["changed"]
    assert f"{starts:%Y-%m-%d %H:%M}" in answer["warnings"][0]
    assert vendor.site.status("a")["license"] == before
    records = json.loads(vendor.site.get("a", "/v1/licenses/records?sortDirection=desc&limit=1").body)
    assert records["inventories"][0]["name"] == "Next year"


def test_a_quota_below_todays_usage_is_installed_and_restricts(vendor: Vendor) -> None:
    """The answer warns, and the site is restricted from then on."""
    assert vendor.site.call("a", "PUT", "/v1/licenses/usage", b'{"hosts": 7}').status == 200
    vendor.site.wait_for_all(lambda status: status["usage"] and status["usage"]["hosts"] == 7)
    try:
        answer = vendor.install(vendor.file(quota=replace(vendor.licence().quota, hosts=3)))
        assert answer["changed"]
        assert "hosts" in answer["warnings"][0]
        for status in vendor.site.wait_for_all(lambda status: status["restricted"]):
            assert "quota-exceeded" in status["alerts"]
    finally:
        vendor.site.call("a", "PUT", "/v1/licenses/usage", b'{"hosts": 0}')


# --- who may -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("authorization", ["", "Bearer wrong", "Basic YTpi", "OAuth"])
def test_nobody_changes_anything_without_a_token(vendor: Vendor, authorization: str) -> None:
    """401, counted and logged, and the log does not repeat what was given."""
    file, seen = vendor.file(), refusals(vendor, "401")
    with untouched(vendor):
        answer = vendor.site.call("b", "POST", UPLOAD, file, {"Authorization": authorization})
        assert refused(answer) == (401, "unauthorised")
    assert refusals(vendor, "401") == seen + 1
    log = vendor.site.coordinators["b"].log
    assert b"call refused" in log
    assert b"wrong" not in log


def test_a_token_that_may_only_read_changes_nothing(vendor: Vendor) -> None:
    """403, counted."""
    file, seen = vendor.file(), refusals(vendor, "403")
    with untouched(vendor):
        answer = vendor.site.call("b", "POST", UPLOAD, file, {"Authorization": f"Bearer {READER}"})
        assert refused(answer) == (403, "forbidden")
    assert refusals(vendor, "403") == seen + 1


def refusals(vendor: Vendor, status: str) -> float:
    """Return how many uploads node b has counted with this status."""
    start = f'twinkey_http_request_duration_seconds_count{{method="POST",route="{UPLOAD}",status="{status}"}} '
    lines = vendor.site.get("b", "/metrics").body.decode().splitlines()
    return next((float(line.removeprefix(start)) for line in lines if line.startswith(start)), 0.0)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://evil.example:8441", "Host": "evil.example:8441"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
    ids=["another origin", "no origin of its own", "a name that points here", "a browser that says so"],
)
def test_a_page_of_another_origin_is_refused(vendor: Vendor, headers: dict[str, str]) -> None:
    """Even with a token, and even where the page's own name was made to point at this node."""
    file = vendor.file()
    with untouched(vendor):
        assert refused(vendor.site.call("b", "POST", UPLOAD, file, headers)) == (403, "foreign-origin")


def test_the_nodes_own_page_is_let_in(vendor: Vendor) -> None:
    """A browser names the origin of every change, also where that is this very node."""
    own = {"Origin": vendor.site.nodes["b"].url, "Sec-Fetch-Site": "same-origin"}
    assert vendor.site.call("b", "POST", UPLOAD, vendor.file(), own).status == 200
