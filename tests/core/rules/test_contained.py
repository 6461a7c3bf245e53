"""An excerpt goes, the whole stays, and nothing goes that does not stand in another document."""

import random
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from repeating import EN, ZH, clean, containment, edited, text_of

from aigc.core.rules.apply import Seen, apply
from aigc.core.rules.duplicates.contained import Contained
from aigc.core.rules.rule import Rule

Row = tuple[str, str]
RULES: list[Rule] = [Contained()]
QUICK = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def words(language: str, count: int, seed: int = 0) -> list[str]:
    return random.Random(seed).choices(ZH if language == "zh" else EN, k=count)


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("start", [0, 150, 300])
def test_an_excerpt_goes_and_the_whole_stays(tmp_path: Path, language: str, start: int) -> None:
    whole = words(language, 400)
    rows = [("excerpt", text_of(whole[start : start + 100])), ("whole", text_of(whole)), ("other", text_of(words(language, 90, 1)))]
    cleaned = clean(tmp_path, rows, RULES)
    assert cleaned.found() == {"excerpt": ("whole", 1.0)}
    assert cleaned.kept == {"whole", "other"}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_bound_is_the_share_that_the_whole_holds(tmp_path: Path, language: str) -> None:
    whole = words(language, 400)
    part = text_of(whole[:150] + words(language, 20, 1))
    held = containment(part, text_of(whole), 8)
    assert 0.8 < held < 0.9
    rows = [("part", part), ("whole", text_of(whole))]
    ((name, (keeper, value)),) = clean(tmp_path / "below", rows, [Contained(share=0.8)]).found().items()
    assert (name, keeper) == ("part", "whole")
    assert value == pytest.approx(held, abs=1e-6)
    assert not clean(tmp_path / "above", rows, [Contained(share=0.9)]).found()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_excerpts_with_a_few_edits_are_found_and_each_value_is_true(tmp_path: Path, language: str) -> None:
    rng = random.Random(6)
    vocabulary = ZH if language == "zh" else EN
    rows: list[Row] = []
    for i in range(60):
        whole = rng.choices(vocabulary, k=rng.randint(250, 500))
        start, size = rng.randrange(100), rng.randint(80, 140)
        excerpt = edited(whole[start : start + size], rng.choice([0, 0, 0.005]), rng, vocabulary)
        rows += [(f"w{i:02}", text_of(whole)), (f"e{i:02}", text_of(excerpt))]
    rng.shuffle(rows)
    text = dict(rows)
    wanted = {f"e{i:02}" for i in range(60) if containment(text[f"e{i:02}"], text[f"w{i:02}"], 8) >= 0.9}
    found = clean(tmp_path, rows, RULES).found()
    assert len(wanted) > 40
    assert found.keys() <= wanted, "no false merge"
    assert len(found) >= 0.97 * len(wanted)
    for name, (keeper, value) in found.items():
        assert keeper == "w" + name[1:]
        assert value == pytest.approx(containment(text[name], text[keeper], 8), abs=1e-6)


def test_of_two_equal_documents_one_stays(tmp_path: Path) -> None:
    text = text_of(words("zh", 200))
    cleaned = clean(tmp_path, [("b", text), ("a", text), ("c", text)], RULES)
    (kept,) = cleaned.kept
    assert set(cleaned.found().values()) == {(kept, 1.0)}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_an_excerpt_of_an_excerpt_names_the_whole(tmp_path: Path, language: str) -> None:
    whole = words(language, 600)
    rows = [(f"{size}", text_of(whole[100 : 100 + size])) for size in (100, 200, 300, 400)]
    assert clean(tmp_path, rows, RULES).found() == dict.fromkeys(("100", "200", "300"), ("400", 1.0))


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_wholes_the_longer_is_the_keeper(tmp_path: Path, order: int) -> None:
    part = words("zh", 120)
    rows = [("long", text_of(part + words("zh", 400, 1))), ("longer", text_of(words("zh", 500, 2) + part)), ("part", text_of(part))]
    assert clean(tmp_path, rows[::order], RULES).found() == {"part": ("longer", 1.0)}


def chain() -> list[Row]:
    """The small one stands in the middle one, which stands in the large one but for its beginning."""
    middle = words("en", 400)
    large = middle[60:] + words("en", 600, 1)
    return [("small", text_of(middle[:100])), ("middle", text_of(middle)), ("large", text_of(large))]


def test_the_end_of_a_chain_stays(tmp_path: Path) -> None:
    cleaned = clean(tmp_path, chain(), [Contained(share=0.8)])
    assert cleaned.kept == {"large"}
    assert {name: keeper for name, (keeper, _) in cleaned.found().items()} == {"small": "large", "middle": "large"}


