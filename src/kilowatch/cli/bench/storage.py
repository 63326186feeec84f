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
from kilowatch.lake.writing import LakeWriter
from kilowatch.settings import load_settings

ALL_BYTES = 1 << 40


def weigh_merged(data: Path) -> dict[str, Any]:
    """Merges all files as the scheduled upkeep would in time, then weighs every table."""
    settings = load_settings(data=data)
    writer = LakeWriter(find_lake(settings, find_addresses(settings)))
    try:
        while upkeep.merge_files(writer, ALL_BYTES):
            continue
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


if __name__ == "__main__":
    sys.stdout.write(json.dumps(weigh_merged(Path(sys.argv[1]))))
