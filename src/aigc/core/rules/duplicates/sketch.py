"""Sets of n-gram hashes into short sketches, and sketches into bands: documents that share a band may be similar.

A sketch has 128 places or fewer; the chance that two sketches agree in one is the Jaccard similarity of the sets, as in MinHash.
Each round gives every n-gram one place and one number; the smallest number of the first round that reached a place stands there. A
long document is done in one or two rounds, where 128 permutations would take 128.
Source: Dahlgaard, Knudsen, Thorup, Fast Similarity Sketching, FOCS 2017.
"""

import numpy as np
import numpy.typing as npt

from aigc.core.rules.units import Ints, mixed, spread

__all__ = ["PLACES", "band_keys", "bands_for", "places_for", "sketches"]

PLACES = 128
_ROUNDS = 31  # then the places that are still free are filled one by one
_LOOKS = (0, 1, 2, 4, 7, 11, 15, 19, 25, 30)  # rounds after which finished sets are put aside: looking costs as much as a round
_NUMBER = np.uint32((1 << 27) - 1)
_EMPTY = np.uint32(0xFFFFFFFF)
_FACTORS = mixed(np.arange(_ROUNDS, dtype=np.uint64)) | np.uint64(1)

Sketches = npt.NDArray[np.uint32]


def sketches(hashes: npt.NDArray[np.uint64], offsets: Ints, places: int = PLACES) -> Sketches:
    """A sketch for each set hashes[offsets[i] : offsets[i + 1]]; an empty set has the largest number in every place.

    Args:
        places: a power of two.

    Returns:
        shape [sets, places].
    """
    sets = len(offsets) - 1
    counts = np.diff(offsets)
    out = np.full((sets, places), _EMPTY, np.uint32)
    at = held = np.flatnonzero(counts > 0)
    left, owner = hashes, np.repeat(np.arange(0, sets * places, places), counts)
    flat = out.reshape(-1)
    shift = np.uint64(65 - places.bit_length())
    low = shift - np.uint64(27)
    for turn in range(_ROUNDS):
        if not len(at):
            return out
        h = left * _FACTORS[turn]  # multiply-shift (Dietzfelbinger et al. 1997): the upper bits are the hash
        place = (h >> shift).view(np.int64)
        place += owner
        h >>= low
        number = h.astype(np.uint32)
        number &= _NUMBER
        number |= np.uint32(turn << 27)
        np.minimum.at(flat, place, number)
        if turn not in _LOOKS:
            continue
        likely = np.flatnonzero(counts[at] * (turn + 1) >= 3 * places)  # of others hardly any has no free place
        free = (out[at[likely]] == _EMPTY).view(np.uint64 if places % 8 == 0 else np.bool_).any(axis=1)
        if not free.all():
            unfinished = np.ones(len(at), bool)
            unfinished[likely] = free
            at = at[unfinished]
            keep = np.zeros(sets, bool)
            keep[at] = True
            kept = np.repeat(keep[held], counts[held])
            held = at
            left, owner = left[kept], owner[kept]
    if len(at):
        starts = np.flatnonzero(np.concatenate([[True], owner[1:] != owner[:-1]]))
        for free_place in range(places):
            lack = np.flatnonzero(out[at, free_place] == _EMPTY)
            if not len(lack):
                continue
            sizes = counts[at[lack]]
            its = left[spread(starts[lack], sizes)]
            smallest = np.minimum.reduceat(mixed(its, 1000 + free_place), np.cumsum(sizes) - sizes)
            out[at[lack], free_place] = (smallest >> np.uint64(37)).astype(np.uint32) | np.uint32(_ROUNDS << 27)
    return out


def bands_for(similarity: float) -> tuple[int, int]:
    """How many bands of how many places each, so that a pair of this similarity shares one with a chance of .99 or more.

    Source: Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, 3.4: the chance is 1 - (1 - s^rows)^bands.
    """
    for places in (PLACES // 2, PLACES):
        for rows in range(8, 2 if places < PLACES else 1, -1):
            bands = places // rows
            if 1 - (1 - similarity**rows) ** bands >= 0.99:
                return bands, rows
    return PLACES, 1


def places_for(similarity: float) -> int:
    """How many places a sketch needs for these bands."""
    bands, rows = bands_for(similarity)
    return PLACES if bands * rows > PLACES // 2 else PLACES // 2


def band_keys(found: Sketches, similarity: float) -> npt.NDArray[np.uint64]:
    """A 64-bit key for each band of each sketch.

    Returns:
        shape [bands, sets].
    """
    bands, rows = bands_for(similarity)
    keys = np.empty((bands, len(found)), np.uint64)
    for band in range(bands):
        key = np.zeros(len(found), np.uint64)
        for place in range(band * rows, (band + 1) * rows):
            key = mixed(key ^ found[:, place].astype(np.uint64), band + 1)
        keys[band] = key
    return keys
