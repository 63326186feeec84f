"""Freed memory: kept for the next batch, and given back in quiet times."""

import json
import subprocess
import sys

PROGRAM = """
import json
import numpy as np
import psutil
from kilowatch.cli.memory import give_memory_back, keep_freed_memory

def resident_mb():
    return psutil.Process().memory_info().rss / 2**20

kept = keep_freed_memory()
before = resident_mb()
batches = [np.ones(1 << 20) for _ in range(20)]
full = resident_mb()
del batches
freed = resident_mb()
given = give_memory_back()
print(json.dumps([kept, given, before, full, freed, resident_mb()]))
"""


def test_what_is_freed_is_kept_until_it_is_given_back() -> None:
    if not sys.platform.startswith("linux"):
        return
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    kept, given, before, full, freed, after = json.loads(done.stdout)
    assert full - before > 150
    if kept:
        assert freed - before > 100
    assert given == kept or freed - before < 50
    assert after - before < 50