def test_the_ledger_says_the_share_that_the_keeper_holds(tmp_path: Path) -> None:
    text = dict(chain())
    for name, (keeper, value) in clean(tmp_path, chain(), [Contained(share=0.8)]).found().items():
        assert value == pytest.approx(containment(text[name], text[keeper], 8), abs=1e-6)


def test_a_crowd_of_copies_leaves_one(tmp_path: Path) -> None:
    text = text_of(words("en", 200))
    assert len(clean(tmp_path, [(f"{i:02}", text) for i in range(60)], RULES).kept) == 1


def test_short_texts_stay(tmp_path: Path) -> None:
    whole = words("zh", 200)
    rows = [("whole", text_of(whole)), ("title", text_of(whole[:7])), ("none", "!!!"), ("none too", "!!!"), ("empty", "")]
    assert clean(tmp_path, rows, [Contained(every=1)]).kept == {name for name, _ in rows}


def test_a_common_passage_is_no_excerpt(tmp_path: Path) -> None:
    licence = words("en", 80, 9)
    rows = [(f"{i}", text_of(licence + words("en", 100, i))) for i in range(20)]
    assert len(clean(tmp_path, rows, RULES).kept) == 20


PARTS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 40), st.integers(0, 6)), min_size=1, max_size=7)


def rows_of(parts: Sequence[tuple[int, int, int]]) -> list[Row]:
    base = words("zh", 100)
    texts = [text_of(base)] + [
        text_of(base[start : start + size] + words("zh", more, i)) for i, (start, size, more) in enumerate(parts)
    ]
    return [(f"{i}", text) for i, text in enumerate(texts)]


@QUICK
@given(parts=PARTS, share=st.sampled_from([0.4, 0.7, 0.9, 1.0]))
def test_what_goes_stands_in_a_longer_document(
    tmp_path_factory: pytest.TempPathFactory, parts: list[tuple[int, int, int]], share: float
) -> None:
    rows = rows_of(parts)
    cleaned = clean(tmp_path_factory.mktemp("contained"), rows, [Contained(share=share, ngram=3, every=1)])
    text = dict(rows)
    for name, (keeper, value) in cleaned.found().items():
        assert keeper in cleaned.kept
        assert value >= share
        held = [containment(text[name], other, 3) for o, other in rows if o != name and len(other) >= len(text[name])]
        assert any(value == pytest.approx(one, abs=1e-6) for one in held)
    for name in cleaned.kept:  # every n-gram is sampled here, so none is missed
        longer = [other for o, other in rows if o != name and len(other) > len(text[name])]
        assert all(containment(text[name], other, 3) < share for other in longer)


@QUICK
@given(parts=PARTS, data=st.data())
def test_the_order_of_rows_and_the_batches_change_nothing(
    tmp_path_factory: pytest.TempPathFactory, parts: list[tuple[int, int, int]], data: st.DataObject
) -> None:
    rows = list({len(text): (name, text) for name, text in rows_of(parts)}.values())  # of one length the order decides
    shuffled = data.draw(st.permutations(rows))
    cuts = data.draw(st.lists(st.integers(0, len(rows)), max_size=3))
    rules: list[Rule] = [Contained(share=0.5, ngram=3, every=1)]
    here = clean(tmp_path_factory.mktemp("here"), rows, rules)
    there = clean(tmp_path_factory.mktemp("there"), shuffled, rules, cuts)
    assert here.found() == there.found()


def test_of_equal_documents_the_smallest_id_stays(tmp_path: Path) -> None:
    text = text_of(words("zh", 200))
    assert clean(tmp_path, [("b", text), ("a", text)], RULES).kept == {"a"}


def test_drop_false_marks_excerpts(tmp_path: Path) -> None:
    whole = words("zh", 300)
    rows = [("part", text_of(whole[:150])), ("whole", text_of(whole))]
    cleaned = clean(tmp_path, rows, [Contained(drop=False)])
    assert cleaned.found("marked") == {"part": ("whole", 1.0)}
    assert cleaned.documents["cluster"].to_list() == ["whole", "whole"]


def test_of_samples_an_excerpt_goes_where_the_whole_came_before(tmp_path: Path) -> None:
    whole = words("en", 300)
    seen = Seen()

    def kept(name: str, text: str) -> bool:
        return bool(len(apply(pl.DataFrame({"id": [name], "text": [text]}), RULES, seen).kept))

    assert kept("part", text_of(whole[:60]))
    assert kept("whole", text_of(whole)), "the first stays, and the whole has more to say"
    assert not kept("another part", text_of(whole[200:]))
    assert not kept("whole again", text_of(whole))
    assert kept("empty", "")
    assert kept("empty again", "")
