"""Figures as people read them."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilowatch.alerts.figures import (
    cost_text,
    devices_text,
    duration_text,
    energy_text,
    local_time_text,
    money_text,
    power_text,
    state_text,
)
from kilowatch.clock import to_us


@pytest.mark.parametrize(
    ("watts", "text"),
    [
        (0, "0 W"),
        (-0.001, "0 W"),
        (0.04, "0.04 W"),
        (4.2, "4.2 W"),
        (12.44, "12.4 W"),
        (99.97, "100 W"),
        (100, "100 W"),
        (999.6, "1 kW"),
        (1254, "1.25 kW"),
        (-3500, "-3.5 kW"),
        (2.5e6, "2.5 MW"),
        (7e12, "7000 GW"),
        (float("nan"), None),
        (float("inf"), None),
    ],
)
def test_power(watts: float, text: str | None) -> None:
    assert power_text(watts) == text


@given(st.floats(-1e12, 1e12))
def test_power_is_within_a_hundredth_of_what_it_says(watts: float) -> None:
    number, unit = str(power_text(watts)).split()
    factor = {"W": 1, "kW": 1e3, "MW": 1e6, "GW": 1e9}[unit]
    assert abs(float(number) * factor - watts) <= max(0.005 * abs(watts), 0.0051)
    assert "e" not in number
    assert number != "-0"


@pytest.mark.parametrize(
    ("micro_wh", "text"),
    [(0, "0 Wh"), (450_000_000, "450 Wh"), (12_340_000_000, "12.3 kWh"), (-3_000_000_000, "-3 kWh")],
)
def test_energy(micro_wh: int, text: str) -> None:
    assert energy_text(micro_wh) == text


@pytest.mark.parametrize(
    ("amount", "currency", "money", "cost"),
    [
        ("0.355", "EUR", "0.36 EUR", "about 0.36 EUR"),
        ("0.004", "EUR", "0.00 EUR", "under 0.01 EUR"),
        ("-0.004", "EUR", "0.00 EUR", "about 0.00 EUR"),
        ("0", "EUR", "0.00 EUR", "about 0.00 EUR"),
        ("1234.5", "JPY", "1235 JPY", "about 1235 JPY"),
        ("0.4", "JPY", "0 JPY", "under 1 JPY"),
        ("1.0005", "KWD", "1.001 KWD", "about 1.001 KWD"),
        ("1E+3", "USD", "1000.00 USD", "about 1000.00 USD"),
    ],
)
def test_money(amount: str, currency: str, money: str, cost: str) -> None:
    assert money_text(Decimal(amount), currency) == money
    assert cost_text(Decimal(amount), currency) == cost


@pytest.mark.parametrize("amount", [0.004, 1.5, 2])
def test_money_is_never_a_float(amount: object) -> None:
    with pytest.raises(TypeError, match="money is a Decimal"):
        money_text(amount, "EUR")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="money is a Decimal"):
        cost_text(amount, "EUR")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "less than a second"),
        (0.9, "less than a second"),
        (1, "1 second"),
        (45, "45 seconds"),
        (60, "1 minute"),
        (125, "2 minutes 5 seconds"),
        (3600, "1 hour"),
        (3605, "1 hour"),
        (7500, "2 hours 5 minutes"),
        (86_400 * 3 + 3600 * 4 + 59, "3 days 4 hours"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_counts_and_states() -> None:
    assert [devices_text(count) for count in (0, 1, 500)] == ["0 devices", "1 device", "500 devices"]
    assert [state_text(state) for state in ("off", "standby")] == ["off", "on standby"]


@pytest.mark.parametrize(
    ("zone", "text"),
    [
        ("UTC", "31 December 2026, 23:05"),
        ("Europe/Berlin", "1 January 2027, 00:05"),
        ("America/St_Johns", "31 December 2026, 19:35"),
    ],
)
def test_local_time(zone: str, text: str) -> None:
    assert local_time_text(to_us(datetime(2026, 12, 31, 23, 5, tzinfo=UTC)), zone) == text
