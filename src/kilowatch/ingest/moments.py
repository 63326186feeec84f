"""Times as senders write them, turned into epoch microseconds, many at once.

Owns what counts as a time: RFC 3339 with a zone (`2026-11-20T12:00:00.123Z`), or a number of milliseconds
since 1970. Keeps true that both ways here, one text at a time and in columns, give the same microsecond:
digits finer than a microsecond are cut off.
"""

import math
import re
from collections.abc import Sequence
from datetime import datetime

import numpy as np
import numpy.typing as npt

from kilowatch.clock import to_us

Words = npt.NDArray[np.uint64]
Int64s = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

TIME_FAULT = "ts is neither an RFC 3339 time with a zone, like 2026-11-20T12:00:00Z, nor epoch milliseconds"
TEXT_BYTES = 32
SHORTEST, LONGEST = len("2026-11-20T12:00:00Z"), len("2026-11-20T12:00:00.123456789Z")
FAR_MS = 1 << 53
FAR_US = 1 << 60

_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_MONTHS = np.arange(np.datetime64("0000-01"), np.datetime64("10000-02"), dtype="M8[M]").astype("M8[D]")
_FIRST_DAY = _MONTHS.astype(np.int64)
_DAYS = np.diff(_FIRST_DAY)

# A text's bytes 0-7, 8-15 and 16-18 with zeros for digits; byte 19 is a dot or the final Z.
_DATE = np.uint64(int.from_bytes(b"0000-00-", "little"))
_CLOCK = np.uint64(int.from_bytes(b"00T00:00", "little"))
_SECOND = np.uint64(int.from_bytes(b":00", "little"))
_DATE_SIX = np.uint64(0x00_06_06_00_06_06_06_06)
_CLOCK_SIX = np.uint64(0x06_06_00_06_06_00_06_06)
_DATE_BAD = np.uint64(0xFF_F0_F0_FF_F0_F0_F0_F0)
_CLOCK_BAD = np.uint64(0xF0_F0_FF_F0_F0_FF_F0_F0)
_SECOND_SIX = np.uint64(0x06_06_00)
_SECOND_BAD = np.uint64(0xF0_F0_FF)
_SECOND_BYTES = np.uint64(0xFF_FF_FF)
_BYTE = np.uint64(0xFF)
_TEN = np.uint64(10)


def _u(bits: int) -> np.uint64:
    return np.uint64(bits)


def parse_text(text: str) -> int | None:
    """Epoch microseconds of an RFC 3339 text with a zone, or None."""
    match = _RFC3339.fullmatch(text)
    if match is None:
        return None
    date, clock, fraction, zone = match.groups()
    try:
        moment = datetime.fromisoformat(f"{date}T{clock}{'+00:00' if zone in 'Zz' else zone}")
    except ValueError:
        return None
    return to_us(moment) + int(((fraction or "") + "000000")[:6])


