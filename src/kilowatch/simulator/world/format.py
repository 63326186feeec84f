"""The format of a world: streams, how they depend on each other, what may happen to them, and its fleet.

Keeps true: what has this form can be played, but for names that lead nowhere and chains that lead in a
circle, which `checks` looks for. The published JSON Schema is made from here.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from kilowatch.simulator.world.span import describe_span, read_span

Cadence = Literal["high", "medium", "low"]
Curve = Literal["linear", "exponential", "immediate"]
Domain = Literal["marketing", "product", "infrastructure", "academic", "competitive", "operational", "energy"]
Severity = Literal["info", "warning", "critical"]
How = Literal["multiply", "add", "override", "shift"]
FaultKind = Literal[
    "outage", "stuck", "drift", "overheat", "voltage_spike", "current_surge", "wear", "standby_draw",
    "power_spike", "walk", "late", "repeated", "out_of_order", "islanded", "meter_error",
]  # fmt: skip

NAME = r"^[a-z][a-z0-9_]*(\.[a-z0-9_]+)*$"
WORD = r"^[a-z][a-z0-9_-]*$"
PATTERN = r"^(\*|[a-z][a-z0-9_.]*\*?)$"
MONTH_DAY = r"^(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"

Name = Annotated[str, Field(pattern=NAME, max_length=100)]
Pattern = Annotated[
    str, Field(pattern=PATTERN, max_length=100, description="A stream, or with `*` at its end many.")
]
Word = Annotated[str, Field(pattern=WORD, max_length=60)]
Span = Annotated[
    float,
    BeforeValidator(read_span),
    Field(ge=0, description="Seconds, or a number with `s`, `m`, `h`, `d` or `w`, such as `6h`."),
    WithJsonSchema(describe_span({"minimum": 0}, r"[0-9]+(\.[0-9]+)?")),
]
Length = Annotated[
    float,
    BeforeValidator(read_span),
    Field(gt=0, description="Like a span, but longer than nothing."),
    WithJsonSchema(
        describe_span({"exclusiveMinimum": 0}, r"([0-9]*[1-9][0-9]*(\.[0-9]+)?|[0-9]+\.[0-9]*[1-9][0-9]*)")
    ),
]
Offset = Annotated[
    float,
    BeforeValidator(read_span),
    Field(description="Like a span; negative is before the beginning."),
    WithJsonSchema(describe_span({}, r"-?[0-9]+(\.[0-9]+)?")),
]
Factor = Annotated[float, Field(gt=0, le=1000)]
Share = Annotated[float, Field(ge=0, le=1)]
Hours = Annotated[list[Annotated[float, Field(ge=0)]], Field(min_length=24, max_length=24)]


class Part(BaseModel):
    """A part of a world; members that are not known are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Season(Part):
    """Days of the local calendar, ends inclusive; one that begins late in the year may end in the next."""

    first: Annotated[str, Field(pattern=MONTH_DAY, alias="from")]
    last: Annotated[str, Field(pattern=MONTH_DAY, alias="to")]


class Shape(Part):
    """How a day goes: a weight for each hour of the local day (scaled to a mean of one), and how much more
    there is on Saturdays and Sundays."""

    hours: Hours
    weekend: Factor = 1.0
    weekend_hours: Hours | None = None


class Stream(Part):
    """Something that is counted or measured. `mean`: of a count how many a day, of a gauge its level; what is
    the outcome of a chain, or a ratio, has none. `noise`: the relative spread of one interval."""

    title: str
    unit: str = ""
    kind: Literal["count", "gauge", "ratio"] = "count"
    cadence: Cadence = "medium"
    mean: Annotated[float, Field(gt=0)] | None = None
    shape: Word | None = None
    seasons: dict[Word, Factor] = Field(default_factory=dict)
    noise: Annotated[float, Field(ge=0, le=2)] = 0.05
    growth_per_month: Annotated[float, Field(gt=-1, le=1)] | None = None
    least: float | None = None
    most: float | None = None
    part: Name | None = Field(None, description="Of a ratio: what is counted above the line.")
    whole: Name | None = Field(None, description="Of a ratio: what is counted below the line.")


class Delay(Part):
    """When something follows: between two spans, evenly, or mostly early."""

    least: Annotated[Span, Field(alias="from")] = 0.0
    most: Annotated[Span, Field(alias="to")]
    shape: Literal["even", "early"] = "even"


class Outcome(Part):
    """What may come of an event."""

    to: Name
    probability: Share
    delay: Delay


class Chain(Part):
    """What comes of each event of a stream. Where `exclusive`, one of the outcomes at most."""

    of: Annotated[Name, Field(alias="from")]
    outcomes: Annotated[list[Outcome], Field(min_length=1)]
    exclusive: bool = True


