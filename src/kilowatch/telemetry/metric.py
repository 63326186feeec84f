"""Metrics: what a number of a device means. The catalogue of names that Kilowatch knows. Pure.

Keeps true: a name means the same unit and kind in every organisation that did not define it otherwise.
"""

import re
from dataclasses import dataclass
from typing import Literal

from kilowatch.errors import Fault
from kilowatch.ids import METRIC_NAME

Kind = Literal["gauge", "counter", "interval", "state"]

ENERGY = "energy_wh"
"""Reserved: the canonical energy of a device in Wh, made by the worker and never sent."""
RESERVED = frozenset({ENERGY})
STATE_MAX = 64
PHASE = re.compile(r"(.+)_l[123]")


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric as it is defined.

    kind: `gauge` (a value now), `counter` (a total that grows), `interval` (an amount since the reading
    before), `state` (one of `states`, kept as its index); minimum, maximum: inclusive, None where open.
    """

    name: str
    unit: str = ""
    kind: Kind = "gauge"
    states: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None


_KNOWN = (
    Metric("power", "W"),
    Metric("apparent_power", "VA"),
    Metric("reactive_power", "var"),
    Metric("energy", "kWh", "counter"),
    Metric("energy_import", "kWh", "counter"),
    Metric("energy_export", "kWh", "counter"),
    Metric("energy_interval", "kWh", "interval"),
    Metric("energy_export_interval", "kWh", "interval"),
    Metric("reactive_energy", "kvarh", "counter"),
    Metric("reactive_energy_import", "kvarh", "counter"),
    Metric("reactive_energy_export", "kvarh", "counter"),
    Metric("reactive_energy_interval", "kvarh", "interval"),
    Metric("reactive_energy_lagging_interval", "kvarh", "interval"),
    Metric("reactive_energy_leading_interval", "kvarh", "interval"),
    Metric("voltage", "V", minimum=0.0),
    Metric("current", "A"),
    Metric("frequency", "Hz", minimum=0.0),
    Metric("power_factor", minimum=-1.0, maximum=1.0),
    Metric("temperature", "degC", minimum=-273.15),
    Metric("outdoor_temperature", "degC", minimum=-273.15),
    Metric("dew_point", "degC", minimum=-273.15),
    Metric("humidity", "%", minimum=0.0, maximum=100.0),
    Metric("cloud_cover", "%", minimum=0.0, maximum=100.0),
    Metric("pressure", "hPa", minimum=0.0),
    Metric("wind_speed", "m/s", minimum=0.0),
    Metric("wind_direction", "deg"),
    Metric("irradiance", "W/m2"),
    Metric("precipitation", "mm", "interval"),
    Metric("state_of_charge", "%", minimum=0.0, maximum=100.0),
    Metric("carbon_intensity", "g/kWh", minimum=0.0),
    Metric("co2_interval", "t", "interval"),
    Metric("price", "EUR/MWh"),
    Metric("state", kind="state", states=("off", "on", "standby")),
    Metric("load_type", kind="state", states=("light", "medium", "maximum")),
)
CATALOGUE = {metric.name: metric for metric in _KNOWN}
ENERGY_METRIC = Metric(ENERGY, "Wh", "interval")


@dataclass(frozen=True, slots=True)
class StoredMetric:
    """A metric of an organisation, with its number in frames and series."""

    metric_no: int
    metric: Metric


def describe(name: str) -> Metric:
    """What a name means before anybody defined it: the catalogue's word (also for one phase, `power_l1`),
    else a gauge without a unit."""
    known = CATALOGUE.get(name)
    phase = PHASE.fullmatch(name)
    if known is None and phase is not None:
        known = CATALOGUE.get(phase[1])
    if known is None:
        return Metric(name)
    return Metric(name, known.unit, known.kind, known.states, known.minimum, known.maximum)


def metric_faults(metric: Metric) -> list[Fault]:
    """Everything that is wrong with a metric as somebody wants to define it."""
    faults = []
    if not METRIC_NAME.fullmatch(metric.name) or metric.name in RESERVED:
        faults.append(Fault("bad_name", f"{metric.name[:64]!r} cannot be defined.", pointer="/name"))
    if not metric.unit.isprintable():
        faults.append(Fault("bad_unit", "unit has printable characters only.", pointer="/unit"))
    if (metric.kind == "state") != bool(metric.states):
        faults.append(Fault("bad_states", "a state metric, and no other, has states.", pointer="/states"))
    if len(set(metric.states)) < len(metric.states) or not all(map(_is_state, metric.states)):
        detail = f"states differ, and each has 1 to {STATE_MAX} printable characters."
        faults.append(Fault("bad_states", detail, pointer="/states"))
    if metric.minimum is not None and metric.maximum is not None and metric.minimum > metric.maximum:
        faults.append(Fault("bad_limits", "minimum is above maximum.", pointer="/minimum"))
    return faults


def _is_state(name: str) -> bool:
    return 0 < len(name) <= STATE_MAX and name.isprintable()
