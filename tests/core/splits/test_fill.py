"""Whole clusters come as near to a number of documents as any choice of them could."""

from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from aigc.core.splits.fill import nearest


@given(st.lists(st.integers(1, 12), max_size=9), st.integers(0, 60))
def test_no_choice_of_clusters_comes_nearer(sizes: list[int], target: int) -> None:
    taken = nearest(np.array(sizes, dtype=np.int64), target)
    best = min(abs(target - sum(chosen)) for count in range(len(sizes) + 1) for chosen in combinations(sizes, count))
    assert abs(target - int(np.array(sizes, dtype=np.int64)[taken].sum())) == best


def test_the_first_that_fit_are_taken() -> None:
    assert nearest(np.array([2, 9, 1, 1, 5, 1]), 4).tolist() == [True, False, True, True, False, False]


def test_a_tie_goes_to_the_smaller_sum() -> None:
    assert nearest(np.array([3, 5]), 4).tolist() == [True, False]


def test_many_clusters_without_small_ones() -> None:
    """A thousand of 7 and a thousand of 11: 4,000 is reached, though the first that fit alone would miss it."""
    sizes = np.tile([7, 11], 1000)
    assert sizes[nearest(sizes, 4000)].sum() == 4000
