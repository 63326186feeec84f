"""The level of each stream at each moment, with all that is done to it and all that follows. Pure.

Keeps true: an outcome of a chain comes of its parent's events, with the probability that held when they
happened, and nothing of them is lost: of each, at most one outcome of an exclusive chain comes, and what has
not come yet is waiting. Without modifiers each ratio is exactly 1.

The chains spread a level over later intervals, so a grid is worked out from as far back as anything can still
be felt; therefore a window has the same levels alone as within a larger one.
"""

from collections.abc import Sequence

import numpy as np

from kilowatch.simulator.engine.chance import Floats
from kilowatch.simulator.engine.delays import waiting
from kilowatch.simulator.engine.modifiers import Modifier, changes
from kilowatch.simulator.engine.moments import Moments
from kilowatch.simulator.engine.run import Levels, Run
from kilowatch.simulator.engine.weaving import Weaving


def levels(run: Run, moments: Moments, modifiers: Sequence[Modifier] = ()) -> Levels:
    """The levels of all streams on a grid."""
    return remembered(run, moments, modifiers).last(moments.count)


def remembered(
    run: Run, moments: Moments, modifiers: Sequence[Modifier] = (), usual: Levels | None = None
) -> Levels:
    """The levels on a grid and on as much before it as it remembers; only the grid itself is right in full.

    `usual`: what the same call gave without modifiers, where that is at hand.
    """
    long = moments.earlier(run.causes.memory(moments.step_us))
    if usual is None:
        usual = Weaving(run, long).woven()
    done = changes(modifiers, long)
    return Weaving(run, long, done, usual).woven() if done else usual


def waiting_events(run: Run, found: Levels, chain: int) -> Floats:
    """How many of the parent's events will still come to an outcome of a chain, at the end of each interval.

    Right where the grid reaches back over the delays of the chain. Shape (count,).
    """
    kernels = run.causes.kernels(found.moments.step_us)
    parent = found.of(run.world.chains[chain].of)
    left = np.zeros(found.moments.count)
    for which in range(len(run.world.chains[chain].outcomes)):
        left += waiting(parent * found.probability[chain, which], kernels[chain, which])
    return left
