"""Facts: what is made of stored values, good, bad and hostile."""

from __future__ import annotations

import gc
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from cluster.report import MOST_KEYS, ReportedKey
from cluster.values import LARGEST, encode_value
from coordinator.facts import FactReader
from coordinator.published import Clock, Published
from licensing.envelope import seal
from licensing.ledger import Ledger, Site, Usage
from licensing.licence import SignedLicence
from licensing.seen import Reading, Visibility
from tests.unit.coordinator.stored import (
    CHALLENGE,
    KEYS,
    NOW,
    SITE,
    TRIAL_START,
    A,
    B,
    at_rest,
    facts_of,
    forged,
    good_key,
    history,
    office,
    proving_key,
    publish,
    published_in,
    sealed,
    signed,
    stored_report,
    view_of,
)
from tests.unit.licensing.signing import AT_SITE, KEYRING, KID, VENDOR, day, licence, private_key

AT_REST = publish(at_rest())
EVERY_KEY = sorted(AT_REST)
READINGS = [KEYS.node(A), KEYS.node(B)]

NEWER = b'{"data":{},"version":2}'
GARBAGE = {
    "empty": b"",
    "not JSON": b"\x00\xff",
    "another shape": b'{"data":{"x":1},"version":1}',
    "a newer version": NEWER,
    "version of another type": b'{"data":{},"version":"1"}',
    "nested": b'{"data":' + b"[" * 5000 + b"]" * 5000 + b',"version":1}',
    "too large": b'{"data":{"x":"' + b"y" * LARGEST + b'"},"version":1}',
    "a long name quoted": b'{"data":{"' + b"z" * 500_000 + b'":1},"version":1}',
    "half a surrogate": b'{"data":{"siteId":"\\ud800"},"version":1}',
}


def test_everything_at_rest_is_read() -> None:
    """Good values decode whole, without a problem."""
    facts = facts_of(view_of(AT_REST))
    assert facts.site == Site(SITE, (A, B), TRIAL_START)
    assert facts.ledger is not None
    assert facts.ledger.in_use == "K1"
    assert facts.published is not None
    assert facts.clock == Clock(NOW, 1)
    assert (facts.problems, facts.blocking) == ((), ())
    assert [(view.node, view.visibility, [key.reading for key in view.keys]) for view in facts.views] == [
        (A, Visibility.LIVE, [Reading.OK]),
        (B, Visibility.LIVE, []),
    ]


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
@pytest.mark.parametrize("key", [KEYS.clock, KEYS.ledger, KEYS.site, KEYS.status, KEYS.usage], ids=lambda key: key[-6:])
def test_a_bad_value_is_a_problem_with_its_key_and_harms_no_other(key: str, garbage: bytes) -> None:
    """The problem names the key in few words, and only a bad ledger or site, or more than is known, stops decisions."""
    facts = facts_of(view_of(AT_REST | {key: garbage}))
    (problem,) = facts.problems
    assert problem.startswith(f"{key}: ")
    assert len(problem) < 1000
    always, of_newer = key in (KEYS.site, KEYS.ledger), garbage == NEWER and key in (KEYS.usage, KEYS.clock)
    assert facts.blocking == ((problem,) if always or of_newer else ())
    assert facts.unread == (problem if key == KEYS.status else "")
    found = {KEYS.clock: facts.clock, KEYS.ledger: facts.ledger, KEYS.site: facts.site, KEYS.status: facts.published}
    assert [name for name, value in found.items() if value is None] == [name for name in found if name == key]


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
@pytest.mark.parametrize("place", ["live", "last"])
def test_a_bad_report_makes_its_node_unknown(place: str, garbage: bytes) -> None:
    """A report that cannot be used is unknown, with its key and few words, also where an older one could be read."""
    values = dict(AT_REST)
    key = KEYS.node(A) if place == "live" else KEYS.last_seen(A)
    if place == "last":
        del values[KEYS.node(A)]
    bad, good = facts_of(view_of(values | {key: garbage})).views
    assert (bad.node, bad.visibility, bad.keys) == (A, Visibility.UNKNOWN, ())
    assert f"{key}: " in bad.problem
    assert len(bad.problem) < 1000
    assert good.visibility is Visibility.LIVE


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (stored_report(B, good_key()), "report of node node-b"),
        (stored_report(A, *(good_key(f"K{n}") for n in range(MOST_KEYS + 1))), f"{MOST_KEYS} are allowed"),
    ],
    ids=["another node's report", "more keys than a machine has sockets"],
)
def test_a_report_that_cannot_be_true_makes_its_node_unknown(value: bytes, why: str) -> None:
    """A well-formed report is refused when it is another node's, or too much for an answer."""
    unknown, other = facts_of(view_of(AT_REST | {KEYS.node(A): value})).views
    assert (unknown.visibility, other.visibility) == (Visibility.UNKNOWN, Visibility.LIVE)
    assert why in unknown.problem


