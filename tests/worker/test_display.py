"""What people who watch get to see: all of it, however much arrives at once."""

import asyncio

import numpy as np

from kilowatch.wire.frame import Frame
from kilowatch.wire.live import VALUES_SUBJECT
from kilowatch.worker.display import Display
from tests.worker.house import House, until

DEVICES = 60_000


async def test_more_devices_than_fit_into_a_message_are_shown(house: House) -> None:
    seen: list[Frame] = []
    heard = await house.client.subscribe(VALUES_SUBJECT, lambda _, data: seen.append(Frame.decode(data)))
    display = Display(house.client)
    device = np.arange(1, DEVICES + 1, dtype=np.int32)
    for second in range(2):
        ts_us = np.full(DEVICES, second * 1_000_000, np.int64)
        values = {7: device.astype(np.float64) + second, 8: device.astype(np.float64)}
        display.add(Frame(device, ts_us, np.ones(DEVICES, np.int32), values))
    showing = asyncio.create_task(display.run())

    async def arrived() -> bool:
        return sum(map(len, seen)) >= DEVICES

    try:
        await until(arrived, "the newest of every device")
    finally:
        showing.cancel()
        await asyncio.gather(showing, return_exceptions=True)
        await heard.stop()
    whole = Frame.concat(seen)
    order = np.argsort(whole.device)
    assert len(seen) > 1
    assert np.array_equal(whole.device[order], device)
    assert np.array_equal(whole.metrics[7][order], device + 1.0)
