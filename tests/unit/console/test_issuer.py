"""The vendor's desk: from a new signing key to a licence file that a node accepts."""

from __future__ import annotations

import datetime as dt
import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from console.issuer import issuer
from licensing.archive import read_upload
from licensing.envelope import open_licence, peek, seal_payload
from licensing.keyring import Keyring, parse_keyring
from licensing.licence import Edition, KeyBinding, Quota, SiteBinding
from licensing.request_code import RequestCode, render

TERMS = ("--name", "ACME", "--edition", "basic-paid", "--issued", "2026-01-01", "--expires", "2027-01-01")
FOR_KEY = ("--hosts", "3", "--usb-key", "K1")
REQUEST = RequestCode("s1", ("fa", "fb"), "n1", sequence=6)
FOR_SITE = ("--hosts", "3", "--site-id", "s1", "--fingerprint", "fa", "--fingerprint", "fb", "--nonce", "n1")


def run(*arguments: str | Path) -> Result:
    """Run `twinkey issuer` with these arguments."""
    return CliRunner().invoke(issuer, [str(argument) for argument in arguments])


def done(*arguments: str | Path) -> dict[str, Any]:
    """Run `twinkey issuer` with JSON output, which must succeed, and return what it printed."""
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """Return a folder with a signing key and its keyring."""
    done("keygen", "--out", tmp_path, "--valid-from", "2025-01-01", "--valid-until", "2030-01-01")
    return tmp_path


def issue(desk: Path, *arguments: str) -> Result:
    """Issue `a.lic` on that desk."""
    return run("issue", "--key", desk / "vendor.key", "--out", desk / "a.lic", *arguments)


def pinned(desk: Path) -> Keyring:
    """Return the keyring of that desk."""
    return parse_keyring((desk / "keyring.json").read_bytes())


# --- keygen -------------------------------------------------------------------------------------------------------


def test_keygen_makes_a_secret_key_and_a_keyring(tmp_path: Path) -> None:
    """The private key is readable by its owner only, and the keyring pins its public half for the time asked for."""
    desk = tmp_path / "new" / "desk"
    made = done("keygen", "--out", desk, "--valid-from", "2025-01-01", "--valid-until", "2030-01-01T02:00:00+02:00")
    assert (desk / "vendor.key").stat().st_mode & 0o777 == 0o600
    (key,) = pinned(desk).keys
    assert made == {
        "kid": key.kid,
        "keyFile": str(desk / "vendor.key"),
        "keyringFile": str(desk / "keyring.json"),
        "validFrom": "2025-01-01T00:00:00Z",
        "validUntil": "2030-01-01T00:00:00Z",
    }
    assert key.valid_until == dt.datetime(2030, 1, 1, tzinfo=dt.UTC)


def test_keygen_never_overwrites_a_key(desk: Path) -> None:
    """A second run leaves both files as they are."""
    before = (desk / "vendor.key").read_bytes(), (desk / "keyring.json").read_bytes()
    result = run("keygen", "--out", desk)
    assert (result.exit_code, "never overwritten" in result.output) == (1, True)
    assert ((desk / "vendor.key").read_bytes(), (desk / "keyring.json").read_bytes()) == before


def test_keygen_adds_a_new_key_beside_the_old(desk: Path) -> None:
    """With the old key moved away the keyring gains an entry and keeps the old one."""
    (old,) = pinned(desk).keys
    (desk / "vendor.key").rename(desk / "old.key")
    made = done("keygen", "--out", desk)
    assert [key.kid for key in pinned(desk).keys] == [old.kid, made["kid"]]


def test_keygen_leaves_no_key_beside_a_broken_keyring(tmp_path: Path) -> None:
    """A keyring that cannot be read is reported before a key is made."""
    (tmp_path / "keyring.json").write_text("{")
    result = run("keygen", "--out", tmp_path)
    assert (result.exit_code, "not a usable keyring" in result.output) == (1, True)
    assert not (tmp_path / "vendor.key").exists()


def test_keygen_refuses_a_window_that_ends_before_it_begins(tmp_path: Path) -> None:
    """Contradicting dates are an error, and nothing is written."""
    result = run("keygen", "--out", tmp_path, "--valid-from", "2026-01-02", "--valid-until", "2026-01-01")
    assert (result.exit_code, "validUntil" in result.output) == (1, True)
    assert list(tmp_path.iterdir()) == []


