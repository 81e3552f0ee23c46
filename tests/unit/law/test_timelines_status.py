"""Named timelines, values by hand: the trial, the choice between licences, quotas, alerts, and refused installs."""

from __future__ import annotations

import pytest

from tests.unit.law.playing import KEYS, after, licence, run_story, timeline, told

TRIAL = "Basic Edition - Trial"


def test_the_trial_starts_by_itself_and_runs_thirty_days() -> None:
    """It needs no file, ends to the second, and stays as an expired licence."""
    assert told(after("0d observe", licences=[])) == f"None, {TRIAL} Valid"
    assert told(after("30d-1s observe", licences=[])) == f"None, {TRIAL} Valid"
    over = after("30d observe", licences=[])
    assert told(over) == f"None, {TRIAL} Expired"
    assert over["license"]["expires"] == "2026-01-31T00:00:00Z"


def test_the_trial_is_for_one_host() -> None:
    """One host is fine, two are over the quota."""
    assert not after("1d usage hosts=1")["restricted"]
    two = after("1d usage hosts=2")
    assert (two["restricted"], two["startAllowed"], two["alerts"]) == (True, False, ["quota-exceeded"])


@pytest.mark.parametrize("ending", [("1d install R1",), ("1d plug a R1key",)])
def test_any_licence_ends_the_trial_for_good(ending: tuple[str, ...]) -> None:
    """After the licence has expired the trial does not come back, though its thirty days still run."""
    papers = [licence("R1", expires="5d"), licence("KEY", "R1key", expires="5d")]
    line = after(*ending, "6d observe", licences=papers)
    assert line["license"]["name"] != TRIAL
    assert line["license"]["status"] == "Expired"


def test_a_key_without_a_valid_licence_does_not_end_the_trial() -> None:
    """An unreadable key and one with an expired licence leave the trial in force."""
    papers = [licence("OLD", "OLD", expires="1d")]
    assert told(after("2d plug a X", "3d observe", licences=papers)) == f"Fault, {TRIAL} Valid"
    assert told(after("2d plug a OLD", "3d observe", licences=papers)) == f"Ready, {TRIAL} Valid"


def test_a_licence_is_valid_until_its_expiry() -> None:
    """Valid one second before, Expired at the instant itself; expired restricts, and still lets nodes start."""
    papers = [licence("R1", expires="100d")]
    assert told(after("1d install R1", "100d-1s observe", licences=papers)) == "None, R1 Valid"
    over = after("1d install R1", "100d observe", licences=papers)
    assert told(over) == "None, R1 Expired"
    assert (over["restricted"], over["startAllowed"], over["alerts"]) == (True, True, ["expired"])


@pytest.mark.parametrize(
    ("when", "alerts"), [("85d", []), ("85d+1s", ["expiring"]), ("100d-1s", ["expiring"]), ("100d", ["expired"])]
)
def test_to_expire_is_less_than_fifteen_days(when: str, alerts: list[str]) -> None:
    """With fifteen days left exactly there is no alert yet."""
    assert after("1d install R1", f"{when} observe", licences=[licence("R1", expires="100d")])["alerts"] == alerts


@pytest.mark.parametrize(("when", "alerts"), [("60d-1s", []), ("60d", ["service-expiring"])])
def test_service_to_end_is_within_thirty_days(when: str, alerts: list[str]) -> None:
    """With thirty days left exactly the alert is there; the licence's own expiry is another matter."""
    papers = [licence("R1", service="90d")]
    assert after("1d install R1", f"{when} observe", licences=papers)["alerts"] == alerts


@pytest.mark.parametrize(
    ("when", "alerts"),
    [("25d", {"key-missing"}), ("25d+1s", {"key-missing", "buffer-ending"}), ("32d", {"key-missing", "expired"})],
)
def test_a_buffer_ends_soon_below_seven_days(when: str, alerts: set[str]) -> None:
    """A buffer has an alert of its own, from less than seven days left until its end."""
    assert set(after("1d plug a K1", "2d unplug a K1", f"{when} observe")["alerts"]) == alerts