class Influence(Part):
    """How a stream follows another: by (value / its usual value) ** elasticity, after a while. With `outcome`
    it is not the stream `on` that follows, but the probability that its events come to this outcome."""

    of: Annotated[Name, Field(alias="from")]
    on: Name
    elasticity: Annotated[float, Field(ge=-5, le=5)]
    delay: Span = 0.0
    outcome: Name | None = None


class Effect(Part):
    """What is done to streams. `value`: a factor (multiply), so many more a day or so much more (add), what
    it is set to (override), or by how much the probability of the outcome `stream` changes (shift). Of
    several overrides the one of the highest precedence counts; it goes before multiplying and adding.
    `followed`: whether the devices of the fleet follow; not where a fault does the same to them already."""

    streams: Annotated[list[Pattern], Field(min_length=1)]
    how: How = "multiply"
    value: float
    precedence: int = 0
    after: Span = 0.0
    lasts: Span | None = Field(None, description="Without it as long as what it belongs to.")
    followed: bool = True


class Cascade(Part):
    """What follows from the scenario itself, or from another of its cascades."""

    id: Word
    after: Word | None = None
    delay: Span
    effects: Annotated[list[Effect], Field(min_length=1)]


class Backlog(Part):
    """What had to wait comes at once when all is well again."""

    streams: Annotated[list[Pattern], Field(min_length=1)]
    factor: Factor
    lasts: Span


class Settling(Part):
    """How streams come back to what they were."""

    curve: Curve = "linear"
    lasts: Span = 0.0
    backlog: Backlog | None = None


class Where(Part):
    """Which devices of the fleet: all that meet what is given; `share`: so many of these, by chance."""

    region: Word | None = None
    feeder: Word | None = None
    type: Word | None = None
    share: Share = 1.0


class Fault(Part):
    """What goes wrong with devices. `value` is in the fault's own measure (see the page on worlds)."""

    kind: FaultKind
    where: Where = Field(default_factory=Where)
    value: float = 0.0
    after: Span = 0.0
    lasts: Span | None = None


class Planned(Part):
    """An event of the library that a scenario brings, relative to its beginning."""

    template: Word
    at: Offset = 0.0


class Scenario(Part):
    """A crisis on a button."""

    name: str
    description: str
    lasts: Length
    effects: list[Effect] = Field(default_factory=list)
    cascades: list[Cascade] = Field(default_factory=list)
    faults: list[Fault] = Field(default_factory=list)
    events: list[Planned] = Field(default_factory=list)
    settling: Settling = Field(default_factory=Settling)


class Timing(Part):
    """When events of a template happen by themselves: so many a month, at these local hours, in these
    seasons only; clustered ones come several in a few days."""

    per_month: Annotated[float, Field(ge=0, le=300)] = 0.0
    hours: list[Annotated[int, Field(ge=0, le=23)]] | None = None
    seasons: list[Word] = Field(default_factory=list)
    clustered: bool = False


class Template(Part):
    """Something outside that may move streams. `red_herrings`: how many of those that happen by themselves
    move nothing, though everybody expects it."""

    type: Domain
    title: str
    description: str
    severity: Severity = "info"
    icon: str = ""
    link: str | None = None
    effects: list[Effect] = Field(default_factory=list)
    delay: Span = 0.0
    lasts: Length
    red_herrings: Share = 0.35
    timing: Timing = Field(default_factory=Timing)


class Fleet(Part):
    """The devices of a world of energy, which send readings."""

    kind: Literal["home", "grid", "plant", "microgrid"]
    devices: Annotated[int, Field(ge=1, le=10_000_000)] = 100
    regions: list[Word] = Field(default_factory=list)
    feeders_per_region: Annotated[int, Field(ge=1, le=1000)] = 4
    interval: Length = 5.0


class World(Part):
    """All of it. In files: `world.yaml` holds all but what `streams.yaml`, `relationships.yaml` (chains,
    influences), `events.yaml` (templates) and `scenarios.yaml` hold."""

    name: Word
    title: str
    description: str
    time_zone: str
    interval: Annotated[Length, Field(description="The length of a block of history.")] = 3600.0
    growth_per_month: Annotated[float, Field(gt=-1, le=1)] = 0.0
    anomalies: Annotated[Share, Field(description="The share of intervals with a small odd spike.")] = 0.07
    seasons: dict[Word, list[Season]] = Field(default_factory=dict)
    shapes: dict[Word, Shape] = Field(default_factory=dict)
    fleet: Fleet | None = None
    streams: Annotated[dict[Name, Stream], Field(min_length=1)]
    chains: list[Chain] = Field(default_factory=list)
    influences: list[Influence] = Field(default_factory=list)
    templates: dict[Word, Template] = Field(default_factory=dict)
    scenarios: Annotated[dict[Word, Scenario], Field(min_length=1)]
