"""Of documents that are almost the same one stays, the same one whatever the order, and the ledger says how similar they were."""

import random
from collections.abc import Sequence
from itertools import combinations, pairwise
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from repeating import EN, ZH, clean, copies, edited, jaccard, roots, text_of

from aigc.core.rules.apply import Seen, apply
from aigc.core.rules.duplicates.near import PLACEHOLDER, NearDuplicates
from aigc.core.rules.edits.redact import Redact
from aigc.core.rules.report import report_of
from aigc.core.rules.rule import Rule

Row = tuple[str, str]
NEAR: list[Rule] = [NearDuplicates(similarity=0.7)]
QUICK = settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def words(language: str, count: int, seed: int = 0) -> list[str]:
    return random.Random(seed).choices(ZH if language == "zh" else EN, k=count)


def is_keeper(rows: Sequence[Row], members: Sequence[int]) -> str:
    """The id that the rule promises to keep, of a cluster without redacted copies."""
    return min((-len(rows[i][1]), rows[i][0]) for i in members)[1]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_each_cluster_of_brute_force_leaves_its_keeper_and_every_similarity_is_true(tmp_path: Path, language: str) -> None:
    texts = copies(language, seed=21, documents=120, edits=(0, 0.01, 0.02))
    rows = [(f"d{i * 37 % 120:03}", text) for i, text in enumerate(texts)]
    cleaned = clean(tmp_path, rows, NEAR)
    links = [(a, b) for a, b in combinations(range(120), 2) if jaccard(texts[a], texts[b], 5) >= 0.7]
    clusters: dict[int, list[int]] = {}
    for row, root in enumerate(roots(links, 120)):
        clusters.setdefault(root, []).append(row)
    keepers = {rows[i][0]: is_keeper(rows, members) for members in clusters.values() for i in members}
    assert cleaned.kept == set(keepers.values())
    text = dict(rows)
    found = cleaned.found()
    assert len(found) > 40
    for name, (keeper, similarity) in found.items():
        assert keeper == keepers[name]
        assert similarity == pytest.approx(jaccard(text[name], text[keeper], 5), abs=1e-6)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_longest_stays_then_the_smallest_id(tmp_path: Path, language: str) -> None:
    base = words(language, 80)
    rows = [("m", text_of(base)), ("z", text_of(base) + "!"), ("a", text_of(base)), ("y", text_of(base) + "?")]
    assert clean(tmp_path, rows, NEAR).found() == {"m": ("y", 1.0), "z": ("y", 1.0), "a": ("y", 1.0)}


@pytest.mark.parametrize(("clean_text", "secret"), [("a short note", "bob@example.com"), ("请来信", "13812345678")])
def test_a_redacted_copy_never_displaces_a_clean_one(tmp_path: Path, clean_text: str, secret: str) -> None:
    base = text_of(words("zh", 80))
    rows = [
        ("a", f"{base}，联系 {secret}，或 {secret} 。"),
        ("b", f"{base}，{clean_text}。"),
        ("c", f"{base}，联系 {secret} 。"),
    ]
    cleaned = clean(tmp_path, rows, [Redact(), *NEAR])
    assert cleaned.kept == {"b"}
    assert "[" not in cleaned.documents["text"][0]


def test_where_all_copies_are_redacted_the_longest_of_them_stays(tmp_path: Path) -> None:
    base = text_of(words("en", 80))
    rows = [("a", f"{base} write to bob@example.com"), ("b", f"{base} write to bob@example.com, thanks.")]
    assert clean(tmp_path, rows, [Redact(), *NEAR]).kept == {"b"}


@pytest.mark.parametrize(
    "secret", ["bob@example.com", "13812345678", "11010519491231002X", "91350100M000100Y43", "6222021234567890128"]
)
def test_what_redact_leaves_behind_is_known(secret: str) -> None:
    document = pl.DataFrame({"id": ["a"], "text": [f"请记下 {secret} 谢谢"]})
    (text,) = apply(document, [Redact()]).kept["text"]
    assert secret not in text
    assert pl.Series([text]).str.contains(PLACEHOLDER).all()


def test_a_chain_is_one_cluster_and_the_ledger_says_the_similarity_to_the_keeper(tmp_path: Path) -> None:
    base = words("en", 200, seed=4)
    a, b, c = text_of(base[:160]), text_of(base[20:180]), text_of(base[40:200])
    assert min(jaccard(a, b, 5), jaccard(b, c, 5)) >= 0.7 > jaccard(a, c, 5)
    cleaned = clean(tmp_path, [("c", c), ("a", a), ("b", b)], NEAR)
    (keeper,) = cleaned.kept
    text = {"a": a, "b": b, "c": c}
    assert keeper == max(sorted(text), key=lambda name: len(text[name]))
    assert len(cleaned.found()) == 2
    for name, (other, similarity) in cleaned.found().items():
        assert other == keeper
        assert similarity == pytest.approx(jaccard(text[name], text[keeper], 5), abs=1e-6)