def test_to_expire_looks_at_the_licences_own_expiry() -> None:
    """A buffer near its end does not make the licence one that is to expire, nor does it hide that it is."""
    pulled = ("1d plug a K1", "2d unplug a K1")
    assert "expiring" not in after(*pulled, "31d observe")["alerts"]
    assert "expiring" in after(*pulled, "4d observe", licences=[licence("K1", "K1", expires="18d")])["alerts"]


@pytest.mark.parametrize(
    ("deed", "alerts"),
    [("unplug a K1", ["key-missing"]), ("plug b K2", ["key-abnormal"]), ("plug a K2", ["key-fault"])],
)
def test_the_state_of_the_key_has_an_alert_at_once(deed: str, alerts: list[str]) -> None:
    """The alert does not wait for the settling time."""
    assert after("1d plug a K1", f"2d {deed}")["alerts"] == alerts


@pytest.mark.parametrize("unit", ["hosts", "cpuSockets", "cpuCores"])
def test_usage_above_any_licensed_unit_restricts(unit: str) -> None:
    """Usage equal to the quota is fine; one more restricts and forbids a start; less lifts both."""
    papers = [licence("R1", quota={unit: 8})]
    fine = after("1d install R1", f"2d usage {unit}=8", licences=papers)
    assert (fine["restricted"], fine["startAllowed"]) == (False, True)
    over = after("1d install R1", f"2d usage {unit}=9", licences=papers)
    assert (over["restricted"], over["startAllowed"], over["alerts"]) == (True, False, ["quota-exceeded"])
    assert not after("1d install R1", f"2d usage {unit}=9", f"3d usage {unit}=8", licences=papers)["restricted"]


def test_a_unit_absent_from_the_licence_is_unlimited() -> None:
    """Only licensed units are counted."""
    papers = [licence("R1", quota={"cpuSockets": 4})]
    assert not after("1d install R1", "2d usage hosts=9000 cpuCores=9000", licences=papers)["restricted"]


def test_a_report_that_omits_a_unit_keeps_its_value() -> None:
    """And a report older than a day still counts."""
    papers = [licence("R1", quota={"hosts": 2, "cpuCores": 8})]
    line = after("1d install R1", "2d usage cpuCores=9", "3d usage hosts=1", "30d observe", licences=papers)
    assert line["alerts"] == ["quota-exceeded"]


def test_the_buffer_keeps_the_quota_of_the_key() -> None:
    """Over quota stays over quota while the buffer runs."""
    line = after("1d plug a K1", "2d usage hosts=11", "3d unplug a K1", "4d observe")
    assert told(line) == "Missing, K1 Valid, buffer 33d"
    assert not line["startAllowed"]


def test_a_licence_below_todays_usage_is_installed_then_restricts() -> None:
    """The smaller quota counts from the moment of the install."""
    papers = [licence("R1"), licence("R2", issued="-1d", quota={"hosts": 2})]
    line = after("1d install R1", "2d usage hosts=3", "3d install R2", licences=papers)
    assert (line["license"]["name"], line["restricted"], line["startAllowed"]) == ("R2", True, False)


def test_the_newest_issue_date_is_in_force_among_valid_licences() -> None:
    """The order of the installs does not matter."""
    papers = [licence("R1", issued="-30d"), licence("R2", issued="-20d")]
    for first, second in (("R1", "R2"), ("R2", "R1")):
        line = after(f"1d install {first}", f"2d install {second}", licences=papers)
        assert told(line) == "None, R2 Valid"


def test_a_valid_licence_beats_an_expired_newer_one() -> None:
    """The older licence is in force again from the expiry of the newer."""
    papers = [licence("R1", issued="-30d"), licence("R2", issued="-20d", expires="50d")]
    both = ("1d install R1", "2d install R2")
    assert told(after(*both, "50d-1s observe", licences=papers)) == "None, R2 Valid"
    assert told(after(*both, "50d observe", licences=papers)) == "None, R1 Valid"


