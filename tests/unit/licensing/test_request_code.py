"""The request code: what a site is, as text that survives mail and notices every wrong character."""

from __future__ import annotations

import re
from base64 import b32decode, b32encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from licensing.licence import SiteBinding
from licensing.request_code import BadRequestCode, RequestCode, _checksum, binding_of, matches, parse, render

CODE = RequestCode("site-1", ("a1" * 32, "b2" * 32), "0f" * 16, 7)
TEXT = render(CODE)

words = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=256)
codes = st.builds(
    RequestCode,
    words,
    st.lists(words, min_size=1, max_size=2).map(tuple),
    words,
    st.integers(0, 2**31 - 1),
)


def why(text: str) -> str:
    """Return why a text is refused, which it must be."""
    with pytest.raises(BadRequestCode) as caught:
        parse(text)
    assert caught.value.text == str(caught.value)
    return caught.value.text


def of_version(version: str) -> str:
    """Return the sample as another version would write the same values."""
    encoded = "".join(TEXT.splitlines()[1:-1])
    payload = b32decode(encoded + "=" * (-len(encoded) % 8))[10:]
    body = b32encode(_checksum(version, payload) + payload).decode().rstrip("=")
    return f"TWINKEY REQUEST CODE {version}:\n{body}\n:END\n"


@given(codes)
def test_what_is_rendered_is_what_is_parsed(code: RequestCode) -> None:
    """Every request code comes back from its text, however large."""
    assert parse(render(code)) == code


def test_the_text_is_fixed() -> None:
    """The same values give the same text: capitals, digits and two colons, at most 64 characters to a line."""
    assert render(replace(CODE)) == TEXT
    first, *body, last, nothing = TEXT.split("\n")
    assert (first, last, nothing) == ("TWINKEY REQUEST CODE 1:", ":END", "")
    assert all(re.fullmatch("[A-Z2-7]{64}", line) for line in body[:-1])
    assert re.fullmatch("[A-Z2-7]{1,64}", body[-1])
    short = render(RequestCode("s", ("f",), "n", 0))
    assert short == (
        "TWINKEY REQUEST CODE 1:\n"
        "Z7H7J57NXDTQYZLFPMRGM2LOM5SXE4DSNFXHI4ZCHJNSEZRCLUWCE3TPNZRWKIR2\n"
        "EJXCELBCONSXC5LFNZRWKIR2GAWCE43JORSUSZBCHIRHGIT5\n"
        ":END\n"
    )


@pytest.mark.parametrize(
    "mangled",
    [
        TEXT.strip(),
        TEXT.replace("\n", "\r\n"),
        TEXT.replace("\n", " "),
        TEXT.replace("\n", "").replace(" ", ""),
        "".join(f"> > {line}\n" for line in TEXT.splitlines()),
        "\ufeff\n\t" + TEXT.replace("\n", "\u00a0\n\u200b") + "\n\n",
        re.sub("(.{30})", r"\1\n", TEXT),
    ],
    ids=["stripped", "crlf", "one line", "no spaces", "quoted", "invisible", "wrapped"],
)
def test_white_space_and_line_breaks_do_not_count(mangled: str) -> None:
    """What mail does to lines, spaces and margins is forgiven."""
    assert parse(mangled) == CODE


@given(st.data())
def test_one_wrong_character_is_noticed(data: st.DataObject) -> None:
    """A character that is replaced, lost or put in is refused with a text that says what to do."""
    at = data.draw(st.sampled_from([at for at, sign in enumerate(TEXT) if not sign.isspace()]))
    visible = st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters=">")
    other = data.draw(visible.filter(lambda sign: sign != TEXT[at]))
    for text in (TEXT[:at] + other + TEXT[at + 1 :], TEXT[:at] + TEXT[at + 1 :], TEXT[:at] + other + TEXT[at:]):
        assert any(said in why(text) for said in ("altered", "cut short", "not a request code"))


