"""Files go through rules into kept documents and a ledger that accounts for every row, the same whatever the order."""

import json
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aigc.core.documents.reading import Reader
from aigc.core.rules.corpus import Account, clean_corpus
from aigc.core.rules.duplicates.exact import ExactDuplicates
from aigc.core.rules.edits.html import HtmlToText
from aigc.core.rules.edits.unicode import Whitespace
from aigc.core.rules.measures.characters import Characters
from aigc.core.rules.measures.words import Words
from aigc.core.rules.rule import Rule
from aigc.errors import AigcError

RULES: list[Rule] = [HtmlToText(), ExactDuplicates(), Characters(min=3)]


def lines(*rows: object) -> str:
    return "".join((row if isinstance(row, str) else json.dumps(row, ensure_ascii=False)) + "\n" for row in rows)


class Cleaned:
    """A clean folder, read back."""

    def __init__(self, folder: Path, files: dict[str, str], rules: Sequence[Rule], max_failed: float = 1.0) -> None:
        self.folder = folder / "clean"
        self.folder.mkdir(parents=True)
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8", newline="")
        paths = [folder / name for name in files]
        reader = Reader()
        batches = (batch for path in paths for batch in reader.read(path))
        self.counts: Account = clean_corpus(batches, rules, folder=self.folder, max_failed=max_failed, source=str(paths[0]))
        self.documents = pl.read_parquet(sorted(self.folder.glob("documents-*.parquet")))
        self.ledger = pl.read_parquet(self.folder / "ledger.parquet")
        failed = (self.folder / "failed.jsonl").read_text(encoding="utf-8")
        self.failed = [json.loads(line) for line in failed.splitlines()]

    def drops(self) -> set[tuple[str, str, str | None]]:
        return set(self.ledger.filter(verdict="dropped").select("id", "rule", "keeper").iter_rows())


def assert_balanced(cleaned: Cleaned) -> None:
    """Rows are conserved, and each read row has exactly one final verdict."""
    counts, ledger = cleaned.counts, cleaned.ledger
    assert counts.read == counts.kept + counts.dropped + counts.failed
    assert counts.kept == len(cleaned.documents)
    assert counts.failed == len(cleaned.failed) == len(ledger.filter(verdict="failed"))
    read = ledger.filter(verdict="read")["id"].to_list()
    final = ledger.filter(pl.col("verdict").is_in(["kept", "dropped"]))["id"].to_list()
    assert sorted(read) == sorted(final)
    assert len(read) == len(set(read))
    assert sorted(cleaned.documents["id"]) == sorted(ledger.filter(verdict="kept")["id"])


def test_every_row_of_several_files_is_accounted_for(tmp_path: Path) -> None:
    files = {
        "a.jsonl": lines(
            {"id": "a1", "text": "<p>The same story.</p>", "topic": "news"},
            "{broken",
            {"id": "a2", "text": "春天来了，花都开了。"},
        ),
        "b.csv": "id,text,year\nb1,The  same story.,2024\nb2,短,2023\n",
        "c.txt": "一首诗，没有标题。\n",
    }
    cleaned = Cleaned(tmp_path, files, RULES)
    assert_balanced(cleaned)
    counts = cleaned.counts
    assert (counts.read, counts.kept, counts.dropped, counts.failed) == (6, 3, 2, 1)
    assert cleaned.drops() == {("a1", "exact_duplicates", "b1"), ("b2", "characters", None)}
    assert counts.dropped_by == {"exact_duplicates": 1, "characters": 1}
    assert counts.steps[0].hit == {"en": 1}
    assert cleaned.failed[0]["origin"] == f"{tmp_path / 'a.jsonl'}:2"
    assert cleaned.failed[0]["raw"] == "{broken"


def test_columns_of_different_files_are_united(tmp_path: Path) -> None:
    files = {
        "a.jsonl": lines({"text": "first text", "n": 1, "meta": {"k": "值"}}),
        "b.jsonl": lines({"text": "第二篇文章", "n": 1.5, "meta": "plain"}),
        "c.jsonl": lines({"text": "third text", "标签": ["a"], "n": None}),
    }
    cleaned = Cleaned(tmp_path, files, [Whitespace()])
    assert cleaned.counts.fields == cleaned.documents.columns
    assert set(cleaned.documents.columns) == {"id", "text", "n", "meta", "标签"}
    rows = {row["text"]: row for row in cleaned.documents.to_dicts()}
    assert [rows[text]["n"] for text in ("first text", "第二篇文章", "third text")] == [1.0, 1.5, None]
    assert json.loads(rows["first text"]["meta"]) == {"k": "值"}
    assert rows["third text"]["标签"] == ["a"]


def test_chinese_documents_survive(tmp_path: Path) -> None:
    texts = [f"第{i}篇：今天天气很好，我们去公园散步。（未完）“引号”" for i in range(20)]
    rules: list[Rule] = [HtmlToText(), Whitespace(), Words(min=10), ExactDuplicates()]
    cleaned = Cleaned(tmp_path, {"a.jsonl": lines(*({"text": text} for text in texts))}, rules)
    assert cleaned.documents["text"].to_list() == texts


def test_the_longest_stays_then_the_smallest_id(tmp_path: Path) -> None:
    rows = [
        {"id": "z", "text": "好 好 学 习"},
        {"id": "a", "text": "好好学习"},
        {"id": "n", "text": "same"},
        {"id": "m", "text": "same"},
        {"id": "only", "text": "unique"},
    ]
    cleaned = Cleaned(tmp_path, {"a.jsonl": lines(*rows)}, [ExactDuplicates()])
    assert cleaned.drops() == {("a", "exact_duplicates", "z"), ("n", "exact_duplicates", "m")}
    assert cleaned.documents["id"].to_list() == ["z", "m", "only"]


