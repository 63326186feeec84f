"""The probabilities with which events come to their outcomes, with all that is done to them. Pure.

Keeps true: each lies in [0, 1]; those of an exclusive chain never add up to more than 1, and to as much as
before where the chain is complete, that is where something comes of each event.
"""

from collections.abc import Sequence

import numpy as np

from kilowatch.simulator.engine.chance import Floats, Mask
from kilowatch.simulator.engine.modifiers import Change
from kilowatch.simulator.world.format import Chain

COMPLETE = 1.0 - 1e-9


def probabilities(chain: Chain, done: Sequence[Change], count: int) -> tuple[Floats, Floats]:
    """The probability of each outcome, and how many more a factor asks for than there are causes for.

    Shapes (outcomes, count). What was changed goes first. In a complete chain the other outcomes share the
    rest in their proportion, and there is never more than causes; in another one they give way only where
    there would be more than 1 otherwise.
    """
    usual = np.array([outcome.probability for outcome in chain.outcomes])
    base = np.repeat(usual[:, None], count, axis=1)
    excess = np.zeros_like(base)
    wanted, touched = base.copy(), np.zeros(base.shape, np.bool_)
    for which, change in enumerate(done):
        if change.factor is not None:
            wanted[which] *= change.factor
            touched[which] |= change.factor != 1.0
        if change.shift is not None:
            wanted[which] += change.shift
            touched[which] |= change.shift != 0.0
    if not touched.any():
        return base, excess
    wanted = np.where(touched, np.maximum(wanted, 0.0), base)
    is_complete = chain.exclusive and float(usual.sum()) >= COMPLETE
    found = _exclusive(base, wanted, touched, is_complete) if chain.exclusive else np.minimum(wanted, 1.0)
    if not is_complete:
        for which, change in enumerate(done):
            if change.factor is not None:
                more = base[which] * change.factor - found[which]
                excess[which] = np.where(change.factor > 1.0, np.maximum(more, 0.0), 0.0)
    return found, excess


def _exclusive(base: Floats, wanted: Floats, touched: Mask, is_complete: bool) -> Floats:
    """Those that were changed as they are wanted, but together at most 1; the others share what is left."""
    changed = np.where(touched, wanted, 0.0)
    total = changed.sum(axis=0)
    changed /= np.maximum(total, 1.0)
    left = 1.0 - np.minimum(total, 1.0)
    others = np.where(touched, 0.0, base)
    asked = others.sum(axis=0)
    share = np.divide(left, asked, out=np.zeros_like(left), where=asked > 0.0)
    if not is_complete:
        share = np.minimum(share, 1.0)
    else:
        alone = (asked == 0.0) & (total > 0.0)
        changed = np.where(alone, changed / np.where(alone, changed.sum(axis=0), 1.0), changed)
    return np.where(touched.any(axis=0), changed + others * share, base)
