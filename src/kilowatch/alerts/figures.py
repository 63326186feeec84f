"""Figures as people read them: power, energy, money, durations, counts and local times. Pure.

Keeps true: a unit or currency follows every figure; nothing is written in scientific notation; money comes
as a Decimal and is never a float on its way.
"""

import math
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Final

from kilowatch.clock import to_datetime
from kilowatch.period import time_zone
from kilowatch.units import MICRO_PER_WH

_PREFIXES: Final = ("", "k", "M", "G")
_WIDE: Final = Context(prec=400)
"""Any float that is finite, times a price."""
_SPANS: Final = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))
_MONTHS: Final = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_CURRENCY_DIGITS: Final = {
    **dict.fromkeys(("CLP", "ISK", "JPY", "KRW", "PYG", "UGX", "VND", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}
"""Digits after the point of the currencies that do not have two."""


def power_text(watts: float) -> str | None:
    """`12.4 W`, `1.25 kW`; None where there is no finite number to write."""
    return _scaled(watts, "W") if math.isfinite(watts) else None


def energy_text(micro_wh: int) -> str:
    """`450 Wh`, `12.3 kWh`."""
    return _scaled(micro_wh / MICRO_PER_WH, "Wh")


def _scaled(number: float, unit: str) -> str:
    """About three digits, with the prefix that keeps the number below 1,000 as far as there are prefixes."""
    for prefix in _PREFIXES:
        rounded = round(number, 2 if abs(number) < 10 else 1 if abs(number) < 100 else 0)
        if abs(rounded) < 1000 or prefix == _PREFIXES[-1]:
            break
        number /= 1000
    digits = f"{rounded + 0.0:.2f}".rstrip("0").rstrip(".")
    return f"{digits} {prefix}{unit}"


def money_text(amount: Decimal, currency: str) -> str:
    """`12.50 EUR`, `1200 JPY`: an amount rounded half up to the currency's own digits.

    Raises:
        TypeError: if the amount is not a Decimal.
    """
    if not isinstance(amount, Decimal):
        raise TypeError(f"money is a Decimal, not a {type(amount).__name__}")
    rounded = amount.quantize(_smallest(currency), ROUND_HALF_UP, _WIDE)
    return f"{abs(rounded) if rounded.is_zero() else rounded:f} {currency}"


def cost_text(amount: Decimal, currency: str) -> str:
    """An estimated cost: `about 0.36 EUR`, or `under 0.01 EUR` for less than the smallest coin."""
    written = money_text(amount, currency)
    smallest = _smallest(currency)
    return f"under {money_text(smallest, currency)}" if 0 < amount < smallest else f"about {written}"


def _smallest(currency: str) -> Decimal:
    return Decimal(1).scaleb(-_CURRENCY_DIGITS.get(currency, 2))


def duration_text(seconds: float) -> str:
    """`45 seconds`, `2 hours 5 minutes`: the two largest parts, cut and not rounded."""
    left = max(0, int(seconds))
    parts: list[str] = []
    for name, length_s in _SPANS:
        number, rest = divmod(left, length_s)
        if number or parts:
            parts.append(_counted(number, name) if number else "")
            left = rest
        if len(parts) == 2:
            break
    return " ".join(part for part in parts if part) or "less than a second"


def devices_text(count: int) -> str:
    """`1 device`, `500 devices`."""
    return _counted(count, "device")


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def state_text(state: str) -> str:
    """A device's state as it follows "while": `off`, `on standby`."""
    return "on standby" if state == "standby" else state


def local_time_text(ts_us: int, zone: str) -> str:
    """`21 November 2026, 14:05` on the site's clock.

    Raises:
        ValueError: if there is no such IANA zone.
    """
    local = to_datetime(ts_us).astimezone(time_zone(zone))
    return f"{local.day} {_MONTHS[local.month - 1]} {local.year}, {local:%H:%M}"
