"""Given ids and texts into ids that no other document has."""

import hashlib

import numpy as np
import polars as pl
from numpy.typing import NDArray

__all__ = ["Ids"]

Keys = NDArray[np.int64]
FEW_REPEATS = 1 << 20  # names whose last number is remembered, to find the next one at once


class Ids:
    """Gives each document its id: the given one, else blake2b-8 of the text; a repeat gets `#2`, `#3`, ... in order of reading.

    What was used is kept as 64-bit keys in sorted arrays, 8 bytes an id. A key is Python's own hash of the id: it means something
    in this process only, and two ids among ten million share one with a probability of 3 in a million (the later one is then
    renamed without need).
    """

    def __init__(self) -> None:
        self.renamed = 0
        self._used = _KeySet()
        self._last: dict[str, int] = {}

    def unique(self, given: pl.Series | None, texts: pl.Series) -> pl.Series:
        """The ids of a batch, shape [documents], each used once."""
        names = _wanted(given, texts)
        keys = _keys(names)
        old = self._used.contains(keys)
        first = np.zeros(len(keys), dtype=np.bool_)
        first[np.unique(keys, return_index=True)[1]] = True
        slow = pl.Series(old | ~first)
        if not slow.any():
            self._used.add(keys)
            return names
        # A renamed id ends with #number, so only ids of that form and repeated ones depend on the order
        repeated = pl.Series(keys).is_duplicated() | slow | names.str.contains(r"#\d+$")
        taken = set[int]()
        rows = repeated.arg_true()
        wanted = names.gather(rows).to_list()
        known = self._foreseen(wanted)
        changed = [self._next_free(name, taken, known) for name in wanted]
        self._used.add(np.concatenate([keys[(~repeated).to_numpy()], np.fromiter(taken, np.int64, len(taken))]))
        return names.scatter(rows, changed)

    def _foreseen(self, wanted: list[str]) -> dict[int, bool]:
        """Whether the ids that will most likely be tried were used before: asked all at once, for one by one is slow."""
        last: dict[str, int] = {}
        tried = list(wanted)
        for name in wanted:
            last[name] = last.get(name, self._last.get(name, 1)) + 1
            tried.append(f"{name}#{last[name]}")
        keys = np.fromiter(map(hash, tried), np.int64, len(tried))
        return dict(zip(keys.tolist(), self._used.contains(keys).tolist(), strict=True))

    def _next_free(self, wanted: str, taken: set[int], known: dict[int, bool]) -> str:
        unique, count = wanted, self._last.get(wanted, 1)
        if count > 1:
            count += 1
            unique = f"{wanted}#{count}"
        while (key := hash(unique)) in taken or (known[key] if key in known else self._used.has(key)):
            count += 1
            unique = f"{wanted}#{count}"
        taken.add(key)
        if count > 1:
            self.renamed += 1
            if len(self._last) >= FEW_REPEATS:
                self._last.clear()
            self._last[wanted] = count
        return unique


def _wanted(given: pl.Series | None, texts: pl.Series) -> pl.Series:
    if given is None:
        return pl.Series("id", _digests(texts), dtype=pl.String)
    names = given.cast(pl.String, strict=False).alias("id")
    missing = (names.is_null() | (names == "")).arg_true()
    return names.scatter(missing, _digests(texts.gather(missing))) if len(missing) else names


def _digests(texts: pl.Series) -> list[str]:
    return [hashlib.blake2b(text, digest_size=8).hexdigest() for text in texts.cast(pl.Binary).to_list()]


def _keys(names: pl.Series) -> Keys:
    return np.fromiter(map(hash, names.to_list()), np.int64, len(names))


class _KeySet:
    """A set of integers in few sorted arrays, each more than twice as long as the next: 8 bytes a key."""

    def __init__(self) -> None:
        self._runs: list[Keys] = []

    def contains(self, keys: Keys) -> NDArray[np.bool_]:
        found = np.zeros(len(keys), dtype=np.bool_)
        order = np.argsort(keys)  # sorted questions stay near each other in memory
        for run in self._runs:
            places = np.searchsorted(run, keys[order])
            found[order] |= run[np.minimum(places, len(run) - 1)] == keys[order]
        return found

    def has(self, key: int) -> bool:
        for run in self._runs:
            place = int(np.searchsorted(run, key))
            if place < len(run) and run[place] == key:
                return True
        return False

    def add(self, keys: Keys) -> None:
        if not len(keys):
            return
        self._runs.append(np.sort(keys))
        while len(self._runs) > 1 and len(self._runs[-2]) <= 2 * len(self._runs[-1]):
            last = self._runs.pop()
            self._runs[-1] = np.sort(np.concatenate([self._runs[-1], last]), kind="stable")  # merges the two runs
