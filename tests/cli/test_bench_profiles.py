"""What `kw bench load` calls good, and why it calls the rest bad."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilowatch.cli.bench.profiles import P95_MOST_MS, PROFILES, Result, rows_of

counts = st.integers(0, 100_000)


def result(
    planned: int = 50_000, attempted: int = 50_000, accepted: int = 50_000, p95: float = 12.0
) -> Result:
    errors = {"5xx": attempted - accepted} if attempted > accepted else {}
    return Result("single", 10_000, 1, 300.0, planned, attempted, accepted, errors, 5.0, p95)


def test_the_profiles_are_those_that_were_promised() -> None:
    assert [(one.per_minute, one.batch) for one in PROFILES] == [(10_000, 1), (100_000, 100)]
    assert PROFILES[1].times(30).per_minute == 3_000_000


@given(planned=counts, attempted=counts, refused=counts, p95=st.floats(0, 10_000))
def test_a_load_is_good_only_if_all_was_kept(planned: int, attempted: int, refused: int, p95: float) -> None:
    accepted = max(0, attempted - refused)
    one = result(planned, attempted, accepted, p95)
    was_taken = 0 < attempted * 99 <= accepted * 100
    kept_pace = attempted * 100 >= planned * 99
    assert one.as_document()["passed"] == (was_taken and kept_pace and p95 <= P95_MOST_MS)


@pytest.mark.parametrize(
    ("judged", "fault"),
    [
        (result(accepted=49_000), "success 98.00% < 99%"),
        (result(p95=1_501.0), "p95 1,501 ms > 1,500 ms"),
        (result(attempted=40_000, accepted=40_000), "only 80.0% of the pace was reached"),
    ],
)
def test_the_verdict_says_what_was_missed(judged: Result, fault: str) -> None:
    assert judged.faults == [fault]
    shown = rows_of({"profiles": [judged.as_document()], "beyond": [result().as_document()]})
    text = "\n".join(cell for _, cell in shown)
    assert f"[red]failed: {fault}[/red]" in text
    assert "[green]passed[/green]" in text
