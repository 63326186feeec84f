"""The figures of workers, which are other processes: taken down there, shown by the servers.

Keeps true that each worker's figures stand by themselves, under the label `worker`, so that one that starts
anew is not mistaken for all of them; and that a worker which is not heard of any more shows nothing.
"""

import time
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.registry import Collector

from kilowatch.wire.figures import Sample, WorkerFigures

FORGOTTEN_AFTER_S = 10.0
SINCE = "_created"
"""Ends the names of samples that say since when something is counted; those are not told."""


def take_down(own: CollectorRegistry, worker: str) -> WorkerFigures:
    """All figures of this process's worker as they are now."""
    samples = [
        Sample(one.name, one.labels, one.value)
        for figure in own.collect()
        for one in figure.samples
        if not one.name.endswith(SINCE)
    ]
    return WorkerFigures(worker, samples)


class Workers(Collector):
    """What the workers told last. `own` declares their figures; here it stays as it is."""

    def __init__(self, own: CollectorRegistry, now_s: Callable[[], float] = time.monotonic) -> None:
        self._own = own
        self._now_s = now_s
        self._told: dict[str, tuple[float, WorkerFigures]] = {}

    def hear(self, figures: WorkerFigures) -> None:
        """Takes what a worker tells."""
        self._told[figures.worker] = (self._now_s(), figures)

    def collect(self) -> Iterator[Metric]:
        """The workers' figures, each with the label `worker`."""
        since_s = self._now_s() - FORGOTTEN_AFTER_S
        self._told = {name: told for name, told in self._told.items() if told[0] >= since_s}
        for declared in self._own.collect():
            shown = Metric(declared.name, declared.documentation, declared.type)
            for worker, (_, figures) in self._told.items():
                for one in figures.samples:
                    if _belongs(one.name, declared.name):
                        shown.add_sample(one.name, {"worker": worker, **one.labels}, one.value)
            yield shown


def _belongs(sample: str, figure: str) -> bool:
    """Whether a sample is one of a figure's."""
    return sample.startswith(figure) and sample[len(figure) :] in ("", "_total", "_bucket", "_sum", "_count")
