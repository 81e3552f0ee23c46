"""What of a change of the ledger becomes a record: everything that concerns authorisation, and nothing else."""

from __future__ import annotations

from msgspec.structs import replace

from licensing.decide import decide
from licensing.history import SYSTEM, Cause, contents_of
from licensing.install import Circumstances, Installed, install, remove, synchronise
from licensing.ledger import Ledger
from licensing.licence import SignedLicence
from licensing.policy import Policy
from licensing.presence import observe
from licensing.records import Action, Content, ManagementType, verify
from licensing.seen import NodeView
from licensing.status import Validity
from licensing.value import Time
from tests.history import history
from tests.unit.licensing.asked import NEXT_YEAR, NOW, SITE, asked
from tests.unit.licensing.signing import day
from tests.unit.licensing.sites import DAY, HOUR, SECOND, live, signed, stale, works

ADMIN = Cause("admin", "node-b")
HERE = Cause()


def nodes(*views: NodeView) -> tuple[NodeView, ...]:
    """Return both members of the site, of which some are told."""
    told = {view.node: view for view in views}
    return tuple(told.get(node, live(node)) for node in SITE.members)


class Kept:
    """A site that keeps its history, as the leader does: every step is one decision and what is recorded of it."""

    def __init__(self, policy: Policy | None = None) -> None:
        self.policy = policy or Policy()
        self.ledger = Ledger()
        self.contents: list[Content] = []

    def sees(self, now: Time, *views: NodeView) -> list[Content]:
        """Decide on what is seen; return what is recorded of it."""
        return self._decides(self.ledger, now, HERE, *views)

    def installs(self, each: SignedLicence, now: Time, *views: NodeView) -> list[Content]:
        """Install a licence in the administrator's name for node a."""
        presence = observe(nodes(*views), self.ledger, now, self.policy)
        told = replace(each, uploaded_at=now, node="node-a", who=ADMIN.who)
        done = install(told, self.ledger, Circumstances(SITE, presence, ("node-a", "node-b"), now))
        assert isinstance(done, Installed), done
        return self._decides(done.ledger, now, ADMIN, *views)

    def removes(self, licence_id: str, now: Time, *views: NodeView) -> list[Content]:
        """Remove a licence in the administrator's name."""
        done = remove(licence_id, self.ledger)
        assert isinstance(done, Installed), done
        return self._decides(done.ledger, now, ADMIN, *views)

    def synchronises(self, now: Time, *views: NodeView) -> list[Content]:
        """Synchronise in the administrator's name."""
        presence = observe(nodes(*views), self.ledger, now, self.policy)
        return self._decides(synchronise(self.ledger, presence, now), now, ADMIN, *views)

    def _decides(self, ledger: Ledger, now: Time, cause: Cause, *views: NodeView) -> list[Content]:
        after = decide(SITE, nodes(*views), ledger, now, self.policy).ledger
        told = list(contents_of(SITE, self.ledger, after, now, cause))
        self.contents += told
        records, head = history(self.contents)
        assert verify(records, head) is None
        self.ledger = replace(after, record_count=head.count, record_hash=head.hash)
        return told


def licensed() -> Kept:
    """Return a site with a licence of its own."""
    site = Kept()
    site.installs(asked(), NOW)
    return site


def keyed() -> Kept:
    """Return a site with a key in node a."""
    site = Kept()
    site.sees(NOW, live("node-a", works("K1")))
    return site


def said(contents: list[Content]) -> list[tuple[Action, str, str, str, Validity]]:
    """Return what happened to which licence, by whom and where, and its status."""
    return [(each.action, each.licence_id, each.who, each.node, each.status) for each in contents]


def actions(contents: list[Content]) -> list[Action]:
    """Return what happened."""
    return [each.action for each in contents]


VALID = Validity.VALID


def test_the_beginning_and_the_end_of_the_trial_are_recorded() -> None:
    """Also where one change brings both; the trial is a built-in licence that nobody installed."""
    contents = Kept().installs(asked(), NOW)
    assert said(contents) == [
        (Action.TRIAL_STARTED, "trial-site-1", SYSTEM, "", VALID),
        (Action.INSTALLED, "L-1", "admin", "node-a", VALID),
        (Action.TRIAL_ENDED, "trial-site-1", SYSTEM, "", VALID),
    ]
    assert [each.management_type for each in contents] == [
        ManagementType.BUILT_IN,
        ManagementType.REQUEST_KEY,
        ManagementType.BUILT_IN,
    ]


def test_a_replacement_names_what_it_replaced() -> None:
    """One record says both."""
    contents = licensed().installs(asked("n-2", licence_id="L-2", sequence=2), NOW + DAY)
    assert said(contents) == [(Action.INSTALLED, "L-2", "admin", "node-a", VALID)]
    assert (contents[0].replaced, contents[0].upload_date) == ("L-1", NOW + DAY)


def test_a_deletion_is_recorded_under_who_gave_the_order_and_where() -> None:
    """Nobody else can delete."""
    assert said(licensed().removes("L-1", NOW + DAY)) == [(Action.DELETED, "L-1", "admin", "node-b", VALID)]


def test_a_licence_that_waits_is_recorded_when_it_comes_and_when_it_begins() -> None:
    """It is not valid when it comes, and the old one is replaced when it begins."""
    site = licensed()
    came = site.installs(asked("n-2", **NEXT_YEAR), NOW + DAY)
    assert said(came) == [(Action.INSTALLED, "L-2", "admin", "node-a", Validity.EXPIRED)]
    assert came[0].replaced is None
    assert "waits" in came[0].sentence
    began = site.sees(day("2027-01-01"))
    assert said(began) == [(Action.TAKEN_OVER, "L-2", SYSTEM, "node-a", VALID)]
    assert began[0].replaced == "L-1"


