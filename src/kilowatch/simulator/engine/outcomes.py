"""The probabilities with which events come to their outcomes, with all that is done to them. Pure.

Keeps true: each lies in [0, 1]; those of an exclusive chain never add up to more than 1, and to as much as
before where the chain is complete, that is where something comes of each event.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kilowatch.simulator.engine.chance import Floats, Mask
from kilowatch.simulator.world.format import Chain

COMPLETE = 1.0 - 1e-9


@dataclass(frozen=True, slots=True)
class Leaning:
    """What is done to the probability of one outcome; shapes (count,), None is nothing. own, shift: the
    factor and the addend of modifiers; follows: the factor of influences."""

    own: Floats | None = None
    shift: Floats | None = None
    follows: Floats | None = None

    @property
    def factor(self) -> Floats | None:
        """Both factors together."""
        if self.own is None or self.follows is None:
            return self.follows if self.own is None else self.own
        return self.own * self.follows


def probabilities(chain: Chain, leanings: Sequence[Leaning], count: int) -> tuple[Floats, Floats]:
    """The probability of each outcome, and how many more a factor asks for than there are causes for.

    Shapes (outcomes, count). What modifiers act on goes first, then what follows something. In a complete
    chain the other outcomes share the rest in their proportion, and there are never more than causes; in
    another one they give way only where there would be more than 1 otherwise.
    """
    usual = np.array([outcome.probability for outcome in chain.outcomes])
    base = np.repeat(usual[:, None], count, axis=1)
    excess = np.zeros_like(base)
    wanted, first, moved = base.copy(), np.zeros(base.shape, np.bool_), np.zeros(base.shape, np.bool_)
    for which, leaning in enumerate(leanings):
        _lean(leaning, wanted[which], first[which], moved[which])
    if not moved.any():
        return base, excess
    wanted = np.where(moved, np.maximum(wanted, 0.0), base)
    is_complete = chain.exclusive and float(usual.sum()) >= COMPLETE
    if chain.exclusive:
        found = np.where(moved.any(axis=0), _exclusive(wanted, first, moved, is_complete=is_complete), base)
    else:
        found = np.minimum(wanted, 1.0)
    if not is_complete:
        for which, leaning in enumerate(leanings):
            if (factor := leaning.factor) is not None:
                more = base[which] * factor - found[which]
                excess[which] = np.where(factor > 1.0, np.maximum(more, 0.0), 0.0)
    return found, excess


def _lean(leaning: Leaning, wanted: Floats, first: Mask, moved: Mask) -> None:
    """Does to one outcome, in place, what is done to it, and marks what modifiers or anything act on."""
    if leaning.own is not None:
        first |= leaning.own != 1.0
    if leaning.factor is not None:
        wanted *= leaning.factor
        moved |= leaning.factor != 1.0
    if leaning.shift is not None:
        wanted += leaning.shift
        first |= leaning.shift != 0.0
    moved |= first


def _exclusive(wanted: Floats, first: Mask, moved: Mask, *, is_complete: bool) -> Floats:
    """First those that modifiers act on, then those that only follow something, as they are wanted as far as
    there is room; the others share what is left. Where there are no others in a complete chain, the last of
    these take all."""
    tiers = np.stack([np.where(which, wanted, 0.0) for which in (first, moved & ~first, ~moved)])
    left = np.ones(wanted.shape[1])
    for number in (0, 1):
        total = tiers[number].sum(axis=0)
        tiers[number] *= np.divide(left, total, out=np.ones_like(left), where=total > left)
        left = np.maximum(left - tiers[number].sum(axis=0), 0.0)
    asked = tiers[2].sum(axis=0)
    share = np.divide(left, asked, out=np.zeros_like(left), where=asked > 0.0)
    tiers[2] *= share if is_complete else np.minimum(share, 1.0)
    if is_complete:
        missing = (left > 0.0) & (asked == 0.0)
        for number in (1, 0):
            total = tiers[number].sum(axis=0)
            takes = missing & (total > 0.0)
            missing &= ~takes
            tiers[number] *= np.where(takes, 1.0 + left / np.where(takes, total, 1.0), 1.0)
    found: Floats = tiers[0] + tiers[1] + tiers[2]
    return found
