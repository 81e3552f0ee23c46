"""The history: what a record says, and that no alteration of the chain goes unnoticed."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import fields, replace

from licensing import canonical
from licensing.ledger import Restored
from licensing.licence import BuiltIn, Edition, KeyBinding, Licence, Quota, SiteBinding
from licensing.records import (
    GENESIS,
    Action,
    ChainHead,
    Event,
    ManagementType,
    Record,
    Unit,
    Walk,
    append,
    content_of,
    finish,
    hash_of,
    spoilt,
    step,
    verify,
)
from licensing.status import Validity
from tests.history import BEGINNING, content, history

RECORDS, HEAD = history([content(number) for number in range(6)])

LICENCE = Licence(
    licence_id="L1",
    lineage="contract",
    sequence=1,
    product="product",
    name="Site licence",
    edition=Edition.ADVANCED_PAID,
    issued=BEGINNING,
    not_before=BEGINNING,
    expires=BEGINNING + dt.timedelta(days=365),
    quota=Quota(hosts=10, cpu_cores=64),
    binding=KeyBinding(key_id="K1"),
)
EVENT = Event(
    at=BEGINNING + dt.timedelta(days=1),
    action=Action.INSTALLED,
    status=Validity.VALID,
    who="admin",
    node="a",
    sentence="Installed by hand.",
    replaced="L0",
)


def sealed(record: Record, **changes: Any) -> Record:
    """Return the record changed and with a hash that fits, as a forger would write it."""
    changed = replace(record, **changes)
    return replace(changed, hash=hash_of(changed))


def with_record(number: int, record: Record) -> list[Record]:
    """Return the history with one record replaced."""
    return [record if each.number == number else each for each in RECORDS]


def first_altered(records: list[Record], head: ChainHead = HEAD) -> int | None:
    """Return the number that the verification names, None when it finds nothing."""
    altered = verify(records, head)
    return altered.number if altered else None


def test_a_record_says_what_the_licence_says() -> None:
    """The columns of the history come from the licence, the rest from the event."""
    said = content_of(LICENCE, EVENT)
    assert said.management_type is ManagementType.USB_KEY
    assert said.authorization_method == (Unit.HOSTS, Unit.CPU_CORES)
    assert (said.item, said.quota) == ("Advanced Edition - Paid", LICENCE.quota)
    assert (said.upload_date, said.issued_date, said.expired_date) == (EVENT.at, LICENCE.issued, LICENCE.expires)
    assert (said.key_id, said.licence_id, said.name, said.replaced) == ("K1", "L1", "Site licence", "L0")
    assert (said.who, said.node, said.sentence) == ("admin", "a", "Installed by hand.")
    assert (said.action, said.status) == (Action.INSTALLED, Validity.VALID)


@pytest.mark.parametrize(
    ("binding", "expected"),
    [
        (SiteBinding("site", ("f",), "nonce"), ManagementType.REQUEST_KEY),
        (BuiltIn(), ManagementType.BUILT_IN),
    ],
)
def test_only_a_usb_keys_record_names_a_key(binding: SiteBinding | BuiltIn, expected: ManagementType) -> None:
    """Licences that no key carries are told apart by their management type."""
    said = content_of(replace(LICENCE, binding=binding), EVENT)
    assert (said.management_type, said.key_id) == (expected, None)


def test_the_chain_begins_at_its_genesis_and_grows_by_one() -> None:
    """Each record has the next number and the hash of the one before it."""
    assert [record.number for record in RECORDS] == list(range(6))
    assert [record.previous_hash for record in RECORDS] == [GENESIS, *(record.hash for record in RECORDS[:-1])]
    assert (HEAD.count, HEAD.hash) == (6, RECORDS[-1].hash)


def test_anybody_can_compute_the_hash_of_a_record() -> None:
    """The hash is SHA-256 of sorted JSON without white space and without the hash itself."""
    facts = json.loads(canonical.encode(RECORDS[3]))
    stated = facts.pop("hash")
    plain = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert hashlib.sha256(plain).hexdigest() == stated


def test_a_record_survives_its_canonical_form() -> None:
    """What was stored and read again still matches its hash."""
    again = canonical.decode(canonical.encode(RECORDS[2]), Record)
    assert (again, hash_of(again)) == (RECORDS[2], RECORDS[2].hash)


def test_a_history_as_it_was_written_verifies() -> None:
    """Nothing is found in a history that nobody touched, nor in an empty one."""
    assert first_altered(RECORDS) is None
    assert verify([], ChainHead()) is None


def test_a_history_can_be_verified_while_it_streams() -> None:
    """One pass over an iterator is enough."""
    assert verify(iter(RECORDS), HEAD) is None


ALTERED_MEMBERS: dict[str, Any] = {
    "upload_date": BEGINNING - dt.timedelta(days=1),
    "management_type": ManagementType.BUILT_IN,
    "authorization_method": (Unit.CPU_CORES,),
    "item": "x",
    "quota": Quota(hosts=11),
    "status": Validity.EXPIRED,
    "issued_date": BEGINNING - dt.timedelta(days=1),
    "expired_date": BEGINNING + dt.timedelta(days=999),
    "key_id": None,
    "licence_id": "x",
    "name": "x",
    "who": "x",
    "node": "x",
    "replaced": "x",
    "action": Action.DELETED,
    "sentence": "x",
    "previous_hash": "1" * 64,
    "hash": "2" * 64,
}


def test_no_member_is_forgotten_below() -> None:
    """Every member of a record but its number is altered in the next test."""
    assert set(ALTERED_MEMBERS) == {field.name for field in fields(Record)} - {"number"}


@pytest.mark.parametrize("member", ALTERED_MEMBERS)
@pytest.mark.parametrize("number", range(6))
def test_every_altered_member_is_found_in_its_record(number: int, member: str) -> None:
    """Whatever is changed in a record, that record is named."""
    altered = replace(RECORDS[number], **{member: ALTERED_MEMBERS[member]})
    assert first_altered(with_record(number, altered)) == number


@pytest.mark.parametrize("number", range(6))
def test_a_record_rewritten_with_its_hash_is_found(number: int) -> None:
    """A forger who computes the hash anew is found by the record that follows, or by the head."""
    assert first_altered(with_record(number, sealed(RECORDS[number], who="x"))) == number


@pytest.mark.parametrize("number", range(6))
def test_a_record_rewritten_with_another_predecessor_is_found(number: int) -> None:
    """The record that follows tells which of two that do not fit was rewritten."""
    assert first_altered(with_record(number, sealed(RECORDS[number], previous_hash="1" * 64))) == number


@pytest.mark.parametrize("number", range(6))
def test_a_missing_record_is_named(number: int) -> None:
    """A gap is found where it is, also at the end."""
    altered = verify([record for record in RECORDS if record.number != number], HEAD)
    assert (altered.number, "missing" in altered.why) == (number, True)


@given(st.permutations(RECORDS).filter(lambda records: records != RECORDS))
def test_records_out_of_order_are_found(records: list[Record]) -> None:
    """The first place that holds another record than its own is named."""
    wrong = next(place for place, record in enumerate(records) if record.number != place)
    assert first_altered(records) == wrong


def test_an_added_record_is_found() -> None:
    """A record beyond the head was not appended by us."""
    forged, _ = append(HEAD, content(6))
    altered = verify([*RECORDS, forged], HEAD)
    assert (altered.number, "added" in altered.why) == (6, True)


def test_a_rewritten_end_is_found() -> None:
    """Where everything after a record was chained anew, the head still tells."""
    forged, head = history([content(number, who="x" if number == 3 else "admin") for number in range(6)])
    assert (first_altered(forged), first_altered(forged, head)) == (5, None)


def test_a_history_without_its_beginning_is_found() -> None:
    """Records that were taken away at the front cannot be hidden by numbering the rest anew."""
    later = [sealed(record, number=record.number - 1) for record in RECORDS[1:]]
    assert first_altered(later) == 0


def test_two_faults_name_the_first() -> None:
    """The verification ends at the first record that is not as it was."""
    records = [replace(record, who="x") if record.number in {2, 4} else record for record in RECORDS]
    assert first_altered(records) == 2


def walk_to_doubt() -> Walk:
    """Return a verification that has found record 3 not to follow from record 2."""
    walk = Walk()
    for record in with_record(2, sealed(RECORDS[2], who="x"))[:4]:
        after = step(walk, record)
        assert isinstance(after, Walk)
        walk = after
    return walk


def test_without_a_successor_the_earlier_of_two_is_to_blame() -> None:
    """When what would tell which of two was rewritten is unreadable, missing or cut off, the first is named."""
    walk = walk_to_doubt()
    assert walk.undecided
    assert [spoilt(walk, "unreadable").number, step(walk, RECORDS[5]).number, finish(walk, HEAD).number] == [2, 2, 2]


def test_an_unreadable_record_is_named_with_its_reason() -> None:
    """What cannot be read was altered."""
    altered = spoilt(Walk(ChainHead(4, RECORDS[3].hash)), "it is no record")
    assert (altered.number, altered.why) == (4, "it is no record")


# --- records that were lost ----------------------------------------------------------------------------------------


LOST = Restored(BEGINNING, 2, 4, RECORDS[1].hash, RECORDS[3].hash)
LEFT = [record for record in RECORDS if record.number not in {2, 3}]


def test_lost_records_do_not_hide_the_others() -> None:
    """What the ledger knows to be lost may be missing, or be there again; without that knowledge it is a gap."""
    assert verify(LEFT, HEAD, (LOST,)) is None
    assert verify(RECORDS, HEAD, (LOST,)) is None
    assert verify(LEFT, HEAD).number == 2


def test_the_end_and_all_of_a_history_can_be_lost() -> None:
    """Nothing was written yet behind what was lost, or there was nothing before it."""
    assert verify(RECORDS[:4], HEAD, (Restored(BEGINNING, 4, 6, RECORDS[3].hash, RECORDS[5].hash),)) is None
    assert verify([], HEAD, (Restored(BEGINNING, 0, 6, GENESIS, HEAD.hash),)) is None
    assert verify(RECORDS[:3], HEAD, (Restored(BEGINNING, 4, 6, RECORDS[3].hash, RECORDS[5].hash),)).number == 3


def test_losses_follow_one_another() -> None:
    """Each is jumped over by itself."""
    losses = (Restored(BEGINNING, 1, 2, RECORDS[0].hash, RECORDS[1].hash), Restored(BEGINNING, 4, 4, "", ""))
    later = Restored(BEGINNING, 4, 5, RECORDS[3].hash, RECORDS[4].hash)
    left = [record for record in RECORDS if record.number not in {1, 4}]
    assert verify(left, HEAD, (*losses, later)) is None


@pytest.mark.parametrize("number", [0, 1, 4, 5])
def test_a_record_beside_lost_ones_that_was_rewritten_is_found(number: int) -> None:
    """Also the last one before them, for which no later record can vouch: the ledger knows its hash."""
    forged = replace(RECORDS[number], name="forged")
    forged = replace(forged, hash=hash_of(forged))
    records = [forged if record.number == number else record for record in LEFT]
    assert verify(records, HEAD, (LOST,)).number == number


def test_no_more_may_be_missing_than_was_lost() -> None:
    """A record that was taken away beside a loss is told."""
    assert verify([record for record in LEFT if record.number != 1], HEAD, (LOST,)).number == 1
    assert verify([record for record in LEFT if record.number != 4], HEAD, (LOST,)).number == 4
