"""Memory of the long-lived processes: what is loaded stays out of the collector's sight, and what is freed
stays with the process for its next batch.

A process that has had little to do for a while gives the rest back: what a load took must not stay for weeks.
Owns the settings of Python's collector and of glibc's allocator. Keeps true that they change how much memory
is given back to the kernel, never what the program does; where there is no glibc they do nothing.
"""

import asyncio
import ctypes
import gc
import sys
import time

COLLECT_AFTER = (100_000, 50, 50)
ONE_ARENA, TOP_PAD, TRIM_ABOVE, MAP_ABOVE = -8, -2, -1, -3
"""Numbers of glibc's `mallopt` (malloc.h)."""
LOOK_EVERY_S = 10.0
QUIET = 0.25
"""The share of a processor below which there is time to ask the kernel for memory again."""
KEPT_BYTES = 256 << 20
PAD_BYTES = 32 << 20
MOST_MAPPED_BYTES = 32 << 20
"""More than this glibc takes for the threshold of mapping on no version."""


def keep_freed_memory() -> bool:
    """Has the allocator keep up to `KEPT_BYTES` of what is freed, for all threads together; returns whether
    it could be told. To be called before threads start.

    A batch's columns are some megabytes each. Given back to the kernel after every batch, their pages are
    cleared anew for the next one: a fifth of the worker's time.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:
        return False  # another C library, such as musl
    wishes = (
        (ONE_ARENA, 1),
        (TRIM_ABOVE, KEPT_BYTES),
        (TOP_PAD, PAD_BYTES),
        (MAP_ABOVE, KEPT_BYTES),
    )
    told = [bool(mallopt(number, value)) for number, value in wishes]
    if not told[-1]:
        told[-1] = bool(mallopt(MAP_ABOVE, MOST_MAPPED_BYTES))
    return all(told)


def give_memory_back() -> bool:
    """Gives what was freed back to the kernel; returns whether there was any. Takes some milliseconds."""
    try:
        return bool(ctypes.CDLL(None).malloc_trim(0))
    except AttributeError:
        return False


async def give_back_when_quiet(look_every_s: float = LOOK_EVERY_S) -> None:
    """Gives memory back whenever this process has worked little between two looks, until cancelled."""
    while True:
        used_s = time.process_time()
        await asyncio.sleep(look_every_s)
        if time.process_time() - used_s < QUIET * look_every_s:
            give_memory_back()


def settle_memory() -> None:
    """Takes what was loaded out of the collector's sight: it never becomes garbage, and looking through it
    again and again would hold up every request behind it."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