def test_a_node_that_never_reported_is_unknown() -> None:
    """Silence from the start is not an empty node."""
    values = {key: value for key, value in AT_REST.items() if key not in (KEYS.node(B), KEYS.last_seen(B))}
    (_, silent) = facts_of(view_of(values)).views
    assert (silent.visibility, silent.problem) == (Visibility.UNKNOWN, "It has never reported.")


def test_a_node_whose_lease_is_over_is_stale() -> None:
    """The last report counts when the live one is gone, and says so."""
    values = {key: value for key, value in AT_REST.items() if key != KEYS.node(A)}
    stale, _ = facts_of(view_of(values)).views
    assert (stale.visibility, [key.key_id for key in stale.keys]) == (Visibility.STALE, ["K1"])


def test_a_stranger_is_named_and_does_not_count() -> None:
    """A report of a node that is no member is a problem and no view."""
    facts = facts_of(view_of(AT_REST | {KEYS.node("node-c"): stored_report("node-c", good_key("K9"))}))
    assert [view.node for view in facts.views] == [A, B]
    assert facts.problems == (f"{KEYS.node('node-c')}: reports but is not a member of this site",)
    assert facts.blocking == ()


@pytest.mark.parametrize(
    "site",
    [
        Site("site-2", (A, B), TRIAL_START),
        Site(SITE, (A, A), TRIAL_START),
        Site(SITE, ("../site-2/nodes/x",), TRIAL_START),
        Site(SITE, (A, B), day("1999-12-31")),
        Site(SITE, (A, B), day("9999-12-31")),
    ],
    ids=["another site", "a member twice", "a member that leads out of its place", "too early", "too late"],
)
def test_a_site_that_cannot_be_ours_stops_decisions(site: Site) -> None:
    """An identity that is well-formed and wrong is refused as a corrupt one is."""
    facts = facts_of(view_of(AT_REST | {KEYS.site: encode_value(site)}))
    assert (facts.site, facts.views) == (None, ())
    assert facts.blocking[0].startswith(f"{KEYS.site}: ")


HIS = signed(sealed())
LEDGERS = {
    "a licence changed after it was signed": Ledger(keys=(history(signed=forged(HIS, expires=day("2029-01-01"))),)),
    "a licence of another vendor": Ledger(
        keys=(history(signed=SignedLicence(licence(), seal(licence(), KID, private_key(9)))),)
    ),
    "a file that is none": Ledger(keys=(history(signed=msgspec.structs.replace(HIS, file=b"TWINKEY")),)),
    "another key's licence": Ledger(keys=(history("K1", signed=signed(sealed("K2"))),)),
    "a site's licence for a key": Ledger(keys=(history(signed=signed(seal(licence(binding=AT_SITE), KID, VENDOR))),)),
    "another site's licence": Ledger(
        installed=(signed(seal(licence(binding=msgspec.structs.replace(AT_SITE, site_id="site-2")), KID, VENDOR)),)
    ),
    "a key's licence for the site": Ledger(installed=(HIS,)),
    "a key in use without a history": Ledger(in_use="K1"),
    "an impossible removal": Ledger(keys=(history(out_since=day("9999-12-31")),)),
    "an impossible buffer": Ledger(keys=(history(buffer_until=day("0001-01-01")),)),
    "an impossible silence": Ledger(missing_since={A: day("0001-01-01")}),
}


@pytest.mark.parametrize("ledger", LEDGERS.values(), ids=LEDGERS)
def test_a_ledger_that_the_law_did_not_write_stops_decisions(ledger: Ledger) -> None:
    """A forged licence, another's licence and a date that leaves the calendar make the whole ledger bad."""
    facts = facts_of(view_of(AT_REST | {KEYS.ledger: encode_value(ledger)}))
    assert facts.ledger is None
    assert facts.blocking[0].startswith(f"{KEYS.ledger}: ")


def test_a_request_key_licence_of_this_site_is_good() -> None:
    """What was installed for this very site is accepted."""
    installed = signed(seal(licence(binding=AT_SITE), KID, VENDOR))
    facts = facts_of(view_of(AT_REST | {KEYS.ledger: encode_value(Ledger(installed=(installed,)))}))
    assert facts.ledger == Ledger(installed=(installed,))


