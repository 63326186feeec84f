"""The rules that books must keep, one by one."""

import math
from typing import Any

import pytest

from kilowatch.telemetry.ledger import (
    Account,
    Messages,
    account_faults,
    kept_faults,
    message_faults,
    repeated_faults,
    tier_faults,
)

NAMES = {1: "demo/D1", 2: "demo/D2"}
GOOD = Account(7, 1, 10, accepted=20, stored=15, replaced=2, repeats=4, dead_letters=1, forgotten=3)


def row(**changed: Any) -> dict[str, Any]:
    same = {"series_no": 1, "count": 5, "finer_count": 5, "sum": 7.5, "finer_sum": 7.5}
    return same | {"covered_us": 0, "finer_covered_us": 0, "largest": 4.0} | changed


def test_accepted_is_stored_repeats_and_dead_letters() -> None:
    assert account_faults([GOOD], NAMES) == []
    (fault,) = account_faults([GOOD, Account(7, 2, 10, 20, 15, 0, 4, 0, 0, unbalanced=1)], NAMES)
    assert (fault.check, fault.where) == ("ledger", "key 7, demo/D2")
    assert fault.detail == "accepted 20, accounted for 19, in 1 rows"


def test_two_rows_whose_errors_cancel_are_a_fault() -> None:
    assert account_faults([Account(7, 1, 10, 20, 15, 0, 4, 1, 0, unbalanced=2)], NAMES)


def test_roll_ups_hold_what_is_stored_not_replaced_and_not_forgotten() -> None:
    other_key = Account(8, 1, 1, 1, 1, 0, 0, 0, 0)
    assert kept_faults([GOOD, other_key], {1: 11}, NAMES) == []
    (fault,) = kept_faults([GOOD, other_key], {1: 12}, NAMES)
    assert fault.detail == "11 stored, 12 in the roll-ups"
    (fault,) = kept_faults([], {2: 1}, NAMES)
    assert fault.where == "demo/D2"


def test_devices_that_are_gone_are_nobody_s_fault() -> None:
    assert kept_faults([Account(7, 99, 1, 1, 1, 0, 0, 0, 0)], {}, NAMES) == []


@pytest.mark.parametrize(
    "changed",
    [{"finer_count": 4}, {"sum": 7.6}, {"covered_us": 1}, {"largest": math.nan, "sum": 7.5 + 1e-9}],
)
def test_tiers_that_differ_are_faults(changed: dict[str, Any]) -> None:
    (fault,) = tier_faults("1h", "rollups_15m", [row(**changed)], NAMES)
    assert (fault.check, fault.where) == ("tiers", "demo/D1, 1h against rollups_15m")


def test_another_order_of_adding_is_no_difference() -> None:
    values = [0.1 * k for k in range(5)]
    there, back = sum(values), sum(reversed(values))
    assert tier_faults("1h", "rollups_15m", [row(sum=there, finer_sum=back)], NAMES) == []


def test_energy_beyond_whole_doubles_may_differ_by_rounding_and_no_more() -> None:
    there = row(largest=math.nan, sum=15_218_819_532_383_318.0, finer_sum=15_218_819_532_383_320.0)
    assert tier_faults("1h", "rollups_15m", [there], NAMES) == []
    less = row(largest=math.nan, sum=there["sum"], finer_sum=there["sum"] - 1e6)
    assert len(tier_faults("1h", "rollups_15m", [less], NAMES)) == 1


def test_a_moment_stored_twice_is_a_fault() -> None:
    assert repeated_faults([], NAMES) == []
    (fault,) = repeated_faults([{"series_no": 1, "times": 3}], NAMES)
    assert fault.detail == "3 moments are stored twice"


def test_every_message_is_counted_or_waits() -> None:
    assert message_faults(Messages(counted=8, waiting=3, settled=1, last_sequence=10)) == []
    assert "1 messages are neither" in message_faults(Messages(7, 3, 1, 10))[0].detail
    assert "2 messages are counted twice" in message_faults(Messages(10, 3, 1, 10))[0].detail