# --- issue --------------------------------------------------------------------------------------------------------


def requested(desk: Path, text: str) -> tuple[str, ...]:
    """Return the options that name a file with this request code."""
    file = desk / "request.txt"
    file.write_text(text, encoding="utf-8")
    return ("--hosts", "3", "--request-code", str(file))


def test_a_request_code_is_answered_with_an_archive(desk: Path) -> None:
    """The archive has one licence, bound to what the code says, next in the site's own lineage."""
    assert issue(desk, *TERMS, *requested(desk, render(REQUEST))).exit_code == 0
    (file,) = read_upload((desk / "a.lic").read_bytes())
    licence = open_licence(file.data, pinned(desk)).licence
    assert (desk / "a.lic").read_bytes().startswith(b"PK")
    assert licence.binding == SiteBinding(site_id="s1", fingerprints=("fa", "fb"), nonce="n1")
    assert (licence.lineage, licence.sequence) == ("s1", 7)


def test_the_vendor_has_the_last_word_on_the_lineage(desk: Path) -> None:
    """A lineage and a sequence that are given are kept, also a sequence of 0."""
    place = ("--lineage", "contract", "--sequence", "0")
    assert issue(desk, *TERMS, *place, *requested(desk, render(REQUEST))).exit_code == 0
    (file,) = read_upload((desk / "a.lic").read_bytes())
    licence = open_licence(file.data, pinned(desk)).licence
    assert (licence.lineage, licence.sequence) == ("contract", 0)


@pytest.mark.parametrize(
    ("text", "more", "code", "said"),
    [
        ("Dear vendor", (), 1, "not a request code"),
        (render(REQUEST).replace("REQUEST CODE 1", "REQUEST CODE 2"), (), 1, "altered"),
        (render(REQUEST), ("--nonce", "n2"), 2, "leave the other bindings out"),
        (render(REQUEST), ("--usb-key", "K1"), 2, "leave the other bindings out"),
    ],
)
def test_a_request_code_that_cannot_be_answered(
    desk: Path, text: str, more: tuple[str, ...], code: int, said: str
) -> None:
    """What is no request code, or contradicts it, is reported, and nothing is written."""
    result = issue(desk, *TERMS, *requested(desk, text), *more)
    assert (result.exit_code, said in " ".join(result.output.split())) == (code, True), result.output
    assert not (desk / "a.lic").exists()


def test_a_licence_for_a_usb_key_is_accepted_by_a_node(desk: Path) -> None:
    """What is issued opens against the desk's own keyring, with every term in its place."""
    device = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    terms = ("--edition", "advanced-paid", "--not-before", "2026-02-01", "--service-expires", "2026-06-01")
    units = ("--hosts", "3", "--cpu-sockets", "6", "--cpu-cores", "96")
    names = ("--licence-id", "L9", "--lineage", "C9", "--sequence", "4")
    bound = ("--usb-key", "K1", "--device-public-key", b64encode(device).decode())
    result = issue(desk, *TERMS, *terms, *units, *names, *bound)
    assert result.exit_code == 0, result.output
    licence = open_licence((desk / "a.lic").read_bytes(), pinned(desk)).licence
    assert (licence.licence_id, licence.lineage, licence.sequence) == ("L9", "C9", 4)
    assert (licence.name, licence.edition) == ("ACME", Edition.ADVANCED_PAID)
    assert licence.quota == Quota(hosts=3, cpu_sockets=6, cpu_cores=96)
    assert licence.binding == KeyBinding("K1", device)
    assert licence.not_before == dt.datetime(2026, 2, 1, tzinfo=dt.UTC)
    assert licence.service_expires == dt.datetime(2026, 6, 1, tzinfo=dt.UTC)