def test_deleting_the_running_licence_while_another_waits_is_a_deletion() -> None:
    """The one that waits has not taken its place."""
    site = licensed()
    site.installs(asked("n-2", **NEXT_YEAR), NOW + DAY)
    assert said(site.removes("L-1", NOW + 2 * DAY)) == [(Action.DELETED, "L-1", "admin", "node-b", VALID)]


def test_a_keys_renewal_is_recorded_when_it_comes_and_when_it_begins() -> None:
    """The same for a licence of a USB key."""
    site, seen = keyed(), live("node-a", works("K1"))
    came = site.installs(signed("K1", **(NEXT_YEAR | {"licence_id": "K1-2"})), NOW + DAY, seen)
    assert said(came) == [(Action.INSTALLED, "K1-2", "admin", "node-a", Validity.EXPIRED)]
    began = site.sees(day("2027-01-01"), seen)
    assert said(began) == [(Action.TAKEN_OVER, "K1-2", SYSTEM, "node-a", VALID)]
    assert began[0].replaced == "K1"


def test_a_key_that_is_synchronised_by_itself_is_recorded() -> None:
    """Its first use ends the trial."""
    contents = Kept().sees(NOW, live("node-a", works("K1")))
    assert said(contents)[1:] == [
        (Action.SYNCHRONISED, "K1", SYSTEM, "node-a", VALID),
        (Action.TRIAL_ENDED, "trial-site-1", SYSTEM, "", VALID),
    ]
    assert (contents[1].management_type, contents[1].key_id) == (ManagementType.USB_KEY, "K1")


def test_a_key_that_somebody_synchronised_is_recorded_under_them() -> None:
    """Where keys are not synchronised by themselves."""
    site, seen = Kept(Policy(auto_synchronize=False)), live("node-a", works("K1"))
    assert actions(site.sees(NOW, seen)) == [Action.TRIAL_STARTED]
    told = site.synchronises(NOW + HOUR, seen)
    assert said(told)[0] == (Action.SYNCHRONISED, "K1", "admin", "node-a", VALID)
    assert actions(told) == [Action.SYNCHRONISED, Action.TRIAL_ENDED]
    assert site.synchronises(NOW + 2 * HOUR, seen) == []


def test_a_key_that_comes_by_itself_is_not_recorded_under_who_does_something_else() -> None:
    """One decision may hold an order and what happened by itself."""
    told = licensed().removes("L-1", NOW + DAY, live("node-a", works("K1")))
    assert [each[:3] for each in said(told)] == [
        (Action.DELETED, "L-1", "admin"),
        (Action.SYNCHRONISED, "K1", SYSTEM),
    ]


def test_an_upload_for_a_key_is_recorded_under_who_uploaded_it() -> None:
    """And names the licence of the key that it replaced."""
    newer = signed("K1", licence_id="K1-2", sequence=2)
    contents = keyed().installs(newer, NOW + DAY, live("node-a", works("K1")))
    assert said(contents) == [(Action.INSTALLED, "K1-2", "admin", "node-a", VALID)]
    assert contents[0].replaced == "K1"


def test_a_removal_is_recorded_when_it_settles_with_the_rule_that_it_met() -> None:
    """The first one grants a buffer, one soon after grants none, and each return is told."""
    site, seen, settle = keyed(), live("node-a", works("K1")), Policy().removal_settle
    assert site.sees(NOW + DAY) == []
    first = site.sees(NOW + DAY + settle)
    assert said(first) == [(Action.BUFFER_GRANTED, "K1", SYSTEM, "node-a", VALID)]
    assert "30 days" in first[0].sentence
    assert said(site.sees(NOW + 2 * DAY, seen)) == [(Action.KEY_RETURNED, "K1", SYSTEM, "node-a", VALID)]
    site.sees(NOW + 3 * DAY)
    second = site.sees(NOW + 3 * DAY + settle)
    assert actions(second) == [Action.KEY_REMOVED]
    assert "previous buffer" in second[0].sentence


def test_a_key_that_is_back_before_its_removal_settled_leaves_no_record() -> None:
    """Nothing came of it."""
    site = keyed()
    assert site.sees(NOW + DAY) == []
    assert site.sees(NOW + DAY + SECOND, live("node-a", works("K1"))) == []


def test_another_key_that_takes_over_is_recorded() -> None:
    """Its licence is installed and takes the place of the removed one."""
    site = keyed()
    site.sees(NOW + DAY)
    site.sees(NOW + 2 * DAY)
    told = site.sees(NOW + 3 * DAY, live("node-a", works("K2")))
    assert actions(told) == [Action.SYNCHRONISED, Action.TAKEN_OVER]
    assert "K1" in told[1].sentence


def test_a_known_key_that_comes_into_use_later_is_recorded() -> None:
    """A key that was synchronised in Fault is used only when that is over."""
    site, fault = Kept(Policy(auto_synchronize=False)), live("node-a", works("K1"), works("K2"))
    site.synchronises(NOW, fault)
    told = site.sees(NOW + DAY, live("node-a", works("K1")))
    assert said(told)[0][:2] == (Action.TAKEN_OVER, "K1")


def test_what_does_not_concern_authorisation_is_no_record() -> None:
    """A node that is missing and usage are remembered and not recorded."""
    site = licensed()
    before = site.ledger
    assert site.sees(NOW + HOUR, stale("node-b")) == []
    assert site.ledger != before