def test_a_missing_ledger_is_empty_and_a_bad_one_is_none() -> None:
    """A new site remembers nothing; a ledger that cannot be read is not the same as none."""
    missing = {key: value for key, value in AT_REST.items() if key != KEYS.ledger}
    assert facts_of(view_of(missing)).ledger == Ledger()
    assert facts_of(view_of(AT_REST | {KEYS.ledger: NEWER})).ledger is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (KEYS.usage, Usage(day("9999-12-31"), hosts=1)),
        (KEYS.clock, Clock(day("9999-12-31"), 3)),
        (KEYS.status, msgspec.structs.replace(published_in(AT_REST), as_of=day("1999-01-01"))),
        (KEYS.status, msgspec.structs.replace(published_in(AT_REST), site_id="site-2")),
    ],
    ids=["usage from the future", "clock from the future", "answer of the past", "answer of another site"],
)
def test_what_cannot_be_is_a_problem_that_stops_nothing(key: str, value: Any) -> None:
    """A value with an impossible date, or of another site, is left out and named."""
    facts = facts_of(view_of(AT_REST | {key: encode_value(value)}))
    assert facts.problems[0].startswith(f"{key}: ")
    assert facts.blocking == ()


def test_usage_is_part_of_what_the_law_sees() -> None:
    """Usage has a key of its own and joins the ledger when facts are read."""
    usage = Usage(NOW, hosts=3)
    facts = facts_of(view_of(AT_REST | {KEYS.usage: encode_value(usage)}))
    assert facts.ledger is not None
    assert facts.ledger.usage == usage


# --- an agent's word -----------------------------------------------------------------------------------------------

PROVEN = proving_key()
PROOF = PROVEN.proof or b""


@pytest.mark.parametrize(
    ("key", "reading"),
    [
        (good_key(), Reading.OK),
        (PROVEN, Reading.OK),
        (replace(PROVEN, challenge=None, proof=None), Reading.NOT_GENUINE),
        (replace(PROVEN, challenge=None, proof=None, assurance="proven"), Reading.NOT_GENUINE),
        (replace(PROVEN, proof=PROOF[:-1]), Reading.NOT_GENUINE),
        (replace(PROVEN, challenge=replace(CHALLENGE, random=bytes(32))), Reading.NOT_GENUINE),
        (proving_key(replace(CHALLENGE, site_id="another-site")), Reading.NOT_GENUINE),
        (ReportedKey("K2", Reading.OK, licence_file=sealed("K1")), Reading.NOT_GENUINE),
        (ReportedKey("K1", Reading.OK, licence_file=seal(licence(binding=AT_SITE), KID, VENDOR)), Reading.NOT_GENUINE),
        (ReportedKey("K1", Reading.OK, licence_file=seal(licence(), KID, private_key(9))), Reading.FAULTY),
        (ReportedKey("K1", Reading.OK, licence_file=sealed()[:-5]), Reading.FAULTY),
        (ReportedKey("K1", Reading.OK), Reading.FAULTY),
        (ReportedKey("K1", Reading.FAULTY, "broken", licence_file=sealed()), Reading.FAULTY),
        (ReportedKey("K1", Reading.PENDING, read_by=NOW), Reading.PENDING),
        (ReportedKey("K1", Reading.PENDING), Reading.FAULTY),
    ],
    ids=[
        "plain",
        "proven",
        "no proof",
        "proof by word of mouth",
        "cut proof",
        "proof of another challenge",
        "challenge of another site",
        "another key's licence",
        "a site's licence",
        "not the vendor's",
        "cut short",
        "nothing in it",
        "bad by its own word",
        "being read",
        "being read for ever",
    ],
)
def test_an_agents_word_counts_for_nothing(key: ReportedKey, reading: Reading) -> None:
    """What a key holds and proved is judged again; only a genuine key carries a licence."""
    view, _ = facts_of(view_of(AT_REST | {KEYS.node(A): stored_report(A, key)})).views
    (judged,) = view.keys
    assert (view.visibility, judged.reading) == (Visibility.LIVE, reading)
    assert (judged.licence is not None) == (reading is Reading.OK)
    assert bool(judged.reason) == (reading in (Reading.FAULTY, Reading.NOT_GENUINE))
    assert judged.proved == (CHALLENGE if key is PROVEN else None)


def test_what_a_hostile_node_says_stays_small() -> None:
    """However much one report says, the answer can still be stored."""
    keys = [ReportedKey(f"{n:x<256}", Reading.PENDING, "\U0001f511" * 40_000, read_by=NOW) for n in range(4)]
    keys += [ReportedKey(f"{n:y<256}", Reading.FAULTY, "\x01" * 900) for n in range(MOST_KEYS - 4)]
    values = AT_REST | {KEYS.node(A): stored_report(A, *keys, name="n" * 50_000)}
    assert len(publish(values)[KEYS.status]) < LARGEST // 4


# --- remembering ---------------------------------------------------------------------------------------------------


