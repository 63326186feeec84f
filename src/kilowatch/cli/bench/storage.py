"""What the readings of a run weigh in the lake once their files are merged.

A program of its own (`python -m kilowatch.cli.bench.storage DATA`), so that it sees the environment of the
temporary instance and not that of whoever started the bench.
"""

import json
import sys
from pathlib import Path
from typing import Any

from kilowatch.cli.places import find_addresses, find_lake
from kilowatch.lake import upkeep
from kilowatch.lake.connection import LostRace
from kilowatch.lake.writing import LakeWriter
from kilowatch.settings import load_settings

ALL_BYTES = 1 << 40
TRIES = 10


def weigh_merged(data: Path) -> dict[str, Any]:
    """Merges all files as the scheduled upkeep would in time, then weighs every table."""
    settings = load_settings(data=data)
    writer = LakeWriter(find_lake(settings, find_addresses(settings)))
    try:
        merge_all(writer)
        weights = {weight.table: weight for weight in upkeep.weigh(writer.connection)}
    finally:
        writer.close()
    samples = weights["samples"]
    everything = sum(weight.bytes for weight in weights.values())
    return {
        "samples": samples.rows,
        "files": samples.files,
        "bytes_per_sample": round(samples.bytes / max(1, samples.rows), 3),
        "bytes_per_sample_with_all_tables": round(everything / max(1, samples.rows), 3),
    }


def merge_all(writer: LakeWriter) -> None:
    """Merges until nothing is left to merge; the instance's own upkeep may be at the same files."""
    left = TRIES
    while True:
        try:
            if not upkeep.merge_files(writer, ALL_BYTES):
                return
        except LostRace:
            left -= 1
            if not left:
                raise


if __name__ == "__main__":
    sys.stdout.write(json.dumps(weigh_merged(Path(sys.argv[1]))))