def parse_cell(value: object) -> int | None:
    """Epoch microseconds of a `ts` as JSON holds it, or None; absurdly far times are cut to a far one."""
    if isinstance(value, str):
        return parse_text(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if abs(value) > FAR_MS:
        return FAR_US if value > 0 else -FAR_US
    return value * 1000 if isinstance(value, int) else round(value * 1000)


def parse_cells(values: Sequence[object], now_us: int) -> tuple[Int64s, list[int]]:
    """Epoch microseconds of many `ts` (None: `now_us`), and the places of those that are no time."""
    kinds = set(map(type, values))
    if kinds == {str}:
        return _parse_texts(values)  # type: ignore[arg-type]
    if kinds == {int}:
        whole = _parse_whole(values)
        if whole is not None:
            return whole, []
    ts_us = np.full(len(values), now_us, np.int64)
    bad = []
    for place, value in enumerate(values):
        if value is None:
            continue
        parsed = parse_cell(value)
        if parsed is None:
            bad.append(place)
        else:
            ts_us[place] = parsed
    return ts_us, bad


def _parse_whole(values: Sequence[object]) -> Int64s | None:
    try:
        ms = np.array(values, np.int64)
    except OverflowError:
        return None
    return ms * 1000 if abs(ms).max() <= FAR_MS else None


def _parse_texts(texts: Sequence[str]) -> tuple[Int64s, list[int]]:
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    try:
        padded = np.array(texts, dtype=f"S{TEXT_BYTES}")
    except UnicodeEncodeError:
        padded = np.array([text if text.isascii() else "" for text in texts], dtype=f"S{TEXT_BYTES}")
    words = np.ascontiguousarray(padded.view("<u8").reshape(len(texts), -1).T)
    ts_us, good = parse_words(words, lengths)
    bad = []
    for place in np.flatnonzero(~good).tolist():
        parsed = parse_text(texts[place])
        if parsed is None:
            bad.append(place)
        ts_us[place] = parsed or 0
    return ts_us, bad


def parse_words(words: Words, lengths: Int64s) -> tuple[Int64s, Mask]:
    """Epoch microseconds of texts given as 4 x n words of their bytes, and which of them are times in UTC.

    What follows a text in its words does not matter. Texts with another zone than `Z` count as not good.
    Texts that agree up to the minute, as those of one request mostly do, share the work.
    """
    head = words[:2, :1]
    if words.shape[1] > 1 and np.array_equal(words[:2], np.broadcast_to(head, words[:2].shape)):
        minute = words[:, :1].copy()
        minute[2] = (minute[2] & ~_SECOND_BYTES) | _SECOND
        seconds, good = _parse_parts(minute)
        spare, right = _seconds(words[2])
        micros = seconds + spare * 1_000_000
        good = good & right
    else:
        seconds, good = _parse_parts(words)
        micros = seconds
    fraction, fraction_good = _fraction(words, lengths)
    return micros + fraction, good & fraction_good


def _seconds(words: Words) -> tuple[Int64s, Mask]:
    """Seconds from bytes `:SS`, and which are such."""
    digits = (words & _SECOND_BYTES) ^ _SECOND
    wrong = (digits | (digits + _SECOND_SIX)) & _SECOND_BAD
    second = ((digits >> _u(8)) & _BYTE) * _TEN + (digits >> _u(16))
    return second.view(np.int64), (wrong == 0) & (second < 60)


def _parse_parts(words: Words) -> tuple[Int64s, Mask]:
    """Epoch microseconds of the full seconds, and which texts have good ones."""
    date, clock = words[0] ^ _DATE, words[1] ^ _CLOCK
    second, good = _seconds(words[2])
    wrong = (date | (date + _DATE_SIX)) & _DATE_BAD
    wrong |= (clock | (clock + _CLOCK_SIX)) & _CLOCK_BAD
    # Byte i becomes ten times digit i plus digit i + 1; no byte exceeds 99, so none runs over.
    date, clock = (part * _TEN + (part >> _u(8)) for part in (date, clock))
    year = (date & _BYTE) * _u(100) + ((date >> _u(16)) & _BYTE)
    month, day = (date >> _u(40)) & _BYTE, clock & _BYTE
    hour, minute = (clock >> _u(24)) & _BYTE, (clock >> _u(48)) & _BYTE
    place = (year * _u(12) + month - _u(1)).view(np.int64)
    good &= wrong == 0
    good &= (month - _u(1)) < 12
    good &= (hour < 24) & (minute < 60)
    good &= (day - _u(1)) < np.take(_DAYS, place, mode="clip").view(np.uint64)
    days = np.take(_FIRST_DAY, place, mode="clip") + day.view(np.int64) - 1
    seconds = days * 86_400 + (hour * _u(3600) + minute * _u(60)).view(np.int64) + second
    return seconds * 1_000_000, good


def _fraction(words: Words, lengths: Int64s) -> tuple[Int64s, Mask]:
    """Microseconds after the full second, and whether bytes 19 on are `Z` or `.digitsZ`."""
    shortest, longest = int(lengths.min()), int(lengths.max())
    if shortest == longest and SHORTEST <= shortest <= LONGEST:
        return _fraction_of_width(words, shortest)
    fraction, good = np.zeros(len(lengths), np.int64), np.zeros(len(lengths), np.bool_)
    for width in np.unique(lengths).tolist():
        if SHORTEST <= width <= LONGEST:
            rows = np.flatnonzero(lengths == width)
            fraction[rows], good[rows] = _fraction_of_width(words[:, rows], width)
    return fraction, good


def _fraction_of_width(words: Words, width: int) -> tuple[Int64s, Mask]:
    if width == SHORTEST + 1:
        return np.zeros(words.shape[1], np.int64), np.zeros(words.shape[1], np.bool_)
    digits = width - SHORTEST - 1
    good = _byte(words, width - 1) == ord("Z")
    value = np.zeros(words.shape[1], np.uint64)
    if digits > 0:
        good &= _byte(words, 19) == ord(".")
    for place in range(digits):
        digit = _byte(words, 20 + place) - _u(48)
        good &= digit < 10
        if place < 6:
            value = value * _TEN + digit
    return (value * _u(10 ** max(0, 6 - max(digits, 0)))).view(np.int64), good


def _byte(words: Words, place: int) -> Words:
    word: Words = words[place // 8]
    return (word >> _u(8 * (place % 8))) & _BYTE
