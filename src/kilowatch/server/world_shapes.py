"""The shapes of worlds over HTTP: what may be asked for, and what the simulator answers."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from kilowatch.wire.stage import Flag, Frequency

Word = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$", max_length=60)]
StreamName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*(\.[a-z0-9_]+)*$", max_length=100)]
EventType = Literal[
    "marketing", "product", "infrastructure", "academic", "competitive", "operational", "energy"
]
Severity = Literal["info", "warning", "critical"]
Status = Literal["active", "settling", "settled"]
How = Literal["multiply", "add", "override", "shift"]
FASTEST = 3600.0
PRINTABLE = r"^[^\x00]*$"


class FleetShown(BaseModel):
    """The devices of a world of energy."""

    kind: str
    devices: int
    regions: list[str]


class WorldShown(BaseModel):
    """A world. With `problems` its last good files are played on; with no stream it never had any."""

    name: str
    title: str
    description: str
    streams: int
    scenarios: int
    fleet: FleetShown | None
    problems: list[str] = Field(description="Why its files, as they are now, cannot be played.")


class Worlds(BaseModel):
    """Every world."""

    items: list[WorldShown]


class StreamStatistics(BaseModel):
    """What is usual for a stream, per interval of history."""

    mean: float
    median: float
    standard_deviation: float
    least: float
    most: float
    p25: float
    p75: float
    p90: float
    p95: float
    weekday_mean: float
    weekend_mean: float
    trend_per_month: float = Field(description="Relative: 0.03 is three percent a month.")
    seasonality: str


class StreamLatest(BaseModel):
    """What a stream told last. normalised: 50 is its mean, 0 and 100 three standard deviations away."""

    ts: datetime
    value: float
    normalised: float
    flag: Flag


class StreamShown(BaseModel):
    """A stream of the world that is played."""

    name: str
    title: str
    unit: str
    kind: Literal["count", "gauge", "ratio"]
    domain: str = Field(description="The first part of its name.")
    frequency: Frequency
    statistics: StreamStatistics
    latest: StreamLatest | None
    ratio: float = Field(description="How much of the usual level there is now; 1 is as usual.")


class Streams(BaseModel):
    """Every stream of a world."""

    world: str
    items: list[StreamShown]


class ScenarioShown(BaseModel):
    """A crisis that can be begun."""

    id: str
    world: str
    name: str
    description: str
    lasts_s: float
    settles_s: float
    curve: Literal["linear", "exponential", "immediate"]
    streams: list[str]
    events: list[str]


class Scenarios(BaseModel):
    """Every scenario."""

    items: list[ScenarioShown]


class TemplateShown(BaseModel):
    """What may happen outside: it may be injected by its id."""

    id: str
    world: str
    type: EventType
    title: str
    description: str
    severity: Severity
    delay_s: float
    lasts_s: float
    streams: list[str]


class Templates(BaseModel):
    """Every template of an event."""

    items: list[TemplateShown]


class EventShown(BaseModel):
    """Something outside that may move streams. `planned`: as its maker expects it to."""

    id: str
    type: EventType
    title: str
    description: str
    severity: Severity
    icon: str
    link: str | None
    ts: datetime
    until: datetime
    streams: list[str]
    direction: Literal["increase", "decrease", "mixed", "none"]
    magnitude: Literal["low", "medium", "high", "none"]
    origin: Literal["world", "scenario", "injected"]


class SimulationEvents(BaseModel):
    """Events in the order of their time."""

    items: list[EventShown]


class ActiveScenario(BaseModel):
    """The scenario that is going on, or went on last."""

    id: str
    name: str
    status: Status
    started_at: datetime
    ends_at: datetime
    settled_at: datetime
    left_s: float = Field(description="Until it is settled, in simulated seconds.")
    streams: dict[str, float] = Field(description="How much of its usual level each stream has now.")
    warnings: list[str]


class StreamAnomaly(BaseModel):
    """A value far from what is usual."""

    stream: str
    ts: datetime
    value: float
    normalised: float
    flag: Flag


class Knot(BaseModel):
    """From `at` on (real time) the simulated clock showed `shows` and went on at `speed`."""

    at: datetime
    shows: datetime
    speed: float


class EffectDone(BaseModel):
    """What is done to streams; `followed`: whether devices follow."""

    streams: list[str]
    how: How
    value: float
    precedence: int
    after: float
    lasts: float | None
    followed: bool


class ScenarioDone(BaseModel):
    """A scenario as it was known when it was begun, or stopped. Times are simulated."""

    id: str = Field(description="Of this time that it was begun.")
    scenario: str
    begins: datetime
    ends: datetime
    is_stopped: bool


class EventDone(BaseModel):
    """An event that was injected. `ts` is simulated time."""

    id: str
    ts: datetime
    type: EventType
    title: str
    effects: list[EffectDone]
    delay_s: float
    lasts_s: float


class Deed(BaseModel):
    """Something that people did `at` a real moment: one of the two."""

    at: datetime
    scenario: ScenarioDone | None
    event: EventDone | None


class Record(BaseModel):
    """What people did in the world that is played, and the timeline since they first did anything: enough to
    work out how far each stream is from its usual at each real moment, and which faults there are."""

    deeds: list[Deed]
    timeline: list[Knot]


class SimulationState(BaseModel):
    """How the simulation stands."""

    world: str | None
    seed: int
    speed: float
    now: datetime = Field(description="The simulated time.")
    status: Literal["stopped", "baseline", "running", "settling"]
    history: Literal["baseline", "modified"]
    scenario: ActiveScenario | None
    events: list[EventShown] = Field(description="Those whose time is now.")
    anomalies: list[StreamAnomaly] = Field(description="The last twenty.")
    fleet: FleetShown | None
    record: Record | None = Field(description="What devices follow; null while nobody did anything.")
    last_modified: datetime
    buffered: int = Field(0, description="Words of streams that wait until the server has heard them.")
    lost: int = Field(0, description="Words given up because too many waited, since the simulator started.")


class TimeRange(BaseModel):
    """From `start` to before `end`."""

    start: datetime
    end: datetime


class StreamPoint(BaseModel):
    """A value of a stream in an interval that begins at `ts`."""

    ts: datetime
    value: float
    normalised: float


class SimulationHistory(BaseModel):
    """What streams told, and what happened meanwhile."""

    world: str
    time_range: TimeRange
    interval_s: float
    streams: dict[str, list[StreamPoint]]
    events: list[EventShown]


class Movement(BaseModel):
    """That a stream moved after an event. change: 0.3 is 30 percent more than usual; score: from 0 to 1."""

    event_id: str
    stream: str
    score: float
    change: float
    began: datetime
    was_expected: bool


class Correlation(BaseModel):
    """What is to be said of an event: what it moved, if anything."""

    event: EventShown
    verdict: Literal["causal", "red_herring", "unknown"]
    score: float
    movements: list[Movement]


class Correlations(BaseModel):
    """Events and what they moved, the strongest first."""

    items: list[Correlation]


class Wanted(BaseModel):
    """What is wished; members that are not known are refused."""

    model_config = ConfigDict(extra="forbid")


class ScenarioWanted(Wanted):
    """The scenario to begin; without a world one of the world that is played, or the only one so named."""

    scenario_id: Word
    world: Word | None = None


class ScenarioBegun(BaseModel):
    """What has begun."""

    success: Literal[True]
    scenario: ActiveScenario
    events: list[EventShown]
    estimated_duration_s: float


class ScenarioStopped(BaseModel):
    """When all will be as usual again."""

    success: Literal[True]
    settling_until: datetime


class SimulationReset(BaseModel):
    """That all is as it was."""

    success: Literal[True]
    message: str


class StateChanges(Wanted):
    """What shall be played, and how fast; another world or seed begins anew. Speed 0 holds the clock."""

    world: Word | None = None
    seed: Annotated[int | None, Field(ge=0, lt=2**63)] = None
    speed: Annotated[float | None, Field(ge=0, le=FASTEST)] = None
    step_s: Annotated[float | None, Field(gt=0, le=31 * 86_400)] = Field(
        None, description="Moves the simulated clock on by so much at once."
    )


class EffectWanted(Wanted):
    """What the event does to streams; see the page on worlds."""

    streams: Annotated[list[Annotated[str, Field(max_length=100)]], Field(min_length=1, max_length=100)]
    how: How = "multiply"
    value: float


class EventWanted(Wanted):
    """An event: of a template, or of one's own with a type, a title, a duration and what it does."""

    template: Word | None = None
    ts: datetime | None = Field(None, description="In the future it is planned; in the past history changes.")
    type: EventType | None = None
    title: Annotated[str | None, Field(max_length=200, pattern=PRINTABLE)] = None
    description: Annotated[str, Field(max_length=2000, pattern=PRINTABLE)] = ""
    severity: Severity = "info"
    icon: Annotated[str, Field(max_length=40, pattern=PRINTABLE)] = ""
    lasts_s: Annotated[float | None, Field(gt=0, le=31 * 86_400)] = None
    delay_s: Annotated[float, Field(ge=0, le=31 * 86_400)] = 0.0
    effects: Annotated[list[EffectWanted], Field(max_length=100)] = Field(default_factory=list)
    preview: bool = Field(False, description="Only says what would be.")