def test_duplicates_within_one_file_and_across_files_are_the_same(tmp_path: Path) -> None:
    rows = [{"id": str(i), "text": f"text {i % 3}"} for i in range(6)]
    one = Cleaned(tmp_path / "one", {"a.jsonl": lines(*rows)}, [ExactDuplicates()])
    many = Cleaned(tmp_path / "many", {f"{i}.jsonl": lines(row) for i, row in enumerate(rows)}, [ExactDuplicates()])
    assert one.drops() == many.drops()
    assert one.documents.equals(many.documents)


def test_two_duplicates_rules_each_see_the_text_as_it_then_is(tmp_path: Path) -> None:
    rows = [
        {"id": "1", "text": "<b>相同</b>"},
        {"id": "2", "text": "<b>相同</b>"},
        {"id": "3", "text": "相同"},
        {"id": "4", "text": "不同的"},
    ]
    rules: list[Rule] = [ExactDuplicates(), HtmlToText(), ExactDuplicates()]
    cleaned = Cleaned(tmp_path, {"a.jsonl": lines(*rows)}, rules)
    assert_balanced(cleaned)
    assert cleaned.drops() == {("2", "exact_duplicates", "1"), ("3", "exact_duplicates", "1")}
    assert sorted(cleaned.documents["text"]) == sorted(["相同", "不同的"])


def test_nothing_but_rules_output_is_left_in_the_folder(tmp_path: Path) -> None:
    cleaned = Cleaned(tmp_path, {"a.jsonl": lines({"text": "one"})}, [ExactDuplicates()])
    names = {path.name for path in cleaned.folder.iterdir()}
    assert names == {"documents-00000.parquet", "ledger.parquet", "failed.jsonl"}


def test_too_many_broken_rows_stop_the_run_and_name_the_first(tmp_path: Path) -> None:
    text = lines({"text": "good"}, "broken", {"text": "好"}, {"text": "fine"})
    assert Cleaned(tmp_path / "a", {"a.jsonl": text}, [], max_failed=0.25).counts.failed == 1
    with pytest.raises(AigcError, match=r"a\.jsonl:2: not valid JSON.*1 of 4 rows.*max_failed"):
        Cleaned(tmp_path / "b", {"a.jsonl": text}, [], max_failed=0.24)


def test_nothing_kept_names_the_rule_that_took_most(tmp_path: Path) -> None:
    text = lines({"text": "short"}, {"text": "短"}, {"text": "a b c d e f"})
    with pytest.raises(AigcError, match=r"no document was kept of 3 rows read; .*'words' \(2\)"):
        Cleaned(tmp_path, {"a.jsonl": text}, [Words(min=3), Characters(min=100)])


def test_files_without_rows_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(AigcError, match=r"a\.jsonl.*no rows"):
        Cleaned(tmp_path, {"a.jsonl": "\n"}, [])


def test_a_second_run_gives_the_same_bytes(tmp_path: Path) -> None:
    files = {
        "a.jsonl": lines(*({"text": f"<p>text {i % 5}</p>", "n": i} for i in range(20))),
        "b.jsonl": lines(*({"text": f"第{i % 5}篇", "题": "好"} for i in range(20))),
    }
    cleaned = Cleaned(tmp_path, files, RULES)
    first = {path.name: path.read_bytes() for path in cleaned.folder.iterdir()}
    for path in cleaned.folder.iterdir():
        path.unlink()
    cleaned.folder.rmdir()
    again = Cleaned(tmp_path, files, RULES)
    assert {path.name: path.read_bytes() for path in again.folder.iterdir()} == first


TEXTS = st.lists(st.sampled_from(["好", "中文 ", "cat ", "<p>", "\n", "。"]), max_size=4).map("".join)
GIVEN_ROWS = st.lists(TEXTS, min_size=1, max_size=8)
QUICK = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@QUICK
@given(texts=GIVEN_ROWS, broken=st.integers(0, 3), data=st.data())
def test_rows_are_conserved(tmp_path_factory: pytest.TempPathFactory, texts: list[str], broken: int, data: st.DataObject) -> None:
    rows: list[object] = [*({"text": text} for text in [*texts, "一定留下来的一篇"]), *["{"] * broken]
    rows = data.draw(st.permutations(rows))
    middle = data.draw(st.integers(0, len(rows)))
    files = {"a.jsonl": lines(*rows[:middle]), "b.jsonl": lines(*rows[middle:])}
    cleaned = Cleaned(tmp_path_factory.mktemp("corpus"), files, RULES)
    assert_balanced(cleaned)
    assert cleaned.counts.read == len(rows)
    assert cleaned.counts.failed == broken


@QUICK
@given(texts=GIVEN_ROWS, data=st.data())
def test_the_order_of_rows_changes_nothing(tmp_path_factory: pytest.TempPathFactory, texts: list[str], data: st.DataObject) -> None:
    rows = [{"id": f"{i}", "text": text} for i, text in enumerate([*texts, "一定留下来的一篇"])]
    other = data.draw(st.permutations(rows))
    here = Cleaned(tmp_path_factory.mktemp("here"), {"a.jsonl": lines(*rows)}, RULES)
    there = Cleaned(tmp_path_factory.mktemp("there"), {"a.jsonl": lines(*other)}, RULES)
    assert here.documents.sort("id").equals(there.documents.sort("id"))
    assert here.drops() == there.drops()
