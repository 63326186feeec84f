"""Numbers written in decimal digits, read thousands at a time.

A token's text is given as 64-bit words of its bytes (little-endian: the first character in the lowest
byte), one column per token; what follows the token in its words does not matter. All characters of a word
are treated at once by arithmetic on the whole word. Keeps true that a value called good is the double nearest
to the decimal number: the digits fit into 53 bits and are divided once by a power of ten that is exact.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

WIDEST_DECIMAL = 16
WIDEST_WHOLE = 19

_JSON_NUMBER = r"^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?$"
_EXACT = np.uint64(1 << 53)
_TENS = 10.0 ** np.arange(17)


def _each(byte: int) -> np.uint64:
    return np.uint64(byte * 0x0101010101010101)


_ZEROS, _SIX, _HIGH, _SIXTEEN = _each(0x30), _each(0x06), _each(0xF0), _each(0x10)
_U1, _U4, _U8, _U16, _U32, _U56, _U60, _U64 = (np.uint64(bits) for bits in (1, 4, 8, 16, 32, 56, 60, 64))
_TEN, _BYTE, _DOT_LESS_ZERO, _MINUS = np.uint64(10), np.uint64(0xFF), np.uint64(0x1E), np.uint64(ord("-"))
_PAIRS = np.uint64(0x000000FF000000FF)
_FOURS, _ONES = np.uint64(100 + (1_000_000 << 32)), np.uint64(1 + (10_000 << 32))
# Times the single bit of the dot, these leave the number of characters behind the dot in the highest byte.
_BEHIND_LOW = np.uint64(0x0706050403020100)
_BEHIND_HIGH = np.uint64(0x0F0E0D0C0B0A0908)
_FIRST_TWO, _ZERO_AND_DIGIT = np.uint64(0xF0FF), np.uint64(0x3030)
_ONE_CHAR, _DOT = np.uint64(ord("1")), np.uint64(ord("."))
_GROUP = np.uint64(100_000_000)


def decimals(words: Words, lengths: Int64s) -> tuple[Floats, Mask, Words]:
    """Values of `-?digits(.digits)?` without needless zeros in front, in one or two words; which tokens are
    good, the others (other forms, too many digits) having no meaningful value; and how many digits follow the
    dot.

    lengths: characters of each token, from 1 to 8 for one word; for two words those above 16 are not good.
    """
    fits = lengths <= WIDEST_DECIMAL
    negative = (words[0] & _BYTE) == _MINUS
    signed = bool(negative.any())
    if signed:
        words, lengths = _without_sign(words, lengths, negative)
    shift = (len(words) * 8 - lengths).view(np.uint64) << np.uint64(3)
    mantissa, behind, wrong = (_one_word if len(words) == 1 else _two_words)(words, shift)
    good = wrong == 0
    _check_lead(words[0], good)
    values = mantissa.view(np.int64).astype(np.float64)
    values /= np.take(_TENS, behind.view(np.int64), mode="clip")
    if len(words) == 2:
        good &= fits
        good &= mantissa <= _EXACT
    if signed:
        good &= lengths > 0
        np.negative(values, out=values, where=negative)
    return values, good, behind


def long_decimals(text: Bytes, begins: Int64s, lengths: Int64s) -> tuple[Floats, Mask]:
    """Values of JSON numbers of any length in `text`, and which tokens are such."""
    order = np.argsort(begins)
    bounds = np.empty(2 * len(begins), np.int32)
    bounds[0::2] = begins[order]
    bounds[1::2] = bounds[0::2] + lengths[order]
    pieces = pa.StringArray.from_buffers(len(bounds) - 1, pa.py_buffer(bounds), pa.py_buffer(text))
    tokens = pieces.take(pa.array(np.arange(0, len(bounds), 2)))
    numbers = pc.match_substring_regex(tokens, _JSON_NUMBER)
    read = tokens.filter(numbers).cast(pa.float64()).to_numpy()
    good, values = np.empty(len(begins), np.bool_), np.zeros(len(begins))
    good[order] = numbers.to_numpy(zero_copy_only=False)
    values[order[good[order]]] = read
    good &= np.isfinite(values)
    return values, good


def wholes(words: Words, lengths: Int64s) -> tuple[Words, Mask]:
    """Values of tokens of digits only, and which tokens are good; for k words 8k - 7 to 8k characters."""
    shift = (len(words) * 8 - lengths).view(np.uint64) << np.uint64(3)
    value = np.zeros(words.shape[1], np.uint64)
    wrong = np.zeros(words.shape[1], np.uint64)
    back = _U64 - shift
    before: Words | None = None
    for word in words ^ _ZEROS:
        digits = word << shift
        if before is not None:
            digits |= before >> back
        before = word
        wrong |= (digits | (digits + _SIX)) & _HIGH
        value *= _GROUP
        value += _eight_digits(digits)
    return value, wrong == 0


def _without_sign(words: Words, lengths: Int64s, negative: Mask) -> tuple[Words, Int64s]:
    shift = negative.astype(np.uint64) << np.uint64(3)
    bare = words >> shift
    if len(words) == 2:
        bare[0] |= words[1] << (_U64 - shift)
    return bare, lengths - negative


def _check_lead(word: Words, good: Mask) -> None:
    """Unmarks what begins with a dot, or with a zero before another digit."""
    first = word & _BYTE
    if (first < _ONE_CHAR).any():
        good &= (word & _FIRST_TWO) != _ZERO_AND_DIGIT
        good &= first != _DOT


def _one_word(words: Words, shift: Words) -> tuple[Words, Words, Words]:
    """Digits as a whole number, how many of them stand behind the dot, and 0 where all is well."""
    word = words[0] ^ _ZEROS
    word <<= shift
    digits, dot, wrong = _split_dot(word)
    wrong |= dot >> _U56
    before = np.maximum(dot, _U1)
    before -= _U1
    wrong |= dot & before
    before &= digits
    # The digits before the dot move up by one place, over the dot.
    digits -= before
    before <<= _U8
    digits |= before
    dot *= _BEHIND_LOW
    dot >>= _U56
    return _eight_digits(digits), dot, wrong


def _two_words(words: Words, shift: Words) -> tuple[Words, Words, Words]:
    first, last = words[0] ^ _ZEROS, words[1] ^ _ZEROS
    high = first << shift
    # A shift by 64 or more, as an unsigned difference below zero is one too, leaves nothing.
    low = (last << shift) | (first >> (_U64 - shift)) | (first << (shift - _U64))
    high, dot_high, wrong = _split_dot(high)
    low, dot_low, wrong_low = _split_dot(low)
    wrong |= wrong_low
    wrong |= dot_low >> _U56
    wrong |= (dot_low != 0) & (dot_high != 0)
    before_low = np.maximum(dot_low, _U1) - _U1
    before_high = np.maximum(dot_high, _U1) - _U1
    wrong |= (dot_low & before_low) | (dot_high & before_high)
    before_low &= low
    before_high &= high
    step = (dot_low != 0).astype(np.uint64) << np.uint64(3)
    low = (low - before_low) | (before_low << _U8) | ((high >> _U56) * (step >> np.uint64(3)))
    high = ((high - before_high) | (before_high << _U8)) << step
    behind = ((dot_low * _BEHIND_LOW) | (dot_high * _BEHIND_HIGH)) >> _U56
    return _eight_digits(high) * _GROUP + _eight_digits(low), behind, wrong


def _split_dot(word: Words) -> tuple[Words, Words, Words]:
    """The digits with zero for the dot, one bit at the dot (the lowest of its byte), and 0 where all is well.

    Less `0`, a digit's byte is 0 to 9 and the dot's is 0x1E; no other character that has the bit 0x10 there
    passes as a dot, since its byte would not become zero."""
    dot = word & _SIXTEEN
    dot >>= _U4
    digits = dot * _DOT_LESS_ZERO
    digits ^= word
    wrong = digits + _SIX
    wrong |= digits
    wrong &= _HIGH
    left = dot * _BYTE
    left &= digits
    wrong |= left
    return digits, dot, wrong


def _eight_digits(digits: Words) -> Words:
    """The number whose eight digits are the bytes of each word: first pairs, then fours, then all."""
    value = digits * _TEN
    value += digits >> _U8
    upper = value >> _U16
    upper &= _PAIRS
    upper *= _ONES
    value &= _PAIRS
    value *= _FOURS
    value += upper
    value >>= _U32
    return value
