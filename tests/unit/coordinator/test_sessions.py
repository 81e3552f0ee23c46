"""What a session's cookie says, and which cookies are believed."""

from __future__ import annotations

import datetime as dt
import hashlib

import pytest
from msgspec.structs import replace

from coordinator.errors import ApiError
from coordinator.sessions import cookie_header, read_session, write_session
from coordinator.tokens import Caller, Token, TokenFile
from tests.unit.coordinator.stored import NOW, SECOND

UNTIL = NOW + 3600 * SECOND
TEXT = "the operator's token"
TOKEN = Token("Zoë. the operator", hashlib.sha256(TEXT.encode()).hexdigest(), ("read", "admin"))
OTHER = Token("other", "0" * 64, ("read",))
KNOWN = TokenFile((OTHER, TOKEN))
COOKIE = write_session(TOKEN, UNTIL)


def test_a_session_is_its_tokens() -> None:
    """It has the token's name and scopes, until the second at which it ends."""
    assert read_session(COOKIE, KNOWN, NOW) == Caller(TOKEN.name, TOKEN.scopes, UNTIL)
    assert read_session(COOKIE, KNOWN, UNTIL - SECOND).expires == UNTIL


def test_it_counts_wherever_the_tokens_are_the_same() -> None:
    """Another node has only the same file; a token whose scopes changed has the new ones."""
    less = replace(TOKEN, scopes=("read",))
    assert read_session(COOKIE, TokenFile((less,)), NOW).scopes == ("read",)


def test_a_cookie_can_be_written_as_it_is() -> None:
    """Whatever a token is called, the value needs no quotes, and neither token nor hash is in it."""
    assert COOKIE.isascii()
    assert not set(COOKIE) & set(' ",;\\\t')
    assert TEXT not in COOKIE
    assert TOKEN.sha256 not in COOKIE
    assert bytes.fromhex(TOKEN.sha256) not in COOKIE.encode()


def test_of_two_tokens_of_one_name_both_have_sessions() -> None:
    """A person may change from one token to the other; the withdrawal of one ends its own sessions alone."""
    newer = replace(OTHER, name=TOKEN.name)
    both = TokenFile((TOKEN, newer))
    for token in both.tokens:
        assert read_session(write_session(token, UNTIL), both, NOW).scopes == token.scopes
    with pytest.raises(ApiError):
        read_session(COOKIE, TokenFile((newer,)), NOW)


NAME, SECONDS, MAC = COOKIE.split(".")
FOREIGN = write_session(OTHER, UNTIL)
BAD = {
    "empty": "",
    "no end": f"{NAME}.{MAC}",
    "more": f"{COOKIE}.{MAC}",
    "no MAC": f"{NAME}.{SECONDS}.",
    "cut": COOKIE[:-1],
    "longer": f"{NAME}.{int(SECONDS) + 1}.{MAC}",
    "zero": f"{NAME}.0{SECONDS}.{MAC}",
    "digits": f"{NAME}.{SECONDS.replace('1', chr(0x661))}.{MAC}",
    "far": f"{NAME}.999999999999.{MAC}",
    "huge": f"{NAME}.{'9' * 5000}.{MAC}",
    "minus": f"{NAME}.-{SECONDS}.{MAC}",
    "padded": f"{COOKIE}=",
    "other's MAC": f"{NAME}.{SECONDS}.{FOREIGN.split('.')[2]}",
    "other's name": f"{FOREIGN.split('.')[0]}.{SECONDS}.{MAC}",
    "the token": TEXT,
    "the hash": f"{NAME}.{SECONDS}.{TOKEN.sha256}",
    "no text": "\udcff.\udcfe.\udcfd",
    "quotes": f'"{COOKIE}"',
}


@pytest.mark.parametrize("value", BAD.values(), ids=list(BAD))
def test_what_we_did_not_write_is_no_session(value: str) -> None:
    """Nothing else is believed, however near it comes; the browser is told to forget it."""
    with pytest.raises(ApiError) as refused:
        read_session(value, KNOWN, NOW)
    assert (refused.value.http, refused.value.detail.code) == (401, "session-expired")
    assert refused.value.headers["Set-Cookie"].startswith("twinkey=; Max-Age=0; Path=/;")


@pytest.mark.parametrize("at", [UNTIL, UNTIL + SECOND], ids=["end", "later"])
def test_a_session_that_has_ended_is_none(at: dt.datetime) -> None:
    """From the second of its end on it counts no more."""
    with pytest.raises(ApiError, match="has ended"):
        read_session(COOKIE, KNOWN, at)


def test_a_withdrawn_token_ends_its_sessions() -> None:
    """Without the token in the file there is no session."""
    with pytest.raises(ApiError, match="has ended"):
        read_session(COOKIE, TokenFile((OTHER,)), NOW)


def test_no_script_and_no_other_site_gets_at_the_cookie() -> None:
    """HttpOnly and SameSite=Strict always, Secure where it came over TLS."""
    assert cookie_header("x", 60) == "twinkey=x; Max-Age=60; Path=/; HttpOnly; SameSite=Strict"
    assert cookie_header("x", 60, secure=True).endswith("; Secure")
