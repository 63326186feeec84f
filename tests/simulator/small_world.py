"""A small world in files, to be spoiled."""

import os
from collections.abc import Mapping
from pathlib import Path

FILES = {
    "world.yaml": """\
name: bakery
title: Bakery
description: Bread and those who eat it.
time_zone: Europe/Berlin
fleet:
  kind: plant
  regions: [hall]
seasons:
  advent:
    - { from: 11-28, to: 12-24 }
shapes:
  day:
    hours: [0, 0, 0, 0, 1, 3, 6, 9, 8, 6, 4, 4, 5, 4, 3, 3, 4, 5, 4, 0, 0, 0, 0, 0]
    weekend: 1.3
""",
    "streams.yaml": """\
streams:
  oven.heat:
    title: Heat of the oven
    kind: gauge
    mean: 230
  shop.visit:
    title: Visits
    mean: 800
    shape: day
    seasons: { advent: 1.5 }
  shop.sale:
    title: Sales
  shop.complaint:
    title: Complaints
  shop.sale.rate:
    title: Share of visits that end in a sale
    kind: ratio
    part: shop.sale
    whole: shop.visit
""",
    "relationships.yaml": """\
chains:
  - from: shop.visit
    outcomes:
      - { to: shop.sale, probability: 0.8, delay: { to: 10m } }
      - to: shop.complaint
        probability: 0.01
        delay: { from: 5m, to: 1d }
influences:
  - from: oven.heat
    on: shop.visit
    outcome: shop.sale
    elasticity: 0.5
""",
    "events.yaml": """\
templates:
  market_day:
    type: operational
    title: A market day
    description: Farmers sell next door.
    lasts: 6h
    effects:
      - { streams: [shop.visit], value: 1.4 }
    timing: { per_month: 4, seasons: [advent] }
""",
    "scenarios.yaml": """\
scenarios:
  cold_oven:
    name: Cold oven
    description: The oven fails.
    lasts: 3h
    effects:
      - streams: [oven.heat]
        value: 0.3
      - streams: [shop.sale]
        how: shift
        value: -0.4
    cascades:
      - id: anger
        delay: 30m
        effects: [{ streams: ["shop.*"], value: 1.1 }]
      - id: rumours
        after: anger
        delay: 1h
        effects: [{ streams: [shop.visit], value: 0.7 }]
    faults:
      - { kind: outage, where: { region: hall } }
    events:
      - { template: market_day, at: -1h }
    settling:
      curve: linear
      lasts: 1h
      backlog: { streams: [shop.visit], factor: 1.2, lasts: 1h }
""",
}


def write_world(folder: Path, changed: Mapping[str, str | None] | None = None) -> Path:
    """Writes the small world, files changed as given; None leaves one out."""
    inner = folder / "bakery"
    inner.mkdir(exist_ok=True)
    for name, text in {**FILES, **(changed or {})}.items():
        if text is not None:
            (inner / name).write_text(text, encoding="utf-8")
    return inner


def replace(folder: Path, file: str, text: str) -> None:
    """Writes a file anew, later than it was."""
    path = folder / file
    then = path.stat().st_mtime_ns + 1_000_000_000
    path.write_text(text, encoding="utf-8")
    os.utime(path, ns=(then, then))


def spoil(file: str, old: str, new: str) -> str:
    """The text of a file with a part that stands there once replaced."""
    assert FILES[file].count(old) == 1, old
    return FILES[file].replace(old, new)


def line_of(text: str, part: str) -> int:
    """The line on which a part first stands."""
    assert part in text, part
    return text[: text.index(part)].count("\n") + 1
