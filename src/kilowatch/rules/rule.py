"""A rule: on which devices it watches what, when it raises an alert and when that is over. Pure.

Keeps true: a rule that has no faults can be evaluated: its limits are finite and stand in the right order,
and it is about one device, one site, one type of device, or about every device of its organisation.
"""

import math
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from kilowatch.alerts.voices import SEVERITIES, Severity
from kilowatch.errors import Fault
from kilowatch.ids import METRIC_NAME, name_faults
from kilowatch.rules.watch import OPERATORS, Operator
from kilowatch.sites.device import DEVICE_TYPE
from kilowatch.sites.site import matches
from kilowatch.telemetry.metric import ENERGY

Input = Literal["value", "rate_per_minute", "energy_1m", "energy_15m", "no_data"]
INPUTS: tuple[Input, ...] = get_args(Input)
"""What is compared with the limit: readings, their change per minute, the energy of whole minutes or quarter
hours in Wh; or how long nothing has come."""
ENERGY_INPUTS = ("energy_1m", "energy_15m")
RuleStatus = Literal["active", "paused", "archived"]
STATUSES: tuple[RuleStatus, ...] = get_args(RuleStatus)

TARGETS = ("device_id", "site_id", "device_type")
LONGEST_S = 7 * 86_400
MOST_CHANNELS = 20
CHANNEL_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Rule:
    """device_id: a device by its id; without device, site and type the rule is about every device.

    metric: the metric that is watched; for silence it may be None: anything at all of the device. threshold,
    clear_threshold: in the metric's unit, per minute for a rate, in Wh for energy; for_s: how long the limit
    must be passed, or how long nothing may come; channels: where alerts of it are sent besides what members
    prefer.
    """

    id: uuid.UUID
    organisation_id: uuid.UUID
    name: str
    device_id: str | None
    device_no: int | None
    site_id: uuid.UUID | None
    device_type: str | None
    metric: str | None
    input: Input
    operator: Operator | None
    threshold: float | None
    for_s: int
    clear_threshold: float | None
    cooldown_s: int
    severity: Severity
    status: RuleStatus
    channels: tuple[str, ...]
    created_at: datetime
    updated_at: datetime


def rule_faults(values: Mapping[str, Any]) -> list[Fault]:
    """Everything that is wrong with the fields of a rule, which are all given but for ids and times. Whether
    device, site and metric exist is not judged here."""
    faults = name_faults(values["name"])
    faults += [
        Fault(f"bad_{name}", f"{name} is one of {', '.join(words)}.", pointer=f"/{name}")
        for name, words in (("input", INPUTS), ("severity", SEVERITIES), ("status", STATUSES))
        if values[name] not in words
    ]
    faults += _target_faults(values) + _length_faults(values)
    if len(values["channels"]) > MOST_CHANNELS:
        detail = f"A rule has at most {MOST_CHANNELS} channels."
        faults.append(Fault("too_many_channels", detail, pointer="/channels"))
    return faults + (_silence_faults(values) if values["input"] == "no_data" else _limit_faults(values))


def _target_faults(values: Mapping[str, Any]) -> list[Fault]:
    faults = []
    if sum(values[name] is not None for name in TARGETS) > 1:
        detail = "A rule is about one of device_id, site_id and device_type, or about every device."
        faults.append(Fault("many_targets", detail, pointer="/device_id"))
    if values["device_type"] is not None and not matches(DEVICE_TYPE, values["device_type"]):
        detail = "device_type has 1 to 64 of a-z, 0-9, '_' and '-', such as meter or heat-pump."
        faults.append(Fault("bad_type", detail, pointer="/device_type"))
    return faults


def _length_faults(values: Mapping[str, Any]) -> list[Fault]:
    return [
        Fault("bad_duration", f"{name} is 0 to {LONGEST_S} seconds.", pointer=f"/{name}")
        for name in ("for_s", "cooldown_s")
        if not 0 <= values[name] <= LONGEST_S
    ]


def _silence_faults(values: Mapping[str, Any]) -> list[Fault]:
    faults = [
        Fault("not_for_silence", f"{name} means nothing where input is no_data.", pointer=f"/{name}")
        for name in ("operator", "threshold", "clear_threshold")
        if values[name] is not None
    ]
    if values["for_s"] < 1:
        detail = "for_s says after how many seconds of silence an alert is raised; 1 or more."
        faults.append(Fault("bad_duration", detail, pointer="/for_s"))
    if values["metric"] is not None:
        faults += _metric_faults(values)
    return faults


def _metric_faults(values: Mapping[str, Any]) -> list[Fault]:
    metric, of_energy = values["metric"], values["input"] in ENERGY_INPUTS
    if of_energy and metric != ENERGY:
        detail = f"Energy is the device's own, {ENERGY}; leave metric out."
        return [Fault("bad_metric", detail, pointer="/metric")]
    if not of_energy and (not matches(METRIC_NAME, metric) or metric == ENERGY):
        detail = "metric is the name of a metric that devices report, such as power."
        return [Fault("bad_metric", detail, pointer="/metric")]
    return []


def _limit_faults(values: Mapping[str, Any]) -> list[Fault]:
    faults = _metric_faults(values)
    operator, limit, clear = values["operator"], values["threshold"], values["clear_threshold"]
    if operator not in OPERATORS:
        detail = f"operator is one of {' '.join(OPERATORS)}."
        faults.append(Fault("bad_operator", detail, pointer="/operator"))
    if limit is None or not math.isfinite(limit):
        faults.append(Fault("bad_threshold", "threshold is a number.", pointer="/threshold"))
    if clear is not None and not math.isfinite(clear):
        faults.append(Fault("bad_threshold", "clear_threshold is a number.", pointer="/clear_threshold"))
    if faults or clear is None:
        return faults
    if operator in ("=", "!="):
        detail = f"A rule with the operator {operator} has no clear_threshold."
        return [Fault("bad_threshold", detail, pointer="/clear_threshold")]
    above = operator in (">", ">=")
    if (clear > limit) if above else (clear < limit):
        side = "at or below" if above else "at or above"
        detail = f"clear_threshold stands {side} threshold where operator is {operator}."
        return [Fault("bad_threshold", detail, pointer="/clear_threshold")]
    return []
