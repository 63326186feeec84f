"""How partitions are named on the command line."""

import re

from kilowatch.errors import StartRefused

FORM = re.compile(r"(\d+)(?:-(\d+))?(?:/(\d+))?")


def parse_partitions(text: str | None, total: int) -> list[int]:
    """The partitions that `0-7/16`, `3` or nothing (all of them) means on an instance with `total`.

    Raises:
        StartRefused: if it means none, or counts otherwise than the instance.
    """
    if text is None:
        return list(range(total))
    found = FORM.fullmatch(text)
    if found is None:
        raise StartRefused(f"--partitions {text!r} is not of the form 0-7/16.")
    first = int(found[1])
    last = int(found[2]) if found[2] else first
    if found[3] and int(found[3]) != total:
        raise StartRefused(
            f"--partitions {text} counts {found[3]} partitions, but KILOWATCH_PARTITIONS is {total}."
        )
    if not first <= last < total:
        raise StartRefused(f"--partitions {text}: this instance has the partitions 0 to {total - 1}.")
    return list(range(first, last + 1))
