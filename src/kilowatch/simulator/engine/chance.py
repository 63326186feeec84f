"""Counted chance: numbers that depend on a seed, a name and a counter, and on nothing else. Pure.

Keeps true: whoever asks, and whatever is asked beside it, the number of a (seed, name, index) is the same to
the bit. So history and live agree, any window equals the same window of the whole, and a run with modifiers
has the chance of the run without.
"""

import hashlib
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]
UInt64s = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX_1, MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
"""The constants of SplitMix64 (Steele, Lea and Flood 2014)."""
TINY = 2.0**-54
"""Half the distance between two numbers of chance: keeps 0 out of logarithms."""
FEW = 16.0
"""Poisson numbers of a smaller mean are counted exactly, others by the expansion."""

CENTRE_TOP = (
    3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3, 1.3731693765509461125e4,
    4.5921953931549871457e4, 6.7265770927008700853e4, 3.3430575583588128105e4, 2.5090809287301226727e3,
)  # fmt: skip
CENTRE_LOW = (
    1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
    2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4, 5.2264952788528545610e3,
)  # fmt: skip
MIDDLE_TOP = (
    1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0, 3.64784832476320460504e0,
    1.27045825245236838258e0, 2.41780725177450611770e-1, 2.27238449892691845833e-2,
    7.74545014278341407640e-4,
)  # fmt: skip
MIDDLE_LOW = (
    1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
    1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4,
    1.05075007164441684324e-9,
)  # fmt: skip
FAR_TOP = (
    6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0, 2.96560571828504891230e-1,
    2.65321895265761230930e-2, 1.24266094738807843860e-3, 2.71155556874348757815e-5,
    2.01033439929228813265e-7,
)  # fmt: skip
FAR_LOW = (
    1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
    7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7,
    2.04426310338993978564e-15,
)  # fmt: skip
"""The coefficients of PPND16 (Wichura 1988, algorithm AS 241), exact to about 1 in 10**16."""


def mix(state: UInt64s) -> UInt64s:
    """64 bits for each state: the output function of SplitMix64."""
    state = (state ^ (state >> np.uint64(30))) * MIX_1
    state = (state ^ (state >> np.uint64(27))) * MIX_2
    bits: UInt64s = state ^ (state >> np.uint64(31))
    return bits


def as_share(bits: UInt64s) -> Floats:
    """Numbers in [0, 1) of such bits."""
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def spread(state: UInt64s) -> Floats:
    """Numbers in [0, 1), evenly spread, one for each state."""
    return as_share(mix(state))


@lru_cache(maxsize=4096)
def key_of(seed: int, name: str) -> int:
    """Where the numbers of a name begin, 0 to 2**64 - 1."""
    return int.from_bytes(hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=8).digest())


def even(seed: int, name: str, index: Int64s) -> Floats:
    """Numbers in [0, 1), evenly spread, one for each index."""
    return spread(np.uint64(key_of(seed, name)) + GOLDEN * index.astype(np.uint64))


def last_of(count: int, most: int, seed: int, name: str) -> Floats:
    """The last `most` of `count` numbers in [0, 1) that are evenly spread, in order, without the others: the
    greatest of n is as a number to the power 1/n, and what is below it is n - 1 such numbers again."""
    index = np.arange(min(count, most), dtype=np.int64)
    falls = np.log(even(seed, name, index) + TINY) / (count - index)
    return np.exp(np.cumsum(falls))[::-1]


def normal(seed: int, name: str, index: Int64s) -> Floats:
    """Numbers of mean 0 and variance 1, normally spread, one for each index."""
    return normal_of(even(seed, name, index))


def normal_of(chance: Floats) -> Floats:
    """The normal numbers that have these chances in [0, 1) of lying below; increasing."""
    centred = chance + TINY - 0.5
    square = 0.180625 - centred * centred
    found = centred * _quotient(square, CENTRE_TOP, CENTRE_LOW)
    outside = np.flatnonzero(square < 0.0)
    if len(outside):
        off = centred[outside]
        root = np.sqrt(-np.log(np.maximum(0.5 - np.abs(off), TINY)))
        far = np.where(
            root <= 5.0,
            _quotient(root - 1.6, MIDDLE_TOP, MIDDLE_LOW),
            _quotient(root - 5.0, FAR_TOP, FAR_LOW),
        )
        found[outside] = np.copysign(far, off)
    return found


def _quotient(at: Floats, top: tuple[float, ...], low: tuple[float, ...]) -> Floats:
    above, below = np.full_like(at, top[-1]), np.full_like(at, low[-1])
    for up, down in zip(reversed(top[:-1]), reversed(low[:-1]), strict=True):
        above *= at
        above += up
        below *= at
        below += down
    return above / below


def poisson_of(chance: Floats, mean: Floats) -> Floats:
    """The Poisson numbers of these means that have these chances in [0, 1) of not being exceeded.

    Below a mean of 16 exact; above it by the normal expansion
    Q(z) = m + z sqrt(m) + (z**2 + 2)/6 - (z**3 + 2z)/(72 sqrt(m)) (Giles 2016, ACM TOMS 955).
    """
    found = np.zeros_like(mean)
    many = np.flatnonzero(mean >= FEW)
    if len(many):
        z, of = normal_of(chance[many]), mean[many]
        root = np.sqrt(of)
        square = z * z
        found[many] = np.floor(of + z * root + (square + 2.0) / 6.0 - z * (square + 2.0) / (72.0 * root))
    few = np.flatnonzero((mean < FEW) & (mean > 0.0))
    left, of = chance[few], mean[few]
    term = np.exp(-of)
    reached, number = term.copy(), 0
    while len(few) and number < 100:
        more = np.flatnonzero(left > reached)
        few, left, of, term, reached = few[more], left[more], of[more], term[more], reached[more]
        number += 1
        term = term * of / number
        reached = reached + term
        found[few] = number
    return found
