"""Every way in which a licence comes in, what the answer says, and what becomes of it."""

from __future__ import annotations

import gzip
import json
from base64 import b64encode
from typing import Any

import pytest

from licensing.archive import LicenceFile, pack
from licensing.request_code import parse
from tests.integration.site.vendor import Vendor, refused, state_of
from tests.site import Answer, LiveSite
from tests.unit.licensing.archives import tgz, zipped

UPLOAD, CODE = "/v1/licenses", "/v1/licenses/request-code"
FORM = {"Content-Type": "multipart/form-data; boundary=X"}


@pytest.fixture
def vendor(site: LiveSite) -> Vendor:
    """Give the vendor of the running site."""
    return Vendor(site)


def action(vendor: Vendor) -> str:
    """Return the path of the platform's call for node a."""
    return f"/zstack{UPLOAD}/mn/{vendor.site.nodes['a'].uuid}/actions"


def body_of(answer: Answer) -> dict[str, Any]:
    """Return the body of an answer that must be 200."""
    assert answer.status == 200, answer.body
    found: dict[str, Any] = json.loads(answer.body)
    return found


def form(file: bytes) -> bytes:
    """Return the form that a browser sends."""
    head = b'--X\r\nContent-Disposition: form-data; name="file"; filename="a.lic"\r\n\r\n'
    return head + file + b"\r\n--X--\r\n"


def in_action(data: bytes) -> bytes:
    """Return the body of `updateLicense` as the platform's SDKs send it."""
    return json.dumps(
        {"updateLicense": {"license": b64encode(data).decode()}, "systemTags": [], "userTags": []}
    ).encode()


@pytest.mark.parametrize(
    "packing", ["file", "zip", "tar.gz", "base64", "form", "form of a zip", "action", "action of a zip"]
)
def test_every_form_of_upload_is_installed(vendor: Vendor, packing: str) -> None:
    """The licence is in force on both nodes, the receiver shows it at once, and the answer says what was done."""
    licence = vendor.licence()
    file = LicenceFile("a.lic", vendor.sign(licence))
    method, path, headers, body = {
        "file": ("POST", UPLOAD, {}, file.data),
        "zip": ("POST", UPLOAD, {}, zipped(file)),
        "tar.gz": ("POST", UPLOAD, {}, tgz(file)),
        "base64": ("POST", UPLOAD, {}, b64encode(file.data)),
        "form": ("POST", UPLOAD, FORM, form(file.data)),
        "form of a zip": ("POST", UPLOAD, FORM, form(zipped(file))),
        "action": ("PUT", action(vendor), {}, in_action(file.data)),
        "action of a zip": ("PUT", action(vendor), {}, in_action(pack([file]))),
    }[packing]
    answer = body_of(vendor.site.call("b", method, path, body, headers))
    assert answer["changed"]
    assert (answer["licences"], answer["inventory"]["uuid"]) == ([licence.licence_id], licence.licence_id)
    assert vendor.site.status("b")["license"]["name"] == licence.name
    vendor.site.wait_for("a", lambda status: status["license"]["name"] == licence.name)


def test_two_licences_in_one_archive(vendor: Vendor) -> None:
    """Both are installed in one go, with one request code each."""
    first = vendor.licence()
    assert vendor.site.call("a", "POST", CODE).status == 200
    second = vendor.licence()
    answer = vendor.install(zipped(*(LicenceFile(f"{each.name}.lic", vendor.sign(each)) for each in (first, second))))
    assert answer["licences"] == [first.licence_id, second.licence_id]


def test_a_dry_run_changes_nothing(vendor: Vendor) -> None:
    """It says what would be in force, or why it would be refused, and nothing is written."""
    licence = vendor.licence()
    file, altered = vendor.sign(licence), vendor.sign(licence).replace(b'"hosts":10', b'"hosts":99')
    before = state_of(vendor.site)
    good = body_of(vendor.site.call("b", "POST", f"{UPLOAD}/inspect", file))
    bad = body_of(vendor.site.call("b", "POST", f"{UPLOAD}/inspect", altered))
    assert state_of(vendor.site) == before
    assert (good["accepted"], good["outcome"]["changed"], good["license"]["name"]) == (True, True, licence.name)
    assert (bad["accepted"], bad["outcome"]["http"], bad["outcome"]["code"]) == (False, 422, "bad-signature")
    assert bad["license"]["name"] != licence.name


