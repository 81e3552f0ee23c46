"""Stored values: canonical, versioned, and believed only when they are exactly that."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.values import LARGEST, BadValue, NewerValue, decode_value, encode_value, read_message
from licensing.value import Count, Name, Value

KEY = "/twinkey/s/thing"


class Thing(Value, frozen=True):
    """A value to store."""

    long_name: Name
    count: Count = 0


GOOD = b'{"data":{"count":3,"longName":"a"},"version":1}'


def test_a_value_is_canonical_json_with_a_version() -> None:
    """The stored bytes are fully determined by the value."""
    assert encode_value(Thing(long_name="a", count=3)) == GOOD


@given(st.builds(Thing, long_name=st.text(min_size=1, max_size=256), count=st.integers(0, 2**31 - 1)))
def test_a_value_comes_back_as_it_was(thing: Thing) -> None:
    """Decoding undoes encoding."""
    assert decode_value(KEY, encode_value(thing), Thing) == thing


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "not a Thing"),
        (b"<html>", "not a Thing"),
        (b"[]", "not a Thing"),
        (b"\xff\xfe", "not a Thing"),
        (b'{"data":{"count":3,"longName":"a"}}', "version"),
        (b'{"data":{"count":"3","longName":"a"},"version":1}', "count"),
        (b'{"data":{"count":-3,"longName":"a"},"version":1}', "count"),
        (b'{"data":{"count":3},"version":1}', "longName"),
        (b'{"data":{"count":3,"extra":1,"longName":"a"},"version":1}', "extra"),
        (b'{"data":{"count":3,"longName":"a"},"extra":1,"version":1}', "members beside"),
        (b'{"version":1,"data":{"count":3,"longName":"a"}}', "canonical"),
        (b'{"data":{"longName":"a","count":3},"version":1}', "canonical"),
        (b'{"data":{"count":3,"count":3,"longName":"a"},"version":1}', "canonical"),
        (b'{"data":{"count":3,"longName":"a"},"version":1}\n', "canonical"),
        (b'{"data":{"count":NaN,"longName":"a"},"version":1}', "not a Thing"),
        (b'{"data":{"later":true},"later":1,"version":2}', "newer version .format 2.: upgrade this node"),
        (b'{"data":{"count":3,"longName":"a"},"version":0}', "format 0"),
        (b'{"data":' + b"[" * 100_000 + b"]" * 100_000 + b',"version":1}', "nested|not a Thing"),
        (b" " * (LARGEST + 1), "allowed"),
    ],
)
def test_what_is_not_exactly_ours_is_refused(data: bytes, why: str) -> None:
    """The refusal names the key and says why."""
    with pytest.raises(BadValue, match=why) as refusal:
        decode_value(KEY, data, Thing)
    assert str(refusal.value).startswith(KEY + ": ")


@given(st.binary(max_size=200))
def test_garbage_is_refused_and_nothing_else_happens(data: bytes) -> None:
    """No bytes make decoding fail in any other way."""
    with pytest.raises(BadValue):
        decode_value(KEY, data, Thing)


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 7))
def test_a_flipped_bit_never_yields_another_shape(place: int, bit: int) -> None:
    """A damaged value is refused, or is a valid value that would be written just like that."""
    damaged = bytearray(GOOD)
    damaged[place] ^= 1 << bit
    try:
        thing = decode_value(KEY, bytes(damaged), Thing)
    except BadValue:
        return
    assert encode_value(thing) == damaged


def test_a_value_that_is_too_large_is_not_written() -> None:
    """What could not be read back is refused before it is stored."""

    class Large(Value, frozen=True):
        text: str

    with pytest.raises(BadValue, match=r"Large: is .* bytes long"):
        encode_value(Large(text="x" * LARGEST))


EXTENDED = b'{"data":{"count":3,"extra":{"x":[1]},"longName":"a"},"version":1}'


def test_a_message_is_read_without_what_a_newer_version_added() -> None:
    """What this version knows of it counts, and what it writes itself is read as it is."""
    assert read_message(KEY, EXTENDED, Thing) == Thing("a", 3) == read_message(KEY, GOOD, Thing)


def test_what_is_written_again_is_not_read_without_what_a_newer_version_added() -> None:
    """It would be lost: the refusal says who must be upgraded, and names what is not known."""
    with pytest.raises(NewerValue, match=r"upgrade this node; what it does not know: extra$"):
        decode_value(KEY, EXTENDED, Thing)


def test_a_newer_format_is_no_message_either() -> None:
    """Its data may mean anything."""
    for read in decode_value, read_message:
        with pytest.raises(NewerValue, match="format 2"):
            read(KEY, GOOD.replace(b":1}", b":2}"), Thing)


@pytest.mark.parametrize(
    "data",
    [
        b'{"data":{"extra":1},"version":1}',
        b'{"data":{"count":-1,"extra":1,"longName":"a"},"version":1}',
        b'{"data":{"extra":1,"count":3,"longName":"a"},"version":1}',
        b'{"data":{"count":3,"longName":"a"},"extra":1,"version":1}',
        b'{"data":[],"version":1}',
    ],
    ids=["missing", "wrong", "order", "envelope", "list"],
)
def test_damage_is_not_taken_for_a_newer_version(data: bytes) -> None:
    """Where something else is wrong as well, the value is bad for both ways of reading."""
    for read in decode_value, read_message:
        with pytest.raises(BadValue) as refused:
            read(KEY, data, Thing)
        assert type(refused.value) is BadValue


@given(st.binary(max_size=200))
def test_garbage_is_no_message(data: bytes) -> None:
    """No bytes make reading a message fail in any other way."""
    with pytest.raises(BadValue):
        read_message(KEY, data, Thing)
