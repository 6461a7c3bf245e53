"""What the search missed and the check found is joined, and the parts are written again."""

from random import Random

import polars as pl
import pytest
from splitting import near, split, table, texts

from aigc.core.splits import settle

TEXTS = texts(40, seed=10)


def test_what_the_search_missed_is_mended(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a search that finds nothing, the check alone brings all copies together, and no document is lost on the way."""
    rows = table([text for text in TEXTS for text in (text, near(text, 1), near(text, 2))])
    found = split(rows, validation=0.3, test=0.3)
    assert found.report["clusters"]["found_by_check"] == 0, "the search had missed nothing"
    nothing = pl.DataFrame(schema={"a": pl.UInt32, "b": pl.UInt32})
    monkeypatch.setattr(settle, "near_pairs", lambda *_: nothing)
    mended = split(rows, validation=0.3, test=0.3)
    assert mended.report["clusters"]["found_by_check"] > 10
    assert mended.leaks.near == 0
    assert mended.part.keys() == found.part.keys()
    assert pl.concat(mended.found.values()).sort("id").equals(rows.sort("id"))


def test_a_column_is_not_mended() -> None:
    """It is the user's word; where it is wrong they are told, by max_leak."""
    rows = table([text for text in TEXTS for text in (text, near(text))], cluster=[f"c{i}" for i in range(80)])
    found = split(rows, validation=0.3, test=0.3)
    assert found.leaks.share > 0
    assert found.report["clusters"]["found_by_check"] == 0


@pytest.mark.parametrize("seed", range(2))
def test_large_families_of_texts_that_differ_here_and_there(seed: int) -> None:
    """No family member may be found in two parts, though not every pair of a family can be compared."""
    draw = Random(seed)
    rows = []
    for _ in range(240):
        words = draw.choice(TEXTS[:6:2]).split() * 3
        for _ in range(draw.choice([1, 2, 3, 4])):
            words[draw.randrange(len(words))] = f"w{draw.randrange(10**6)}"
        rows.append(" ".join(words))
    found = split(table([*rows, *TEXTS]), validation=0.2, test=0.2)
    assert (found.leaks.exact, found.leaks.near) == (0, 0)