def test_a_licence_for_a_site_is_accepted_by_a_node(desk: Path) -> None:
    """A licence can be bound to a site by what its request code says; the rest has sensible defaults."""
    assert issue(desk, *TERMS, *FOR_SITE).exit_code == 0
    licence = open_licence((desk / "a.lic").read_bytes(), pinned(desk)).licence
    assert licence.binding == SiteBinding("s1", ("fa", "fb"), "n1")
    assert licence.lineage == licence.licence_id
    assert licence.not_before == licence.issued == dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def test_a_licence_is_issued_now_unless_said_otherwise(desk: Path) -> None:
    """The default issue date is the present second."""
    before = dt.datetime.now(dt.UTC).replace(microsecond=0)
    plain = ("--name", "ACME", "--edition", "basic-paid", "--expires", "2999-01-01", "--usb-key", "K1", "--hosts", "3")
    assert issue(desk, *plain).exit_code == 0
    licence = open_licence((desk / "a.lic").read_bytes(), pinned(desk)).licence
    assert before <= licence.issued <= dt.datetime.now(dt.UTC)


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        ((*TERMS, "--hosts", "3"), 2, "--usb-key, --request-code or --site-id"),
        ((*TERMS, *FOR_SITE, "--usb-key", "K1"), 2, "--usb-key, --request-code or --site-id"),
        ((*TERMS, *FOR_KEY, "--nonce", "n1"), 2, "belong to --site-id"),
        ((*TERMS, "--hosts", "3", "--site-id", "s1", "--nonce", "n1"), 2, "needs --fingerprint"),
        ((*TERMS, *FOR_SITE, "--device-public-key", b64encode(bytes(32)).decode()), 2, "belongs to --usb-key"),
        ((*TERMS, *FOR_KEY, "--device-public-key", "AAAA"), 2, "32 bytes"),
        ((*TERMS, *FOR_KEY, "--device-public-key", "§"), 2, "32 bytes"),
        ((*TERMS, *FOR_KEY, "--expires", "soon"), 2, "neither a date"),
        ((*TERMS, *FOR_KEY, "--expires", "2027-01-01T00:00:00"), 2, "neither a date"),
        ((*TERMS, *FOR_KEY, "--expires", "9999-12-31T23:00:00-12:00"), 2, "neither a date"),
        ((*TERMS, *FOR_KEY, "--hosts", "0"), 2, "--hosts"),
        ((*TERMS, *FOR_KEY, "--name", ""), 1, "$.name"),
        ((*TERMS, "--usb-key", "K1"), 1, "at least one of hosts"),
        ((*TERMS, *FOR_KEY, "--not-before", "2028-01-01"), 1, "ends before it begins"),
        ((*TERMS, *FOR_KEY, "--issued", "2024-01-01"), 1, "was not in use"),
    ],
)
def test_terms_that_do_not_fit_are_refused(desk: Path, arguments: tuple[str, ...], code: int, why: str) -> None:
    """Wrong usage exits 2 and terms that no node would accept exit 1, with the reason and no file."""
    result = issue(desk, *arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert why in result.stderr
    assert not (desk / "a.lic").exists()


@pytest.mark.parametrize("name", ["K1", "key 7", "ключ"], ids=["real", "space", "cyrillic"])
def test_a_usb_key_may_have_any_name_that_can_be_shown(desk: Path, name: str) -> None:
    """Simulated keys have names that no real key has."""
    assert issue(desk, *TERMS, "--hosts", "3", "--usb-key", name).exit_code == 0
    assert peek((desk / "a.lic").read_bytes()).licence.binding == KeyBinding(name)


@pytest.mark.parametrize("name", ["K\x1b[2J", "K1\n", "K\u202e1"], ids=["escape", "newline", "backwards"])
def test_a_usb_key_whose_name_cannot_be_shown_is_refused(desk: Path, name: str) -> None:
    """What no key can have, and nobody could compare by eye, is told without being shown."""
    result = issue(desk, *TERMS, "--hosts", "3", "--usb-key", name)
    assert (result.exit_code, "cannot be shown" in result.output, name in result.output) == (2, True, False)
    assert not (desk / "a.lic").exists()


def test_a_licence_file_is_never_overwritten(desk: Path) -> None:
    """Issuing to a name that exists is refused, and the file stays as it was."""
    assert issue(desk, *TERMS, *FOR_KEY).exit_code == 0
    before = (desk / "a.lic").read_bytes()
    result = issue(desk, *TERMS, *FOR_KEY)
    assert (result.exit_code, "never overwritten" in result.stderr) == (1, True)
    assert (desk / "a.lic").read_bytes() == before


def test_only_a_signing_key_signs(desk: Path) -> None:
    """A key of another kind, an encrypted one, no key and no file are told apart from a signing key."""
    pkcs8 = (Encoding.PEM, PrivateFormat.PKCS8)
    secret = Ed25519PrivateKey.generate().private_bytes(*pkcs8, BestAvailableEncryption(b"secret"))
    for text in (X25519PrivateKey.generate().private_bytes(*pkcs8, NoEncryption()), secret, b"hello", b""):
        (desk / "vendor.key").write_bytes(text)
        result = issue(desk, *TERMS, *FOR_KEY)
        assert (result.exit_code, "not a signing key" in result.stderr) == (1, True)
    (desk / "vendor.key").unlink()
    result = issue(desk, *TERMS, *FOR_KEY)
    assert (result.exit_code, "No such file" in result.stderr) == (1, True)


def test_a_private_key_is_never_printed(tmp_path: Path) -> None:
    """No line of the private key appears in what any command prints."""
    printed = run("keygen", "--out", tmp_path, "--valid-from", "2025-01-01").output
    printed += issue(tmp_path, *TERMS, *FOR_KEY).output
    printed += run("inspect", tmp_path / "a.lic").output + run("inspect", tmp_path / "vendor.key").output
    secret = (tmp_path / "vendor.key").read_text().splitlines()[1]
    assert len(secret) > 40
    assert secret not in printed


# --- inspect ------------------------------------------------------------------------------------------------------


def test_inspect_shows_a_verified_licence(desk: Path) -> None:
    """With the keyring, a good file is shown as verified, in rows and in JSON."""
    issue(desk, *TERMS, *FOR_SITE)
    shown = run("inspect", desk / "a.lic", "--keyring", desk / "keyring.json")
    assert shown.exit_code == 0
    rows = dict(line.split(maxsplit=1) for line in shown.stdout.splitlines())
    assert (rows["verified"], rows["name"], rows["quota.hosts"]) == ("yes", "ACME", "3")
    assert rows["binding.fingerprints"] == "fa, fb"
    answer = done("inspect", desk / "a.lic", "--keyring", desk / "keyring.json")
    assert (answer["verified"], answer["kid"]) == (True, pinned(desk).keys[0].kid)
    assert (answer["expiredDate"], answer["quota"]) == ("2027-01-01T00:00:00Z", {"hosts": 3})


def test_inspect_says_when_nothing_was_verified(desk: Path) -> None:
    """Without a keyring the claims are shown, and said to be no more than that."""
    issue(desk, *TERMS, *FOR_KEY)
    shown = run("inspect", desk / "a.lic")
    assert (shown.exit_code, "Not verified" in shown.stderr) == (0, True)
    assert done("inspect", desk / "a.lic")["verified"] is False


def test_inspect_refuses_an_altered_file(desk: Path) -> None:
    """With the keyring an altered file is not shown but refused, with the reason, a next step and the code."""
    issue(desk, *TERMS, *FOR_KEY)
    data = (desk / "a.lic").read_bytes().replace(b'"hosts":3', b'"hosts":9')
    (desk / "a.lic").write_bytes(data)
    result = run("inspect", desk / "a.lic", "--keyring", desk / "keyring.json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "altered" in result.stderr
    assert "[bad-signature]" in result.stderr


def test_an_unverified_name_cannot_command_the_terminal(desk: Path) -> None:
    """Control characters in a file that anyone could have written are not sent to the terminal."""
    issue(desk, *TERMS, *FOR_KEY)
    payload = (desk / "a.lic").read_bytes().split(b"\n")[2].replace(b"ACME", b"\\u001b[2JACME")
    (desk / "a.lic").write_bytes(seal_payload(payload, "0" * 16, Ed25519PrivateKey.generate()))
    shown = run("inspect", desk / "a.lic")
    assert shown.exit_code == 0
    assert "\x1b" not in shown.output
    assert "[2JACME" in shown.output


def test_inspect_says_what_is_no_licence_or_no_keyring(desk: Path) -> None:
    """A wrong file on either side is named for what it is."""
    result = run("inspect", desk / "keyring.json")
    assert (result.exit_code, "LICENSE.1006" in result.stderr) == (1, True)
    issue(desk, *TERMS, *FOR_KEY)
    result = run("inspect", desk / "a.lic", "--keyring", desk / "a.lic")
    assert (result.exit_code, "not a usable keyring" in result.stderr) == (1, True)