def test_swapped_neighbours_and_lines_are_noticed() -> None:
    """Letters that change places are as wrong as other letters."""
    for at in range(25, len(TEXT) - 6):
        swapped = TEXT[:at] + TEXT[at + 1] + TEXT[at] + TEXT[at + 2 :]
        if "".join(swapped.split()) != "".join(TEXT.split()):
            assert "altered" in why(swapped)
    lines = TEXT.splitlines()
    lines[1], lines[2] = lines[2], lines[1]
    assert "checksum" in why("\n".join(lines))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not a request code"),
        ("<html></html>", "not a request code"),
        (TEXT.lower(), "not a request code"),
        ("Dear vendor, " + TEXT, "not a request code"),
        (TEXT[: len(TEXT) // 2], "cut short"),
        (TEXT + "Regards", "cut short"),
        ("TWINKEY REQUEST CODE 1::END", "altered"),
        ("TWINKEY REQUEST CODE 1:A:END", "altered"),
        ("TWINKEY REQUEST CODE 1:AB:END", "altered"),
        (TEXT.replace("CODE 1", "CODE 2"), "altered"),
        (TEXT.replace("CODE 1", "CODE 01"), "altered"),
        (TEXT.replace("\n:END", "A\n:END"), "altered"),
        (TEXT * 100, "too long"),
    ],
)
def test_other_text_is_told_apart(text: str, said: str) -> None:
    """What is no request code, a part of one, or one that was edited, is called so."""
    assert said in why(text)


def test_a_later_version_is_named() -> None:
    """A whole code of a version that this release does not know asks for an upgrade, not for another copy."""
    assert parse(of_version("1")) == CODE
    assert "version 2" in why(of_version("2"))
    assert "Upgrade" in why(of_version("12"))


@pytest.mark.parametrize(
    "changes",
    [
        {"site_id": ""},
        {"site_id": "a b"},
        {"site_id": "a\n"},
        {"site_id": "\x1b[2J"},
        {"site_id": "é"},
        {"site_id": "s" * 257},
        {"fingerprints": ()},
        {"fingerprints": ("a", "b", "c")},
        {"fingerprints": ("a", "")},
        {"nonce": ""},
        {"sequence": -1},
        {"sequence": 2**31},
    ],
)
def test_values_that_make_no_sense_are_refused(changes: dict[str, Any]) -> None:
    """A whole code is still refused when its values are not what they may be, such as unsafe to show."""
    assert "makes no sense" in why(render(replace(CODE, **changes)))


@given(st.text())
def test_any_text_is_refused_in_words(text: str) -> None:
    """No text makes the parser fail in any other way, and what it says is printable."""
    assert why(text).isprintable()
    assert why("TWINKEY REQUEST CODE 1:" + text + ":END").isprintable()


def test_a_licence_is_bound_to_what_the_code_says() -> None:
    """The binding that answers a request has its site, its nodes and its nonce."""
    assert binding_of(CODE) == SiteBinding("site-1", ("a1" * 32, "b2" * 32), "0f" * 16)


@pytest.mark.parametrize(
    ("site_id", "fingerprints", "expected"),
    [
        ("site-1", ("a1" * 32, "b2" * 32), True),
        ("site-1", ("new", "b2" * 32), True),
        ("site-1", ("a1" * 32,), True),
        ("site-1", ("new", "newer"), False),
        ("site-1", (), False),
        ("site-2", ("a1" * 32, "b2" * 32), False),
    ],
    ids=["same", "one node replaced", "one node left", "both replaced", "no node known", "another site"],
)
def test_a_licence_is_for_the_site_while_one_node_stays(
    site_id: str, fingerprints: tuple[str, ...], *, expected: bool
) -> None:
    """The site must be the same and at least one node known, so that one node can be replaced without a new licence."""
    assert matches(binding_of(CODE), site_id, fingerprints) is expected
