"""A document that holds a passage of an evaluation set goes, whatever the set's format, and the ledger says which passage."""

import gzip
import json
import random
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from repeating import EN, ZH, clean, grams, text_of, units

from aigc.core.rules.apply import Seen, apply
from aigc.core.rules.duplicates.evaluation import Decontaminate
from aigc.errors import AigcError

QUICK = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
OTHER = ("other", "this one shares nothing with any evaluation set at all 这篇也没有")


def words(language: str, count: int, seed: int = 0) -> list[str]:
    return random.Random(seed).choices(ZH if language == "zh" else EN, k=count)


def evaluation(folder: Path, *texts: str) -> str:
    path = folder / "evaluation.jsonl"
    path.write_text("".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts), "utf-8")
    return str(path)


def written(path: Path, text: str) -> None:
    """One text in the format that the name says."""
    row = json.dumps({"text": text}, ensure_ascii=False)
    match path.name.partition(".")[2]:
        case "jsonl":
            path.write_text(row + "\n", "utf-8")
        case "jsonl.gz":
            path.write_bytes(gzip.compress(row.encode()))
        case "json":
            path.write_text(f"[{row}]", "utf-8")
        case "csv":
            path.write_text(f'text,answer\n"{text}",42\n', "utf-8")
        case "tsv":
            path.write_text(f"answer\ttext\n42\t{text}\n", "utf-8")
        case "parquet":
            pl.DataFrame({"text": [text]}).write_parquet(path)
        case "html":
            path.write_text(f"<html><body><p>{text}</p></body></html>", "utf-8")
        case _:
            path.write_text(text + "\n", "utf-8")


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz", "json", "csv", "tsv", "parquet", "txt", "md", "html"])
def test_a_passage_of_a_file_of_any_format_drops_the_document(tmp_path: Path, ending: str) -> None:
    passage = words("zh", 20)
    path = tmp_path / f"evaluation.{ending}"
    written(path, text_of(passage))
    rows = [("held", text_of(words("zh", 50, 1) + passage[3:16] + words("zh", 50, 2))), OTHER]
    cleaned = clean(tmp_path / "run", rows, [Decontaminate(files=[str(path)])])
    assert cleaned.kept == {"other"}
    keeper, share = cleaned.found()["held"]
    assert keeper.startswith(f"{path}:"), "the ledger says file:line"
    if ending != "html":  # whose tags are words as well, as in every html file before html_to_text
        assert share == pytest.approx(1 / 8), "one of the eight 13-grams of 20 characters"


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize(("shared", "kept"), [(12, True), (13, False), (14, False)])
def test_thirteen_in_a_row_are_needed(tmp_path: Path, language: str, shared: int, kept: bool) -> None:
    passage = words(language, 30)
    document = text_of(words(language, 40, 1) + passage[5 : 5 + shared] + words(language, 40, 2))
    rules = [Decontaminate(files=[evaluation(tmp_path, text_of(passage))])]
    assert ("held" in clean(tmp_path / "run", [("held", document), OTHER], rules).kept) is kept


def test_the_ledger_names_the_line(tmp_path: Path) -> None:
    texts = [text_of(words("en", 30, seed)) for seed in range(5)]
    path = evaluation(tmp_path, *texts)
    cleaned = clean(tmp_path / "run", [("a", texts[3]), ("b", texts[0]), OTHER], [Decontaminate(files=[path])])
    assert cleaned.found() == {"a": (f"{path}:4", 1.0), "b": (f"{path}:1", 1.0)}


def test_case_width_and_punctuation_do_not_hide_a_passage(tmp_path: Path) -> None:
    passage = "What is the name of the river that runs through the old town of Ｂｅｒｎ ?"
    document = "Q: what is the NAME of the river, that runs through the “old town” of Bern!"
    rules = [Decontaminate(files=[evaluation(tmp_path, passage)])]
    assert clean(tmp_path / "run", [("a", document), OTHER], rules).kept == {"other"}


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize(("share", "kept"), [(0.3, False), (0.5, False), (0.51, True), (0.9, True)])
def test_share_is_of_the_evaluation_texts_ngrams(tmp_path: Path, language: str, share: float, kept: bool) -> None:
    passage = words(language, 32)  # twenty 13-grams, of which 22 words have ten
    document = text_of(words(language, 9, 1) + passage[:22])
    cleaned = clean(
        tmp_path / "run", [("a", document), OTHER], [Decontaminate(files=[evaluation(tmp_path, text_of(passage))], share=share)]
    )
    assert ("a" in cleaned.kept) is kept
    if not kept:
        assert cleaned.found()["a"][1] == 0.5


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("size", [5, 8, 12])
def test_a_short_evaluation_text_is_looked_for_as_it_is(tmp_path: Path, language: str, size: int) -> None:
    passage = words(language, size)
    around = words(language, 30, 1)
    rows = [("held", text_of(around + passage + around)), ("not", text_of(around + passage[:-1] + around)), OTHER]
    cleaned = clean(
        tmp_path / "run", rows, [Decontaminate(files=[evaluation(tmp_path, text_of(passage), text_of(words(language, 40, 2)))])]
    )
    assert cleaned.kept == {"not", "other"}


