"""What alerts say: every kind, severity and voice, with all facts and with none."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from kilowatch.alerts.alert import Alert
from kilowatch.alerts.detector import DETECTORS
from kilowatch.alerts.telling import SECONDS, events_of, put_in_words
from kilowatch.alerts.voices import KINDS, SEVERITIES, VOICES, Kind
from kilowatch.clock import to_us

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
ALERT = Alert(
    id=uuid.UUID(int=7), organisation_id=uuid.UUID(int=1), kind="rule", rule_id=None, device_no=3,
    site_id=uuid.UUID(int=2), severity="low", status="open", since=NOW - timedelta(hours=1), raised_at=NOW,
    ts=NOW, metric="power", value=1500.0, limit_value=1000.0, excess_w=500.0, cost_per_day=Decimal("3.6"),
    currency="EUR", devices=1, acknowledged_at=None, acknowledged_by=None, resolved_at=None,
    resolved_by=None, how=None, suppressed_by=None, suppressed_until=None, parent_id=None,
    device="kettle", device_name="Kettle",
    room="Kitchen", state="standby", site_name="Home", time_zone="UTC", voice="plain", unit="W",
)  # fmt: skip


@pytest.mark.parametrize("voice", VOICES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_alert_has_words_with_and_without_facts(voice: str, kind: Kind) -> None:
    bare = replace(
        ALERT, metric=None, value=None, limit_value=None, excess_w=None, cost_per_day=None, device=None,
        device_name=None, room=None, state=None, unit=None, device_no=None,
    )  # fmt: skip
    for severity in SEVERITIES:
        for alert in (ALERT, bare):
            said = put_in_words(replace(alert, kind=kind, voice=voice, severity=severity), to_us(NOW)).spoken  # type: ignore[arg-type]
            for text in (said.title, said.description, said.remedy):
                assert text
                assert "{" not in text
                assert "None" not in text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ["1.5 kW", "1 kW", "500 W", "about 3.60 EUR"]),
        ({"unit": "kW", "value": 1.5}, ["1.5 kW"]),
        (
            {"metric": "temperature", "unit": "degC", "value": 1e-7, "limit_value": -20.55},
            ["0 degC", "-20.55 degC"],
        ),
        ({"metric": "humidity", "unit": None, "value": 123456789.0}, ["123456789"]),
        ({"kind": "high_consumption", "metric": "energy_wh", "unit": "Wh", "value": 120.0}, ["120 kWh"]),
        ({"kind": "phantom_load", "unit": "kW", "value": 40.0}, ["40 W", "on standby"]),
        (
            {"kind": "offline", "metric": SECONDS, "limit_value": 120.0, "value": 3600.0},
            ["1 hour", "2 minutes"],
        ),
        ({"kind": "offline", "metric": SECONDS, "devices": 500}, ["500 devices"]),
        (
            {"metric": SECONDS, "unit": None, "value": 61.0, "limit_value": 60.0},
            ["silence is 1 minute 1 second", "1 minute."],
        ),
        (
            {"metric": "power/min", "unit": "W/min", "value": 600.0, "limit_value": 100.0},
            ["change of power is 600 W/min", "limit is 100 W/min"],
        ),
        (
            {
                "metric": "energy",
                "unit": "kWh",
                "value": 1e300,
                "limit_value": 5.0,
                "excess_w": 1e300,
                "cost_per_day": Decimal("7e299"),
            },
            ["5 kWh", "EUR"],
        ),
        ({"kind": "high_consumption", "value": 1e305, "limit_value": 100.0}, ["100 kWh"]),
    ],
)
def test_figures_have_the_units_that_they_are_in(changes: dict[str, object], words: list[str]) -> None:
    spoken = put_in_words(replace(ALERT, **changes), to_us(NOW)).spoken  # type: ignore[arg-type]
    said = f"{spoken.title} {spoken.description}"
    for word in words:
        assert word in said


def test_an_alert_that_is_over_says_how_long_it_lasted_and_not_how_long_ago_that_is() -> None:
    over = replace(ALERT, status="resolved", resolved_at=NOW)
    later = put_in_words(over, to_us(NOW + timedelta(days=9)))
    assert "1 hour" in later.spoken.description
    assert later == put_in_words(over, to_us(NOW))


@pytest.mark.parametrize("kind", KINDS)
def test_detectors_are_told_as_anomalies_too(kind: Kind) -> None:
    events = events_of(put_in_words(replace(ALERT, kind=kind), to_us(NOW)), to_us(NOW))
    topics = [event.topic for event in events]
    assert topics == (["alerts", "anomalies"] if kind in DETECTORS else ["alerts"])
    assert {event.device_no for event in events} == {3}
