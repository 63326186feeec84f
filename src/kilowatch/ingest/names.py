"""Which device number a name stands for, asked for thousands of names at once.

Owns the hash table over the device names of one organisation. Names are compared as the 64-bit words of
their bytes, so that a look-up makes no Python object per reading, and every word is compared: two names
with the same hash never stand for each other.
"""

import threading
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]
Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.intp]

NAME_BYTES = 64
NAME_WORDS = NAME_BYTES // 8
ABSENT = -1
TURN_NAMES = 16_384
"""Names that are looked up at a time, so that nobody waits long for a table that is asked for very many."""

_FIRST_BYTES = np.array([(1 << 8 * count) - 1 for count in range(9)], np.uint64)
# Odd factors, so that multiplying loses nothing.
_MIX = np.uint64(0x9E3779B97F4A7C15)
_FACTORS = np.uint64(0xC2B2AE3D27D4EB4F) + np.arange(NAME_WORDS - 1, dtype=np.uint64) * np.uint64(
    0x165667B19E3779F8
)
_FOLD = np.uint64(32)


class NameTable:
    """Device names of one organisation and their numbers; an open-addressing hash table in arrays.

    May be asked and added to by several threads: large bodies are read beside the event loop, which goes on
    adding devices meanwhile. One thread at a time has a turn, so that none sees a table half grown.
    """

    def __init__(self, names: Sequence[str] = (), numbers: Sequence[int] = ()) -> None:
        self._turn = threading.Lock()
        self._size = 0
        self._words = np.zeros((NAME_WORDS, 16), np.uint64)
        self._numbers = np.zeros(16, np.int32)
        self._slots = np.full(128, ABSENT, np.int32)
        self.add(names, numbers)

    def __len__(self) -> int:
        return self._size

    def add(self, names: Sequence[str], numbers: Sequence[int]) -> None:
        """Takes in new names; a name that is there already gets the new number.

        Raises:
            ValueError: if a name is empty, longer than 64 bytes or holds a NUL.
        """
        if not names:
            return
        fresh = dict(zip(names, numbers, strict=True))
        words = words_of_names(list(fresh))
        values = np.fromiter(fresh.values(), np.int32, len(fresh))
        with self._turn:
            rows = self._rows(words)
            there = rows >= 0
            self._numbers[rows[there]] = values[there]
            self._append(np.ascontiguousarray(words[:, ~there]), values[~there])

    def find(self, words: Words) -> Int32s:
        """Device number for each column of `words` (k x n: the name's bytes, zero-padded), -1 where unknown.

        `words` may have fewer than eight rows as long as each name ends in a zero byte within them. A name
        that holds a NUL is not told apart from its part before it.
        """
        count = words.shape[1]
        if count <= TURN_NAMES:
            return self._find(words)
        turns = range(0, count, TURN_NAMES)
        return np.concatenate([self._find(words[:, first : first + TURN_NAMES]) for first in turns])

    def _find(self, words: Words) -> Int32s:
        with self._turn:
            rows = self._rows(words)
            found = np.take(self._numbers, rows, mode="clip")
        unknown = rows < 0
        if unknown.any():
            found[unknown] = ABSENT
        return found

    def find_names(self, names: Sequence[str]) -> Int32s:
        """Device number for each name, -1 where unknown."""
        if not names:
            return np.zeros(0, np.int32)
        try:
            return self.find(words_of_names(names))
        except ValueError:
            found = np.full(len(names), ABSENT, np.int32)
            fitting = [row for row, name in enumerate(names) if _fits(name)]
            found[fitting] = self.find_names([names[row] for row in fitting])
            return found

    def _append(self, words: Words, numbers: Int32s) -> None:
        size = self._size + len(numbers)
        if size > len(self._numbers):
            room = max(size, 2 * len(self._numbers))
            grown = np.zeros((NAME_WORDS, room), np.uint64)
            grown[:, : self._size] = self._words[:, : self._size]
            self._words = grown
            self._numbers = np.concatenate(
                [self._numbers[: self._size], np.zeros(room - self._size, np.int32)]
            )
        self._words[: len(words), self._size : size] = words
        self._numbers[self._size : size] = numbers
        first, self._size = self._size, size
        if size * 8 > len(self._slots):
            self._slots = np.full(1 << (size * 8 - 1).bit_length(), ABSENT, np.int32)
            first = 0
        self._place(np.arange(first, size, dtype=np.int32))

    def _place(self, rows: Int32s) -> None:
        """Gives each row a slot. All rows bid for their slot at once; those that lose try the next."""
        mask = len(self._slots) - 1
        at = _hash(self._words[:, rows]) & mask
        while len(rows):
            free = self._slots[at] == ABSENT
            self._slots[at[free]] = rows[free]
            lost = self._slots[at] != rows
            rows, at = rows[lost], (at[lost] + 1) & mask

    def _rows(self, words: Words) -> Int32s:
        """Row of each name, -1 where the table does not hold it."""
        mask = len(self._slots) - 1
        at = _hash(words) & mask
        rows = np.take(self._slots, at, mode="clip")
        differs = np.not_equal(np.take(self._words[0], rows, mode="clip"), words[0])
        for mine, asked in zip(self._words[1:], words[1:], strict=False):
            differs |= np.not_equal(np.take(mine, rows, mode="clip"), asked)
        differs &= rows != ABSENT
        if differs.any():
            self._probe_on(words, rows, at, np.flatnonzero(differs))
        # An empty slot clips to row 0, which may be the very name asked for: it is absent all the same.
        return rows

    def _probe_on(self, words: Words, rows: Int32s, at: Ints, open_: Ints) -> None:
        mask = len(self._slots) - 1
        while len(open_):
            at[open_] = (at[open_] + 1) & mask
            candidate = self._slots[at[open_]]
            rows[open_] = candidate
            differs = (self._words[: len(words), candidate] != words[:, open_]).any(axis=0)
            open_ = open_[differs & (candidate != ABSENT)]