def test_a_chain_breaks_where_its_middle_is_missing(tmp_path: Path) -> None:
    base = words("en", 200, seed=4)
    assert clean(tmp_path, [("c", text_of(base[40:200])), ("a", text_of(base[:160]))], NEAR).kept == {"a", "c"}


def mixed_rows() -> list[Row]:
    """Copies in both languages, crowds of equal ones, and a few texts without words."""
    texts = copies("en", seed=1, documents=30) + copies("zh", seed=2, documents=30)
    texts += [texts[0]] * 25 + ["", "!!", "?", "短文", "短文。"]
    return [(f"{i * 7919 % 1000:03}", text) for i, text in enumerate(texts)]


@QUICK
@given(data=st.data())
def test_the_order_of_rows_and_the_batches_change_nothing(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    rows = mixed_rows()
    seed = data.draw(st.integers(0, 10_000))
    shuffled = random.Random(seed).sample(rows, len(rows))
    cuts = data.draw(st.lists(st.integers(0, len(rows)), max_size=4))
    here = clean(tmp_path_factory.mktemp("here"), rows, NEAR)
    there = clean(tmp_path_factory.mktemp("there"), shuffled, NEAR, cuts)
    assert here.kept == there.kept
    assert here.found() == there.found()


def templated() -> list[Row]:
    """Pairs of similarity .73 that all share a template: any two documents have .67, so hundreds meet in one band."""
    rng = random.Random(8)
    template = rng.choices(EN, k=260)
    ids = [f"{i:04}" for i in rng.sample(range(10_000), 240)]
    texts = []
    for _ in range(120):
        own = rng.choices(EN, k=62)
        texts += [text_of(template + own), text_of(template + own[:12] + rng.choices(EN, k=50))]
    return list(zip(ids, texts, strict=True))


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, float]]:
    """What is found among the documents of one template."""
    return clean(tmp_path_factory.mktemp("crowd"), templated(), NEAR).found()


def test_a_crowd_that_shares_a_template_gives_the_same_in_any_order(tmp_path: Path, crowd: dict[str, tuple[str, float]]) -> None:
    rows = templated()
    text = dict(rows)
    assert len(crowd) > 50
    assert all(jaccard(text[name], text[keeper], 5) >= 0.7 for name, (keeper, _) in crowd.items())
    assert clean(tmp_path, random.Random(1).sample(rows, len(rows)), NEAR, cuts=[50, 60]).found() == crowd


@pytest.mark.xfail(strict=True, reason="where hundreds share a passage only neighbours are compared: about 80 % are found here")
def test_a_crowd_that_shares_a_template_hides_no_pair(crowd: dict[str, tuple[str, float]]) -> None:
    rows = templated()
    pairs = [(a, b) for a, b in zip(rows[::2], rows[1::2], strict=True) if jaccard(a[1], b[1], 5) >= 0.7]
    assert len(pairs) == 120
    assert sum(a in crowd or b in crowd for (a, _), (b, _) in pairs) >= 0.97 * len(pairs)


def test_a_thousand_copies_leave_one(tmp_path: Path) -> None:
    text = text_of(words("zh", 60))
    cleaned = clean(tmp_path, [(f"{i:04}", text) for i in range(1000)], NEAR, cuts=[100, 700])
    assert cleaned.kept == {"0000"}
    assert set(cleaned.found().values()) == {("0000", 1.0)}


def test_documents_without_words_never_merge(tmp_path: Path) -> None:
    rows = [("a", "!!!"), ("b", "!!!"), ("c", ""), ("d", ""), ("e", "……"), ("f", "★★")]
    cleaned = clean(tmp_path, rows, [NearDuplicates(similarity=0.1, ngram=1)], cuts=[2, 2])
    assert cleaned.kept == set("abcdef")


def test_short_texts_merge_only_where_they_are_equal(tmp_path: Path) -> None:
    rows = [("a", "春天来"), ("b", "春天来。"), ("c", "春天来了"), ("d", "spring"), ("e", "Spring!"), ("f", "springs")]
    cleaned = clean(tmp_path, rows, [NearDuplicates(similarity=0.1)])
    assert cleaned.found() == {"a": ("b", 1.0), "d": ("e", 1.0)}


def test_similar_topics_are_no_copies(tmp_path: Path) -> None:
    seen = [("一", "花开"), ("二", "小鸟"), ("三", "松鼠"), ("四", "老人"), ("五", "孩子")]
    rows = [(day, f"今天是星期{day}，天气很好，我们去公园散步，看到了{what}，非常高兴。") for day, what in seen]
    cleaned = clean(tmp_path, rows, NEAR)
    for (_, a), (_, b) in combinations(rows, 2):
        assert jaccard(a, b, 5) < 0.7
    assert len(cleaned.kept) == 5


