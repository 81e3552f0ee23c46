"""The tokens file: what is read of it and what is refused."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from coordinator.tokens import BadTokens, Token, TokenFile, by_hash, read_tokens, token_of

TOKENS = TokenFile((Token("reader", hashlib.sha256(b"x").hexdigest(), ("read",)),))


def test_a_tokens_file_is_read(tmp_path: Path) -> None:
    """The file holds hashes and scopes, and nothing that lets anybody in by itself."""
    file = tmp_path / "tokens.json"
    known = [{"name": each.name, "sha256": each.sha256, "scopes": list(each.scopes)} for each in TOKENS.tokens]
    file.write_text(json.dumps({"tokens": known}, indent=2))
    assert read_tokens(file) == TOKENS


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"{}",
        b'{"tokens":[{"name":"x","sha256":"abc","scopes":["read"]}]}',
        b'{"tokens":[{"name":"x","sha256":"' + b"a" * 64 + b'","scopes":["root"]}]}',
        b'{"tokens":[],"token":"secret"}',
    ],
    ids=["empty", "not text", "no tokens", "not a hash", "unknown scope", "unknown member"],
)
def test_a_bad_tokens_file_is_refused(tmp_path: Path, content: bytes) -> None:
    """A file of another form lets the daemon stop with the file's name, and nobody in."""
    file = tmp_path / "tokens.json"
    file.write_bytes(content)
    with pytest.raises(BadTokens, match=r"tokens\.json: is not a tokens file"):
        read_tokens(file)


def test_a_missing_tokens_file_is_refused(tmp_path: Path) -> None:
    """The text says what to set."""
    with pytest.raises(BadTokens, match="name the tokens file in the settings"):
        read_tokens(tmp_path / "none.json")


def test_no_token_can_call_itself_the_console(tmp_path: Path) -> None:
    """What the console may do is not for a token: its name in the history would be a lie."""
    file = tmp_path / "tokens.json"
    file.write_text(json.dumps({"tokens": [{"name": "console", "sha256": "a" * 64, "scopes": ["admin"]}]}))
    with pytest.raises(BadTokens, match="another name"):
        read_tokens(file)


def test_a_token_is_found_by_its_text() -> None:
    """Spaces around it do not matter, all else does; and its hash opens nothing."""
    known = by_hash(TOKENS)
    assert token_of(" x\n", known) == TOKENS.tokens[0]
    assert not [text for text in ("", "X", "x x", TOKENS.tokens[0].sha256) if token_of(text, known)]


def test_of_two_tokens_with_the_same_text_the_first_counts() -> None:
    """As it does for whoever reads the file."""
    first = TOKENS.tokens[0]
    known = by_hash(TokenFile((first, Token("another", first.sha256, ("admin",)))))
    assert token_of("x", known) == first