def test_an_outcome_can_be_asked_for_again(vendor: Vendor) -> None:
    """By the id in the answer, at either node; what nobody knows is 404."""
    answer = vendor.install(vendor.file())
    for label in vendor.site.nodes:
        path = f"{UPLOAD}/uploads/{answer['id']}"
        vendor.site.wait_for(label, lambda status: status["license"]["name"] == answer["inventory"]["user"])
        told = body_of(vendor.site.get(label, path))
        assert told["outcome"]["text"] == answer["text"]
    for unknown in ("nothing", "..%2F..", "x" * 300):
        assert refused(vendor.site.get("a", f"{UPLOAD}/uploads/{unknown}")) == (404, "not-found")


def test_a_licence_is_removed_and_comes_back(vendor: Vendor) -> None:
    """DELETE ends it at once, again is 404, and the very same file may be installed once more."""
    file = vendor.file()
    licence_id = vendor.install(file)["inventory"]["uuid"]
    path = f"{action(vendor)}?uuid={licence_id}"
    assert body_of(vendor.site.call("a", "DELETE", path))["inventory"]["uuid"] != licence_id
    assert refused(vendor.site.call("a", "DELETE", path)) == (404, "not-found")
    assert refused(vendor.site.call("a", "DELETE", action(vendor))) == (400, "bad-parameter")
    assert vendor.install(file)["inventory"]["uuid"] == licence_id


def test_the_request_code_is_the_same_until_a_new_one_is_asked_for(vendor: Vendor) -> None:
    """Both nodes give the same text, to download or in JSON; a licence for an earlier one is still accepted."""
    site = vendor.site
    first = {label: site.get(label, CODE) for label in site.nodes}
    assert first["a"].body == first["b"].body
    assert "attachment" in first["a"].headers["Content-Disposition"]
    told = body_of(site.get("b", CODE, {"Accept": "application/json"}))
    code = parse(told["requestCode"])
    assert told["requestCode"].encode() == first["a"].body
    assert (told["siteId"], told["nonce"], told["sequence"]) == (code.site_id, code.nonce, code.sequence)
    file = vendor.file()
    assert site.call("a", "POST", CODE).body != first["a"].body
    assert vendor.install(file)["changed"]


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"{}", {}, 400, "bad-body"),
        (b"not JSON", {}, 400, "bad-body"),
        (b"\xff", {}, 400, "bad-body"),
        (b"[" * 100_000, {}, 400, "bad-body"),
        (b'{"updateLicense": {"license": "YQ==", "license": "Yg=="}}', {}, 400, "bad-body"),
        (b'{"updateLicense": {"license": 7}}', {}, 400, "bad-body"),
        (b'{"updateLicense": {"license": NaN}}', {}, 400, "bad-body"),
        ('{"updateLicense": {"license": "\u00e4"}}'.encode(), {}, 400, "bad-body"),
        (in_action(b"hello"), {}, 400, "LICENSE.1006"),
        (gzip.compress(in_action(bytes(10_000_000))), {"Content-Encoding": "gzip"}, 415, "unsupported-media-type"),
        (bytes(900 * 1024), {}, 413, "too-large"),
    ],
    ids=[
        "no-action",
        "no-json",
        "no-utf-8",
        "deep",
        "twice",
        "number",
        "nan",
        "no-base64",
        "no-licence",
        "compressed",
        "huge",
    ],
)
def test_a_body_that_makes_no_sense_is_refused(
    vendor: Vendor, body: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    """The platform's call with anything else in it is refused, and nothing changes."""
    before = state_of(vendor.site)
    assert refused(vendor.site.call("b", "PUT", action(vendor), body, headers)) == (status, code)
    assert state_of(vendor.site) == before


def test_uploads_are_counted_by_their_result(vendor: Vendor) -> None:
    """A rejected upload shows in the figures of the node that rejected it."""

    def count(result: str) -> float:
        start = f'twinkey_uploads_total{{result="{result}"}} '
        lines = vendor.site.get("b", "/metrics").body.decode().splitlines()
        return next(float(line.removeprefix(start)) for line in lines if line.startswith(start))

    before = {result: count(result) for result in ("accepted", "refused", "failed", "waiting")}
    vendor.install(vendor.file())
    assert vendor.site.call("b", "POST", UPLOAD, b"nonsense").status == 400
    assert {result: count(result) - before[result] for result in before} == {
        "accepted": 1,
        "refused": 1,
        "failed": 0,
        "waiting": 0,
    }
