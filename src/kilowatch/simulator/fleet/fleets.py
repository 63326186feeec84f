"""The fleets by the name of their kind."""

from kilowatch.simulator.fleet.grid import Grid
from kilowatch.simulator.fleet.home import Home
from kilowatch.simulator.fleet.microgrid import Microgrid
from kilowatch.simulator.fleet.plant import Plant
from kilowatch.simulator.fleet.rows import Fleet
from kilowatch.simulator.world.format import Fleet as Wanted

DEFAULT_ZONE = "Europe/Berlin"


def make_fleet(wanted: Wanted, seed: int, zone: str = DEFAULT_ZONE) -> Fleet:
    """The fleet that a world asks for; the same for the same seed."""
    if wanted.kind == "grid":
        return Grid(wanted.devices, seed, wanted.regions, wanted.feeders_per_region, zone)
    if wanted.kind == "plant":
        return Plant(wanted.devices, seed, wanted.regions, zone)
    if wanted.kind == "microgrid":
        return Microgrid(wanted.devices, seed, zone)
    return Home(wanted.devices, seed, zone)