def test_the_newest_licence_of_a_key_replaces_the_others() -> None:
    """A licence installed for a key takes the place of the one that is preloaded on it, also when it is shorter."""
    papers = [licence("K1", "K1", issued="-30d"), licence("SHORT", "K1", issued="-20d", expires="50d")]
    both = ("1d plug a K1", "2d install SHORT")
    assert told(after(*both, "50d-1s observe", licences=papers)) == "Ready, SHORT Valid"
    assert told(after(*both, "50d observe", licences=papers)) == "Ready, SHORT Expired"


def test_an_inserted_keys_licence_beats_a_newer_request_key_licence() -> None:
    """Whatever the issue dates; quotas are not summed."""
    papers = [*KEYS, licence("R1", issued="-1d", quota={"hosts": 50})]
    line = after("1d install R1", "2d plug a K1", "3d usage hosts=11", licences=papers)
    assert told(line) == "Ready, K1 Valid"
    assert line["restricted"]


def test_an_expired_keys_licence_yields_to_a_valid_request_key_licence() -> None:
    """Validity comes before everything else."""
    papers = [licence("K1", "K1", expires="20d"), licence("R1", issued="-300d")]
    assert told(after("1d plug a K1", "2d install R1", "20d observe", licences=papers)) == "Ready, R1 Valid"


def test_a_removed_key_yields_to_a_newer_request_key_licence_when_it_settles() -> None:
    """Until the removal has settled the licence is unchanged; a request-key licence needs no buffer."""
    papers = [*KEYS, licence("R1", issued="-1d")]
    pulled = ("1d install R1", "1d plug a K1", "2d unplug a K1")
    assert told(after(*pulled, "2d+59s observe", licences=papers)) == "Missing, K1 Valid"
    assert told(after(*pulled, "2d+60s observe", licences=papers)) == "Missing, R1 Valid"


def test_a_request_key_licence_takes_over_when_the_buffer_is_over() -> None:
    """An older one waits until the licence of the removed key cannot be used."""
    papers = [*KEYS, licence("R1", issued="-300d")]
    pulled = ("1d install R1", "1d plug a K1", "2d unplug a K1")
    assert told(after(*pulled, "32d-1s observe", licences=papers)) == "Missing, K1 Valid, buffer 32d"
    assert told(after(*pulled, "32d observe", licences=papers)) == "Missing, R1 Valid"


def test_an_expired_licence_is_refused() -> None:
    """Installing it changes nothing: not even the trial ends."""
    papers = [licence("R1", expires="5d")]
    assert told(after("5d install R1", licences=papers)) == f"None, {TRIAL} Valid"


def test_a_licence_for_a_key_that_is_not_inserted_is_refused() -> None:
    """It is accepted once the key is in."""
    papers = [licence("K1", "K1"), licence("MORE", "K1", issued="-1d", quota={"hosts": 50})]
    assert told(after("1d install MORE", licences=papers)) == f"None, {TRIAL} Valid"
    assert told(after("1d plug a K1", "2d install MORE", licences=papers)) == "Ready, MORE Valid"
    pulled = ("1d plug a K1", "2d unplug a K1", "3d install MORE", "4d plug a K1")
    assert told(after(*pulled, licences=papers)) == "Ready, K1 Valid"


def test_the_same_licence_again_changes_nothing() -> None:
    """The second install prints the line of the first."""
    papers = [licence("R1")]
    first, second = run_story(timeline("1d install R1", "1d install R1", licences=papers))
    assert first == second


def test_a_line_has_exactly_the_promised_fields() -> None:
    """One line per event, with the names of the contract."""
    lines = run_story(timeline("1d observe", "2d plug a K1"))
    assert [line["at"] for line in lines] == ["2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z"]
    assert lines[1] == {
        "at": "2026-01-03T00:00:00Z",
        "keyState": "Ready",
        "license": {"name": "K1", "status": "Valid", "expires": "2027-02-05T00:00:00Z"},
        "buffer": None,
        "alerts": [],
        "restricted": False,
        "startAllowed": True,
    }