def test_a_value_is_decoded_once_until_it_is_written_again() -> None:
    """The same revision gives the very same value; a later one is read anew, and a bad one heals."""
    reader = FactReader(KEYS, KEYRING)
    first, again = reader.read(view_of(AT_REST, 7)), reader.read(view_of(AT_REST, 7))
    assert first.site is again.site
    assert first.views[0].keys is again.views[0].keys
    for _ in range(2):
        assert reader.read(view_of(AT_REST | {KEYS.site: NEWER}, 8)).blocking
    assert not reader.read(view_of(AT_REST, 9)).blocking


def test_the_same_view_gives_the_same_facts() -> None:
    """All tasks of a coordinator look at one view, and what it says is made once."""
    reader, view = FactReader(KEYS, KEYRING), view_of(AT_REST)
    first = reader.read(view)
    assert reader.read(view) is first
    assert reader.read(view_of(AT_REST | {KEYS.node(A): stored_report(A)})).views[0].keys == ()


def test_a_licence_that_the_ledger_holds_is_not_verified_again_when_its_key_is_plugged_in() -> None:
    """A key that comes back brings a file that is known to be the vendor's; what it must prove it proves anew."""
    reader = FactReader(KEYS, KEYRING)
    reader.read(view_of(AT_REST | {KEYS.node(A): stored_report(A)}, 7))
    facts = reader.read(view_of(AT_REST, 7))
    assert facts.views[0].keys[0].licence.licence is facts.ledger.keys[0].signed.licence
    foreign = replace(good_key(), key_id="K2")
    (key,) = reader.read(view_of(AT_REST | {KEYS.node(A): stored_report(A, foreign)}, 9)).views[0].keys
    assert key.reading is Reading.NOT_GENUINE


def test_a_restored_store_that_uses_a_revision_again_is_read_anew() -> None:
    """The same revision with other bytes is another value."""
    reader = FactReader(KEYS, KEYRING)
    reader.read(view_of(AT_REST, 7))
    facts = reader.read(view_of(AT_REST | {KEYS.node(A): stored_report(A)}, 7))
    assert facts.views[0].keys == ()


def test_a_bad_value_that_is_read_a_thousand_times_holds_on_to_nothing() -> None:
    """Reading a bad value again and again keeps no old view alive."""
    reader = FactReader(KEYS, KEYRING)
    bad = AT_REST | {KEYS.node(A): NEWER, KEYS.ledger: NEWER}
    reader.read(view_of(bad))
    gc.collect()
    before = len(gc.get_objects())
    for _ in range(1000):
        reader.read(view_of(bad))
    gc.collect()
    assert len(gc.get_objects()) - before < 500


def test_what_is_gone_is_forgotten() -> None:
    """A key that left the store leaves the reader's memory, so that it does not grow for ever."""
    reader = FactReader(KEYS, KEYRING)
    reader.read(view_of(AT_REST))
    reader.read(view_of({}))
    assert reader._known == {}


# --- anything at all -----------------------------------------------------------------------------------------------


def _mutations(values: dict[str, bytes]) -> st.SearchStrategy[dict[str, bytes]]:
    anything = st.one_of(
        st.binary(max_size=200),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just(list(values)),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
            max_leaves=8,
        ).map(lambda data: json.dumps({"data": data, "version": 1}, separators=(",", ":"), sort_keys=True).encode()),
    )
    damaged = st.sampled_from(EVERY_KEY).flatmap(
        lambda key: st.tuples(st.integers(0, max(len(values[key]) - 1, 0)), st.binary(min_size=0, max_size=3)).map(
            lambda cut: {key: values[key][: cut[0]] + cut[1] + values[key][cut[0] + len(cut[1]) or 1 :]}
        )
    )
    swapped = st.tuples(st.sampled_from(EVERY_KEY), st.sampled_from(EVERY_KEY)).map(
        lambda two: {two[0]: values[two[1]]}
    )
    replaced = st.dictionaries(st.sampled_from(EVERY_KEY), anything, min_size=1, max_size=3)
    return st.one_of(replaced, damaged, swapped)


@settings(max_examples=300, deadline=None)
@given(change=_mutations(AT_REST))
def test_no_bytes_in_any_key_raise_or_make_a_key_genuine(change: dict[str, bytes]) -> None:
    """Whatever stands anywhere, facts are read, and no licence counts that the vendor did not sign for that key."""
    facts = facts_of(view_of(AT_REST | change))
    for view in facts.views:
        assert view.visibility is not Visibility.UNKNOWN or view.problem
        for key in view.keys:
            assert (key.licence is not None) == (key.reading is Reading.OK)
            if key.licence is not None:
                assert (key.key_id, key.licence.file) == ("K1", sealed())


def test_the_answer_of_another_epoch_is_still_read() -> None:
    """Revisions count in 64 bits, and so does an epoch."""
    values = publish(at_rest(), term=office(epoch=2**40))
    assert isinstance(published_in(values), Published)
    assert published_in(values).epoch == 2**40
