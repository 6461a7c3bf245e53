"""Pairs of documents: each has exactly the similarity that it is said to have, and hardly one is missed."""

import random
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from repeating import EN, ZH, copies, grams, roots, text_of, units

from aigc.core.rules.duplicates.similar import bands_of, candidates, components, similar_pairs
from aigc.core.rules.units import ngrams

Pairs = dict[tuple[int, int], float]
QUICK = settings(max_examples=15, deadline=None)
WORDS = st.sampled_from(["one", "Two", "three", "好", "学", "习", "天", "，", "\n", "."])
TEXTS = st.lists(st.lists(WORDS, max_size=9).map(" ".join), max_size=9)


def frames_of(texts: Sequence[str], cuts: Sequence[int] = ()) -> Callable[[], Iterator[pl.DataFrame]]:
    borders = [0, *sorted(cuts), len(texts)]
    spans = list(pairwise(borders))
    return lambda: (pl.DataFrame({"text": texts[a:b]}, schema={"text": pl.String}) for a, b in spans)


def pairs_in(texts: Sequence[str], *, similarity: float, ngram: int = 5, cuts: Sequence[int] = (), **more: pl.Series) -> Pairs:
    found = similar_pairs(frames_of(texts, cuts), similarity=similarity, ngram=ngram, **more)
    assert found.schema == {"a": pl.UInt32, "b": pl.UInt32, "similarity": pl.Float32}
    assert found.select("a", "b").equals(found.select("a", "b").unique().sort("a", "b")), "each once, sorted"
    return {(a, b): value for a, b, value in found.iter_rows()}


def brute_force(texts: Sequence[str], *, similarity: float, ngram: int = 5) -> Pairs:
    sets = [grams(text, ngram) for text in texts]
    found = {}
    for a, b in combinations(range(len(texts)), 2):
        common = len(sets[a] & sets[b])
        if common and common / len(sets[a] | sets[b]) >= similarity:
            found[a, b] = common / len(sets[a] | sets[b])
    return found


@QUICK
@given(texts=TEXTS, n=st.integers(1, 4))
def test_ngrams_are_equal_where_their_units_are(texts: list[str], n: int) -> None:
    hashes, offsets = ngrams(pl.Series(texts, dtype=pl.String), n)
    known: dict[int, tuple[str, ...]] = {}
    for i, text in enumerate(texts):
        found = units(text)
        size = min(n, len(found))
        wanted = [tuple(found[at : at + size]) for at in range(len(found) - size + 1)] if found else []
        here = hashes[offsets[i] : offsets[i + 1]].tolist()
        assert len(here) == len(wanted)
        for key, gram in zip(here, wanted, strict=True):
            assert known.setdefault(key, gram) == gram
        assert np.array_equal(here, ngrams(pl.Series([text]), n)[0]), "the batch changes nothing"
    assert len(known) == len(set(known.values()))


@QUICK
@given(texts=TEXTS, n=st.integers(1, 3), similarity=st.sampled_from([0.1, 0.4, 0.7, 1.0]), data=st.data())
def test_each_pair_is_as_similar_as_it_is_said_to_be(texts: list[str], n: int, similarity: float, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(texts)), max_size=3))
    found, wanted = pairs_in(texts, similarity=similarity, ngram=n, cuts=cuts), brute_force(texts, similarity=similarity, ngram=n)
    assert found.keys() <= wanted.keys(), "no pair below the bound"
    for pair, value in found.items():
        assert value == pytest.approx(wanted[pair], abs=1e-6)
    assert {pair for pair, value in wanted.items() if value == 1} <= found.keys(), "equal sets have equal sketches"
    assert found == pairs_in(texts, similarity=similarity, ngram=n), "the batches change nothing"


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("similarity", [0.5, 0.7])
def test_hardly_a_pair_is_missed_and_none_is_false(language: str, similarity: float) -> None:
    texts = copies(language, seed=7)
    found, wanted = pairs_in(texts, similarity=similarity), brute_force(texts, similarity=similarity)
    assert len(wanted) > 200, "the corpus must have something to miss"
    assert found.keys() <= wanted.keys()
    assert all(found[pair] == pytest.approx(wanted[pair], abs=1e-6) for pair in found)
    assert len(found) >= 0.97 * len(wanted)
    above = {pair for pair, value in wanted.items() if value >= similarity + 0.1}
    assert len(above & found.keys()) >= 0.99 * len(above)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_components_are_those_of_brute_force(language: str) -> None:
    texts = copies(language, seed=3, edits=(0, 0.01, 0.02))
    found = similar_pairs(frames_of(texts), similarity=0.6)
    assert components(found, len(texts)).tolist() == roots(list(brute_force(texts, similarity=0.6)), len(texts))