def test_a_text_of_four_words_does_not_drop_what_quotes_it(tmp_path: Path) -> None:
    rules = [Decontaminate(files=[evaluation(tmp_path, "yes it is so", "是的，当然")])]
    assert len(clean(tmp_path / "run", [("a", "He said: yes it is so. 她说：是的，当然。"), OTHER], rules).kept) == 2


@pytest.mark.parametrize("name", ["nosuch.jsonl", "nosuch/*.jsonl"])
def test_a_missing_file_is_a_clear_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(AigcError, match=r"nosuch.*no (such )?file"):
        clean(tmp_path / "run", [OTHER], [Decontaminate(files=[str(tmp_path / name)])])


def test_an_evaluation_file_without_the_text_field_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "evaluation.jsonl"
    path.write_text(json.dumps({"question": text_of(words("en", 30))}) + "\n", "utf-8")
    with pytest.raises(AigcError, match="text"):
        clean(tmp_path / "run", [("a", text_of(words("en", 30))), OTHER], [Decontaminate(files=[str(path)])])


def test_the_text_field_can_be_named(tmp_path: Path) -> None:
    path = tmp_path / "evaluation.jsonl"
    path.write_text(json.dumps({"question": text_of(words("en", 30)), "text": "a"}) + "\n", "utf-8")
    rules = [Decontaminate(files=[str(path)], text_field="question")]
    assert clean(tmp_path / "run", [("a", text_of(words("en", 30))), OTHER], rules).kept == {"other"}


def passages(tmp_path: Path) -> tuple[str, str]:
    """Two evaluation texts that share a passage, and a document that is the second of them."""
    shared = words("en", 60)
    texts = [text_of(shared + words("en", 40, seed)) for seed in (1, 2)]
    return evaluation(tmp_path, *texts), texts[1]


def test_a_shared_passage_drops_the_document(tmp_path: Path) -> None:
    path, document = passages(tmp_path)
    assert clean(tmp_path / "run", [("a", document), OTHER], [Decontaminate(files=[path])]).kept == {"other"}


@pytest.mark.parametrize("share", [0, 0.9])
def test_a_shared_passage_counts_for_each_text_that_has_it(tmp_path: Path, share: float) -> None:
    path, document = passages(tmp_path)
    cleaned = clean(tmp_path / "run", [("a", document), OTHER], [Decontaminate(files=[path], share=share)])
    assert cleaned.found() == {"a": (f"{path}:2", 1.0)}


def test_several_files_and_globs(tmp_path: Path) -> None:
    for i in range(3):
        written(tmp_path / f"{i}.jsonl", text_of(words("zh", 30, i)))
    written(tmp_path / "b.csv", text_of(words("zh", 30, 3)))
    rules = [Decontaminate(files=[str(tmp_path / "*.jsonl"), str(tmp_path / "b.csv")])]
    rows = [(f"{i}", text_of(words("zh", 30, i))) for i in range(5)]
    assert clean(tmp_path / "run", rows, rules, cuts=[2, 2]).kept == {"4"}


def test_drop_false_marks(tmp_path: Path) -> None:
    text = text_of(words("en", 30))
    path = evaluation(tmp_path, text)
    cleaned = clean(tmp_path / "run", [("a", text), OTHER], [Decontaminate(files=[path], drop=False)])
    assert cleaned.found("marked") == {"a": (f"{path}:1", 1.0)}
    assert cleaned.account.kept == 2


def test_samples_are_compared_with_the_set_alone(tmp_path: Path) -> None:
    text, other = (text_of(words("zh", 40, seed)) for seed in range(2))
    rules = [Decontaminate(files=[evaluation(tmp_path, text)])]
    documents = pl.DataFrame({"id": ["a", "b", "c"], "text": [other, text, other]})
    assert apply(documents, rules, Seen()).kept["id"].to_list() == ["a", "c"], "samples that repeat each other are no matter here"


@pytest.mark.parametrize("before", [100_000, 104_854])
def test_a_passage_far_into_a_very_long_document_is_found(tmp_path: Path, before: int) -> None:
    passage = text_of(words("en", 13))
    document = "word " * before + passage + " word" * 6_000
    assert len(document) > 1 << 19
    rules = [Decontaminate(files=[evaluation(tmp_path, passage)])]
    assert clean(tmp_path / "run", [("a", document), OTHER], rules).kept == {"other"}


SOME = st.lists(st.sampled_from(["one", "two", "好", "学", "，", "\n"]), max_size=12).map(" ".join)


@QUICK
@given(held=st.lists(SOME, min_size=1, max_size=3), texts=st.lists(SOME, min_size=1, max_size=5), n=st.sampled_from([5, 6]))
def test_what_goes_is_what_brute_force_finds(
    tmp_path_factory: pytest.TempPathFactory, held: list[str], texts: list[str], n: int
) -> None:
    folder = tmp_path_factory.mktemp("evaluation")
    rows = [OTHER, *((f"{i}", text) for i, text in enumerate(texts))]
    cleaned = clean(folder / "run", rows, [Decontaminate(files=[evaluation(folder, *held, text_of(words("zh", 20)))], ngram=n)])
    sizes = [(min(n, len(units(text))), text) for text in held if len(units(text)) >= 5]
    wanted = {name for name, text in rows if any(grams(text, size) & grams(one, size) for size, one in sizes)}
    assert cleaned.found().keys() == wanted