def test_drop_false_marks_them_and_names_the_cluster(tmp_path: Path) -> None:
    base, other = text_of(words("zh", 60)), text_of(words("en", 60))
    rows = [("a", base), ("b", base + "！"), ("c", other)]
    cleaned = clean(tmp_path, rows, [NearDuplicates(drop=False)])
    assert cleaned.found("marked") == {"a": ("b", 1.0)}
    assert not cleaned.found("dropped")
    assert dict(cleaned.documents.select("id", "cluster").iter_rows()) == {"a": "b", "b": "b", "c": "c"}
    assert (cleaned.account.kept, cleaned.account.dropped) == (3, 0)


def test_what_is_only_marked_is_not_dropped_in_the_report(tmp_path: Path) -> None:
    base = text_of(words("zh", 60))
    cleaned = clean(tmp_path, [("a", base), ("b", base + "！")], [NearDuplicates(drop=False)])
    report = report_of(cleaned.account, renamed_ids=0, warn_share=0.5)
    assert report["dropped"] == sum(sum(step.get("dropped", {}).values()) for step in report["steps"])


def test_a_document_that_stays_names_its_cluster_too(tmp_path: Path) -> None:
    base = text_of(words("zh", 60))
    cleaned = clean(tmp_path, [("a", base), ("b", base)], NEAR)
    assert cleaned.documents.select("id", "cluster").rows() == [("a", "a")]


def test_the_rule_sees_the_texts_as_edited_before_it(tmp_path: Path) -> None:
    base = text_of(words("en", 60))
    rows = [("a", f"{base} a@b.example"), ("b", f"{base} c@d.example")]
    similarity = jaccard(rows[0][1], rows[1][1], 5)
    (found,) = clean(tmp_path, rows, [Redact(), NearDuplicates(similarity=0.95)]).found().values()
    assert found[1] == 1.0 > similarity


def frame(*rows: Row) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema={"id": pl.String, "text": pl.String}, orient="row")


def test_of_samples_the_first_stays_even_if_a_longer_one_comes_later() -> None:
    base = text_of(words("zh", 60))
    seen = Seen()
    assert apply(frame(("s1", base), ("s2", base + "更长")), NEAR, seen).kept["id"].to_list() == ["s1"]
    later = apply(frame(("s3", text_of(words("zh", 60, seed=1))), ("s4", base)), NEAR, seen)
    assert later.kept["id"].to_list() == ["s3"]
    assert later.ledger.filter(verdict="dropped").select("id", "keeper", "similarity").rows() == [("s4", "s1", 1.0)]


@QUICK
@given(seed=st.integers(0, 1000), cuts=st.lists(st.integers(0, 40), max_size=4))
def test_each_sample_repeats_the_most_similar_one_that_stayed(seed: int, cuts: list[int]) -> None:
    rows = [(f"s{i}", text) for i, text in enumerate(copies("zh", seed=seed, documents=40, edits=(0, 0.01, 0.02)))]
    borders = [0, *sorted(cuts), len(rows)]
    seen = Seen()
    found: dict[str, tuple[str, float]] = {}
    for start, end in pairwise(borders):
        dropped = apply(frame(*rows[start:end]), NEAR, seen).ledger.filter(verdict="dropped")
        found |= {name: (keeper, value) for name, keeper, value in dropped.select("id", "keeper", "similarity").iter_rows()}
    stayed: list[Row] = []
    for name, text in rows:
        best = max(((jaccard(text, other, 5), -i) for i, (_, other) in enumerate(stayed)), default=(0.0, 0))
        if best[0] >= 0.8:  # well above the bound: not to be missed
            assert found[name][0] == stayed[-best[1]][0]
            assert found[name][1] == pytest.approx(best[0])
        if name in found:
            assert found[name][1] >= 0.7
            assert found[name][1] == pytest.approx(jaccard(text, dict(stayed)[found[name][0]], 5))
        else:
            stayed.append((name, text))


def test_samples_without_words_are_never_repeats() -> None:
    seen = Seen()
    assert len(apply(frame(("a", ""), ("b", "!"), ("c", "")), NEAR, seen).kept) == 3
    assert len(apply(frame(("d", "!")), NEAR, seen).kept) == 1


def test_edits_are_found_down_to_the_bound_that_was_asked_for(tmp_path: Path) -> None:
    rng = random.Random(3)
    base = words("en", 150, seed=3)
    text, copy = text_of(base), text_of(edited(base, 0.1, rng, EN))
    similarity = jaccard(text, copy, 5)
    assert 0.3 < similarity < 0.7
    assert len(clean(tmp_path / "high", [("a", text), ("b", copy)], NEAR).kept) == 2
    assert len(clean(tmp_path / "low", [("a", text), ("b", copy)], [NearDuplicates(similarity=similarity - 0.1)]).kept) == 1