def words_of_names(names: Sequence[str]) -> Words:
    """Names as 8 x n words, zero-padded.

    Raises:
        ValueError: if a name is empty, longer than 64 bytes or holds a NUL.
    """
    encoded = list(map(str.encode, names))
    lengths = list(map(len, encoded))
    if min(lengths) == 0 or max(lengths) > NAME_BYTES or b"\0" in b"".join(encoded):
        raise ValueError("a device name has 1 to 64 bytes and no NUL")
    padded = np.array(encoded, dtype=f"S{NAME_BYTES}")
    return np.ascontiguousarray(padded.view("<u8").reshape(len(names), NAME_WORDS).T)


def words_in(text: Bytes, begins: Int64s, lengths: Int64s) -> Words:
    """The names that stand in `text`, which goes on for 64 bytes after the last; longer ones are cut."""
    longest = min(int(lengths.max()), NAME_BYTES)
    size = 8 * (min(longest, NAME_BYTES - 1) // 8 + 1)
    windows = np.ndarray((len(text) - size + 1,), np.dtype((np.void, size)), buffer=text, strides=(1,))
    words = np.ascontiguousarray(windows[begins].view("<u8").reshape(len(begins), -1).T)
    cut_words(words, lengths, int(lengths.min()), longest)
    return words


def cut_words(words: Words, lengths: Int64s, shortest: int, longest: int) -> None:
    """Sets to zero what follows each name in its words."""
    for row in range(shortest // 8, len(words)):
        if shortest == longest:
            words[row] &= _FIRST_BYTES[min(8, longest - 8 * row)]
        else:
            words[row] &= np.take(_FIRST_BYTES, lengths - 8 * row, mode="clip")


def _fits(name: str) -> bool:
    try:
        return 0 < len(name.encode()) <= NAME_BYTES and "\0" not in name
    except UnicodeEncodeError:
        return False


def _hash(words: Words) -> Ints:
    """A mix of all words. Rows of zeros at the end change nothing, so a narrow query finds a wide entry."""
    mixed = words[0] * _MIX
    for factor, word in zip(_FACTORS, words[1:], strict=False):
        mixed ^= word * factor
    mixed ^= mixed >> _FOLD
    mixed *= _MIX
    mixed >>= _FOLD
    slots: Ints = mixed.view(np.intp)
    return slots
