"""A sketch tells the Jaccard similarity of sets, and nothing of their order or of the batch that they came in."""

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigc.core.rules.duplicates.sketch import PLACES, band_keys, bands_for, places_for, sketches

Hashes = npt.NDArray[np.uint64]
FREE = 0xFFFFFFFF


def sketch_of(*sets: Hashes, places: int = PLACES) -> npt.NDArray[np.uint32]:
    offsets = np.concatenate([[0], np.cumsum([len(one) for one in sets])]).astype(np.int64)
    return sketches(np.concatenate([np.empty(0, np.uint64), *sets]), offsets, places)


def hashes(rng: np.random.Generator, size: int) -> Hashes:
    return rng.integers(0, 1 << 64, size, dtype=np.uint64)


def pairs_of(rng: np.random.Generator, size: int, similarity: float, count: int) -> tuple[list[Hashes], list[Hashes]]:
    """Pairs whose union has `size` elements, of which a share of `similarity` is common; the rest goes to either side."""
    common = round(size * similarity)
    half = common + (size - common) // 2
    unions = [hashes(rng, size) for _ in range(count)]
    return [one[:half] for one in unions], [np.concatenate([one[:common], one[half:]]) for one in unions]


@pytest.mark.parametrize("places", [64, 128])
@pytest.mark.parametrize("size", [10, 60, 1000])
@pytest.mark.parametrize("similarity", [0.2, 0.5, 0.8])
def test_agreement_is_an_unbiased_estimate_of_jaccard_no_wider_than_minhash(size: int, similarity: float, places: int) -> None:
    count = 300
    a, b = pairs_of(np.random.default_rng(size), size, similarity, count)
    agreement = (sketch_of(*a, places=places) == sketch_of(*b, places=places)).mean(axis=1)
    deviation = math.sqrt(similarity * (1 - similarity) / places)  # of MinHash with as many permutations
    assert abs(agreement.mean() - similarity) < 5 * deviation / math.sqrt(count)
    assert agreement.std() < 1.25 * deviation


SETS = st.lists(st.integers(0, (1 << 64) - 1), max_size=30).map(lambda items: np.array(items, np.uint64))
QUICK = settings(max_examples=30, deadline=None)


@QUICK
@given(a=SETS, b=SETS)
def test_the_sketch_of_a_union_is_the_smaller_number_in_each_place(a: Hashes, b: Hashes) -> None:
    """From this it follows that two sketches agree in a place as often as the union's smallest element is common."""
    one, other, union = sketch_of(a, b, np.concatenate([a, b]))
    assert np.array_equal(np.minimum(one, other), union)


@QUICK
@given(items=SETS, data=st.data())
def test_order_and_repeats_change_nothing(items: Hashes, data: st.DataObject) -> None:
    shuffled = np.array(data.draw(st.permutations(items.tolist())), np.uint64)
    one, other, twice = sketch_of(items, shuffled, np.concatenate([items, shuffled]))
    assert np.array_equal(one, other)
    assert np.array_equal(one, twice)


@QUICK
@given(sets=st.lists(SETS, min_size=1, max_size=5), large=st.booleans())
def test_the_batch_changes_nothing(sets: list[Hashes], large: bool) -> None:
    if large:  # a set that is done after one round, among those that need many
        sets = [*sets, hashes(np.random.default_rng(3), 3000)]
    together = sketch_of(*sets)
    assert together.shape == (len(sets), PLACES)
    for row, one in zip(together, sets, strict=True):
        assert np.array_equal(row, sketch_of(one)[0])


def test_an_empty_set_has_the_largest_number_everywhere() -> None:
    none = np.empty(0, np.uint64)
    assert (sketch_of(none, np.array([5], np.uint64), none)[[0, 2]] == FREE).all()
    assert sketch_of().shape == (0, PLACES)


def test_one_element_fills_every_place_and_is_unlike_any_other() -> None:
    found = sketch_of(*(np.array([i], np.uint64) for i in range(50)))
    assert (found != FREE).all()
    same = (found[:, None, :] == found[None, :, :]).any(axis=2)
    assert np.array_equal(same, np.eye(50, dtype=bool)), "neighbouring numbers must not give like sketches"


@pytest.mark.parametrize("similarity", [0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 1.0])
def test_the_bands_find_a_pair_at_the_bound(similarity: float) -> None:
    bands, rows = bands_for(similarity)
    assert bands * rows <= places_for(similarity) <= PLACES
    assert 1 - (1 - similarity**rows) ** bands >= 0.99
    assert bands_for(max(similarity - 0.05, 0.05))[1] <= rows, "a lower bound needs bands that are shared more easily"


@pytest.mark.parametrize("similarity", [0.3, 0.5, 0.7, 0.9])
def test_pairs_at_the_bound_share_a_band_and_strangers_do_not(similarity: float) -> None:
    places = places_for(similarity)
    a, b = pairs_of(np.random.default_rng(11), 200, similarity, 1000)
    keys, others = (band_keys(sketch_of(*sets, places=places), similarity) for sets in (a, b))
    assert keys.shape == (bands_for(similarity)[0], 1000)
    assert (keys == others).any(axis=0).mean() > 0.98
    assert (keys == np.roll(others, 1, axis=1)).any(axis=0).mean() < 0.01


def test_keys_of_different_bands_differ_for_the_same_numbers() -> None:
    same_everywhere = np.full((1, PLACES), 7, np.uint32)
    assert len(np.unique(band_keys(same_everywhere, 0.7))) == bands_for(0.7)[0]


def test_a_set_has_the_same_sketch_whatever_stands_beside_it() -> None:
    """Small sets have places that no round reaches, and these are filled for all of them at once."""
    sizes = np.array([1, 0, 2, 900, 3, 1, 12, 0])
    offsets = np.append(0, np.cumsum(sizes))
    hashes = np.random.default_rng(3).integers(0, 1 << 62, offsets[-1], dtype=np.uint64)
    together = sketches(hashes, offsets)
    for i, size in enumerate(sizes):
        alone = sketches(hashes[offsets[i] : offsets[i + 1]], np.array([0, size]))
        assert np.array_equal(together[i], alone[0])
