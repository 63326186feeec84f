"""Telling the instance of a fleet's devices before they report: what they are, where, and how strong.

Keeps true: a device that is there already is left as it is. Devices that are not told of are made by their
first reading, by the key that they are sent with.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

import httpx

from kilowatch.simulator.fleet.rows import Roster
from kilowatch.simulator.sending.door import Away, Find, TurnedAway
from kilowatch.simulator.sending.http import wait_of

PATH = "/api/v1/devices"
TOLD_MOST = 5_000
"""Larger fleets are made by their readings alone: a request for each device would take minutes."""
AT_A_TIME = 8
WITHIN_S = 30.0
TRIES = 30


@dataclass(slots=True)
class Described:
    """How many devices were made, and how many were there before."""

    made: int = 0
    there: int = 0


async def describe(find: Find, roster: Roster, world: str) -> Described:
    """Makes the devices that are missing.

    Raises:
        TurnedAway: if one is refused.
        Away: if the instance does not answer for long.
    """
    described = Described()
    if len(roster) > TOLD_MOST:
        return described
    wanted = asyncio.Queue[dict[str, Any]]()
    for place in range(len(roster)):
        wanted.put_nowait(fields_of(roster, place, world))
    async with httpx.AsyncClient(timeout=WITHIN_S, trust_env=False) as http:
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(AT_A_TIME):
                    group.create_task(_make_all(http, find, wanted, described))
        except* (TurnedAway, Away) as refused:
            raise refused.exceptions[0] from None
    return described


def fields_of(roster: Roster, place: int, world: str) -> dict[str, Any]:
    """A device as the API takes it."""
    region, feeder = roster.regions[roster.region[place]], int(roster.feeder[place]) + 1
    return {
        "id": roster.ids[place],
        "type": roster.types[roster.type[place]],
        "region": region,
        "rated_power_w": round(float(roster.rated_w[place]), 1),
        "metadata": {"world": world, "feeder": f"feeder-{feeder}"},
    }


async def _make_all(
    http: httpx.AsyncClient, find: Find, wanted: "asyncio.Queue[dict[str, Any]]", described: Described
) -> None:
    while not wanted.empty():
        status = await _make(http, find, wanted.get_nowait())
        described.made += status == 201
        described.there += status == 409


async def _make(http: httpx.AsyncClient, find: Find, fields: dict[str, Any]) -> int:
    for _ in range(TRIES):
        place = find()
        wait_s = 1.0
        if place is not None:
            try:
                headers = {"Authorization": f"Bearer {place.key}"}
                answer = await http.post(f"{place.url}{PATH}", json=fields, headers=headers)
            except httpx.TransportError:
                answer = None
            if answer is not None and answer.status_code in (201, 409):
                return answer.status_code
            if answer is not None and answer.status_code not in (429, 503):
                raise TurnedAway(f"{place.url}{PATH} answered {answer.status_code}: {answer.text[:300]}")
            wait_s = wait_of(answer) if answer is not None else wait_s
        await asyncio.sleep(wait_s)
    raise Away
