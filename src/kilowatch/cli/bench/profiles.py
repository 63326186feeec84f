"""`kw bench load`: two steady loads for some minutes, judged by what was promised for them; then far more.

`single`: 10,000 readings a minute, one a request; `batch`: 100,000 a minute, 100 a request. Promised: of what
is sent at least 99 % is accepted, and 95 % of the answers come within 1,500 ms of when their request was due.
Keeps true: a load that the client itself did not keep up with is not called good.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.progress import Progress

from kilowatch.cli.bench.client import Client, Outcome
from kilowatch.cli.bench.figures import describe_machine
from kilowatch.cli.bench.ingest import Wish as Load
from kilowatch.cli.bench.ingest import target_of
from kilowatch.cli.bench.instance import BenchFailed, Instance, running_instance, temporary_folder
from kilowatch.cli.bench.load import Form
from kilowatch.cli.bench.order import Order
from kilowatch.cli.bench.report import Row, progress_bars

SUCCESS_LEAST, P95_MOST_MS, PACE_LEAST = 0.99, 1500.0, 0.99
BEYOND = (3, 10, 30, 60, 120)
"""So many times the profile, one after another, until one is not good."""
BEYOND_MOST_S = 20.0
METRICS = 4


@dataclass(frozen=True, slots=True)
class Profile:
    """A steady load."""

    name: str
    form: Form
    per_minute: int
    batch: int
    connections: int

    def times(self, factor: int) -> "Profile":
        """The same, so many times as fast."""
        return replace(self, name=f"{self.name} x {factor}", per_minute=self.per_minute * factor)


PROFILES = (Profile("single", "single", 10_000, 1, 32), Profile("batch", "json", 100_000, 100, 8))


@dataclass(frozen=True, slots=True)
class Wish:
    """What the options say."""

    seconds: float = 300.0
    beyond: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """What a profile came to. planned: readings that were to be sent."""

    profile: str
    per_minute: int
    batch: int
    seconds: float
    planned: int
    attempted: int
    accepted: int
    errors: dict[str, int]
    p50_ms: float
    p95_ms: float

    @property
    def success(self) -> float:
        """The part of what was sent that was accepted."""
        return self.accepted / max(1, self.attempted)

    @property
    def faults(self) -> list[str]:
        """Why it is not good; empty where it is."""
        found = []
        if self.success < SUCCESS_LEAST:
            found.append(f"success {self.success:.2%} < {SUCCESS_LEAST:.0%}")
        if self.p95_ms > P95_MOST_MS:
            found.append(f"p95 {self.p95_ms:,.0f} ms > {P95_MOST_MS:,.0f} ms")
        if self.attempted / max(1, self.planned) < PACE_LEAST and self.planned:
            found.append(f"only {self.attempted / max(1, self.planned):.1%} of the pace was reached")
        return found

    def as_document(self) -> dict[str, Any]:
        """The result as JSON members."""
        return {
            **asdict(self),
            "success": round(self.success, 5),
            "passed": not self.faults,
            "faults": self.faults,
        }


def measure(wish: Wish, folder: Path | None = None) -> dict[str, Any]:
    """Starts an instance, loads it with each profile, and judges.

    Raises:
        BenchFailed: if a load could not be carried out.
    """
    with temporary_folder(folder) as place:
        machine = describe_machine(place)
        with progress_bars() as bars, running_instance(place) as instance:
            results, beyond = load_instance(instance, wish, bars)
    return {
        "bench": "load",
        "right": not any(result.faults for result in results),
        "promised": {"success_least": SUCCESS_LEAST, "p95_most_ms": P95_MOST_MS},
        "profiles": [result.as_document() for result in results],
        "beyond": [result.as_document() for result in beyond],
        "machine": machine,
    }


def load_instance(instance: Instance, wish: Wish, bars: Progress) -> tuple[list[Result], list[Result]]:
    """The profiles, and what was tried beyond them."""
    key = instance.create_key()
    numbers = iter(range(0, 900_000, 1000))
    results = [run(instance, one, wish.seconds, key, next(numbers), bars) for one in PROFILES]
    beyond: list[Result] = []
    for profile in PROFILES if wish.beyond else ():
        for factor in BEYOND:
            seconds = min(wish.seconds, BEYOND_MOST_S)
            beyond.append(run(instance, profile.times(factor), seconds, key, next(numbers), bars))
            if beyond[-1].faults:
                break
    return results, beyond


def run(
    instance: Instance, profile: Profile, seconds: float, key: str, first_device: int, bars: Progress
) -> Result:
    """One load, until everything is stored."""
    devices = profile.connections * (profile.batch if profile.batch > 1 else 10)
    load = Load(
        profile.form, devices, METRICS, profile.batch, profile.connections, seconds,
        pace=profile.per_minute / 60.0, first_device=first_device,
    )  # fmt: skip
    order = Order(target_of(instance, load, key), load.shape(), seconds, load.pace, bears_errors=True)
    bar = bars.add_task(f"{profile.name}: {profile.per_minute:,} a minute", total=seconds, said="")
    with Client(order) as client:
        client.wait_until_ready()
        for accepted in client.go():
            bars.update(bar, completed=accepted / load.pace, said=f"{accepted:,} accepted")
        outcome = client.outcome
    if outcome is None:
        raise BenchFailed("the client told no result")
    instance.wait_until_stored()
    bars.remove_task(bar)
    return judge(profile, order, outcome)


def judge(profile: Profile, order: Order, outcome: Outcome) -> Result:
    """What a load came to."""
    return Result(
        profile.name,
        profile.per_minute,
        order.shape.rows,
        round(outcome.seconds, 3),
        int(order.pace * order.seconds),
        outcome.attempted,
        outcome.accepted,
        outcome.errors,
        outcome.ack_ms.get("p50", 0.0),
        outcome.ack_ms.get("p95", 0.0),
    )


def rows_of(result: dict[str, Any]) -> Sequence[Row]:
    """The table."""
    promised = f"at least {SUCCESS_LEAST:.0%} accepted, p95 within {P95_MOST_MS:,.0f} ms"
    rows = [("promised", promised)]
    for one in [*result["profiles"], *result["beyond"]]:
        errors = ", ".join(f"{kind} {count:,}" for kind, count in one["errors"].items()) or "none"
        color, verdict = (
            ("green", "passed") if one["passed"] else ("red", f"failed: {'; '.join(one['faults'])}")
        )
        sent = f"{one['per_minute']:,} a minute, {one['batch']} a request, {one['seconds']:.0f} s"
        told = f"attempted {one['attempted']:,}, accepted {one['accepted']:,}, errors {errors}"
        took = f"p50 {one['p50_ms']:,.1f} ms, p95 {one['p95_ms']:,.1f} ms"
        rows += [(one["profile"], sent), ("", told), ("", took), ("", f"[{color}]{verdict}[/{color}]")]
    return rows