@QUICK
@given(rows=st.integers(1, 12), data=st.data())
def test_a_component_is_named_by_its_smallest_row(rows: int, data: st.DataObject) -> None:
    row = st.integers(0, rows - 1)
    links = data.draw(st.lists(st.tuples(row, row).map(lambda pair: (min(pair), max(pair))), max_size=14))
    frame = pl.DataFrame(links, schema={"a": pl.UInt32, "b": pl.UInt32}, orient="row")
    assert components(frame, rows).tolist() == roots(links, rows)


def test_a_long_chain_is_one_component() -> None:
    rows = 20_000
    order = random.Random(1).sample(range(rows - 1), rows - 1)
    frame = pl.DataFrame({"a": order, "b": [a + 1 for a in order]}, schema={"a": pl.UInt32, "b": pl.UInt32})
    assert not components(frame, rows).any()


def test_the_bound_itself_is_reached() -> None:
    rng = random.Random(5)
    texts = []
    for _ in range(60):  # seven words in common, ten in all
        words = rng.sample(EN, 10)
        texts += [text_of(words[:8]), text_of([*words[:7], *words[8:]])]
    at = {(i, i + 1) for i in range(0, 120, 2)}
    found = pairs_in(texts, similarity=0.7, ngram=1)
    assert found.keys() <= at
    assert len(found) >= 57
    assert not pairs_in(texts, similarity=0.7001, ngram=1)


def test_texts_without_words_are_like_no_other() -> None:
    texts = ["", "  ", "!!!", "！！", "", "★", "word", "word"]
    assert pairs_in(texts, similarity=0.1, ngram=1) == {(6, 7): 1.0}


def test_case_width_and_punctuation_do_not_count() -> None:
    assert pairs_in(["ＡＢＣ好, the end", "abc 好 the END!"], similarity=1.0, ngram=2) == {(0, 1): 1.0}


def test_a_text_shorter_than_an_ngram_is_like_its_equal_only() -> None:
    assert pairs_in(["春天来", "春天来！", "春天来了", "春天"], similarity=0.1) == {(0, 1): 1.0}


def test_nothing_gives_nothing() -> None:
    assert pairs_in([], similarity=0.7) == {}
    assert len(similar_pairs(lambda: iter(()), similarity=0.7)) == 0
    assert components(pl.DataFrame(schema={"a": pl.UInt32, "b": pl.UInt32}), 3).tolist() == [0, 1, 2]


def test_a_crowd_of_copies_is_one_component_at_a_linear_price() -> None:
    rows = 1500
    text = text_of(random.Random(2).choices(ZH, k=60))
    bands = bands_of(pl.Series([text] * rows), similarity=0.7, ngram=5)
    assert len(candidates(bands.iter_columns())) <= 20 * rows, "all pairs would be 1.1 million"
    assert not components(similar_pairs(frames_of([text] * rows), similarity=0.7), rows).any()


def test_sets_on_disk_are_those_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    from aigc.core.rules.duplicates import sets

    texts = pl.Series(["the cat sat on the mat today", "the cat sat on the mat", "今天天气很好，我们去公园", "", "今天天气很好"])
    rows = np.arange(len(texts))
    a, b = (np.array(one) for one in ([0, 0, 2, 3, 1], [1, 2, 4, 0, 1]))
    found = []
    for most in (1 << 20, 0):
        monkeypatch.setattr(sets, "IN_MEMORY", most)
        with sets.stored_sets([texts[:2], texts[2:]], rows, 2) as stored:
            found.append((stored.similarities(a, b).tolist(), stored.containments(a, b).tolist()))
    assert found[0] == found[1]
    assert found[0][0] == pytest.approx([5 / 6, 0, 5 / 10, 0, 1])
