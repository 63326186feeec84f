"""Waiting: for blocking work in threads that nobody leaves behind, and for the word to stop."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import ParamSpec, TypeVar

Answer = TypeVar("Answer")
Given = ParamSpec("Given")


async def to_the_end(work: Callable[Given, Answer], *args: Given.args, **kwargs: Given.kwargs) -> Answer:
    """Runs `work` in a thread, to its end."""
    return await finish(asyncio.ensure_future(asyncio.to_thread(work, *args, **kwargs)))


async def finish(working: asyncio.Future[Answer]) -> Answer:
    """Waits for a thread's work. Whoever is cancelled meanwhile waits for its end all the same: a commit that
    goes on after its shift would not be seen by the next one, and its readings would be stored twice."""
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        while not working.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait({working})
        working.exception()
        raise


async def wait_for(stop: asyncio.Event, timeout_s: float) -> bool:
    """Whether `stop` was set within the time."""
    try:
        async with asyncio.timeout(timeout_s):
            await stop.wait()
    except TimeoutError:
        return False
    return True
