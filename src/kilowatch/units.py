"""Units of power and energy, and the factors that turn a metric's own unit into the one we count in.

Power is counted in watts (a double), energy in whole micro-watt-hours (an int64), so that sums of energy
are exact whatever their order.
"""

from typing import Final

MICRO_PER_WH: Final = 1_000_000
MICRO_PER_KWH: Final = 1_000 * MICRO_PER_WH

WATTS: Final[dict[str, float]] = {"mW": 1e-3, "W": 1.0, "kW": 1e3, "MW": 1e6, "GW": 1e9}
"""Unit of a power metric -> watts per unit."""

MICRO_WATT_HOURS: Final[dict[str, float]] = {"mWh": 1e3, "Wh": 1e6, "kWh": 1e9, "MWh": 1e12, "GWh": 1e15}
"""Unit of an energy metric -> micro-watt-hours per unit."""
