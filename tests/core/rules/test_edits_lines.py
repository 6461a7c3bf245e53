"""Lines that are no prose go, and so do lines that stand in many documents; all others stay in their places."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_units import folded, tiny

from aigc.core.documents.reading import Reader
from aigc.core.rules.corpus import clean_corpus
from aigc.core.rules.edits.lines import DropRepeatedLines, KeepLines
from aigc.core.rules.rule import Corpus, Edit

QUICK = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def edited(rule: Edit, *texts: str) -> list[str]:
    return pl.DataFrame({"text": list(texts)}, schema={"text": pl.String}).select(rule.text())["text"].to_list()


@pytest.mark.parametrize(
    ("rule", "text", "kept"),
    [
        (KeepLines(terminal=True), 'One.\nMenu\n"Two"\nThree!\nmore,\nFour?', 'One.\n"Two"\nThree!\nFour?'),
        (KeepLines(terminal=True), "一。\n菜单\n“二”\n三！\n还有，\n四？", "一。\n“二”\n三！\n四？"),
        (KeepLines(terminal=True), "「一」\n『二』\n三’ \n四。\u3000\r", "「一」\n『二』\n三’ \n四。\u3000\r"),
        (KeepLines(terminal=True), "read on...\nread on…\n未完……\nDone.", "Done."),
        (KeepLines(terminal=True), "One.\n\nMenu\n\nTwo.", "One.\n\n\nTwo."),  # blank lines part the paragraphs
        (KeepLines(terminal=True), "Menu\n\nOne.\n\nMenu", "One."),
        (KeepLines(terminal=True), "Menu\n菜单", ""),
        (KeepLines(min_words=3), "one two\none two three\n\nA B C D", "one two three\n\nA B C D"),
        (KeepLines(min_words=3), "好的\n天气好\n天气很好", "天气好\n天气很好"),
        (KeepLines(min_words=2), "……\n1 2\n!!! ???", "1 2"),
        (KeepLines(max_word_length=5), "short words\na verylongword here", "short words"),
        (KeepLines(max_word_length=5), "abcde\nabcdef", "abcde"),
        (KeepLines(without=["javascript", "cookie"]), "Enable JavaScript!\nWe like tea.\nCOOKIES", "We like tea."),
        (KeepLines(without=["版权所有", "(c)"]), "版权所有：某某\n正文。\nall (C) ours", "正文。"),
        (KeepLines(without=["a.b"]), "axb\na.b", "axb"),  # a phrase, not a pattern
        (KeepLines(), "  anything\n\n stays ", "  anything\n\n stays "),
        (KeepLines(terminal=True, min_words=2, max_word_length=9), "Yes.\nOh yes.\nOh incredibly.\nOh yes", "Oh yes."),
    ],
)
def test_the_kept_lines_are_known(rule: KeepLines, text: str, kept: str) -> None:
    assert edited(rule, text) == [kept]


@pytest.mark.parametrize("rule", [KeepLines(), KeepLines(terminal=True, min_words=3, max_word_length=1000, without=["x"])])
def test_no_text_and_empty_texts_stay(rule: KeepLines) -> None:
    assert edited(rule) == []
    assert edited(rule, "", "A good one is kept.", "") == ["", "A good one is kept.", ""]


LINE = st.sampled_from(
    ["", " ", "One two three.", "菜单", "天气很好。", "Read more...", "“好”", "no end", "javascript is here.", "等……"]
)
TEXT = st.lists(LINE, max_size=9).map("\n".join)
TERMINAL = ".!?\"'。！？…”’」』"


@QUICK
@given(texts=st.lists(TEXT, max_size=5))
def test_terminal_lines_are_those_of_plain_python(texts: list[str]) -> None:
    def good(line: str) -> bool:
        line = line.rstrip()
        return not line or (line[-1] in TERMINAL and not line.endswith(("...", "…")) and "javascript" not in line)

    expected = ["\n".join(line for line in text.split("\n") if good(line)).strip("\n") for text in texts]
    rule = KeepLines(terminal=True, without=["JavaScript"])
    found = edited(rule, *texts)
    assert found == expected
    assert edited(rule, *found) == found, "a second time changes nothing"


@pytest.mark.parametrize("line", ["AI改变生活。", "3个人走了。", "これはペンです。"])
def test_words_of_a_mixed_line_are_counted_as_elsewhere(line: str) -> None:
    assert edited(KeepLines(min_words=3), line) == [line]


def test_a_long_chinese_line_is_no_long_word() -> None:
    line = "今天天气很好，我们去公园。" * 80
    assert edited(KeepLines(max_word_length=1000), line) == [line]


SHARED = "Subscribe to our newsletter"
SHARED_ZH = "版权所有，未经许可不得转载"


def cleaned(folder: Path, texts: Sequence[str], rule: DropRepeatedLines, per_file: int = 4) -> tuple[list[str], list[str]]:
    """Texts through a corpus of several files: the texts that come out, in order, and the ids that the ledger calls edited."""
    paths = []
    for i in range(0, len(texts), per_file):
        path = folder / f"{i:03d}.jsonl"
        rows = ({"id": f"{i + j:03d}", "text": text} for j, text in enumerate(texts[i : i + per_file]))
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        paths.append(path)
    clean = folder / "clean"
    clean.mkdir()
    clean_corpus((batch for path in paths for batch in Reader().read(path)), [rule], folder=clean, max_failed=0)
    documents = pl.read_parquet(sorted(clean.glob("documents-*.parquet"))).sort("id")
    edits = pl.read_parquet(clean / "ledger.parquet").filter(verdict="edited", rule="drop_repeated_lines")
    assert documents["id"].to_list() == [f"{i:03d}" for i in range(len(texts))], "an edit drops no document"
    return documents["text"].to_list(), edits["id"].sort().to_list()


@pytest.mark.parametrize("line", [SHARED, SHARED_ZH])
def test_a_line_of_ten_documents_goes(tmp_path: Path, line: str) -> None:
    texts = [f"Story {i}.\n{line}\n第{i}篇的正文。" for i in range(10)] + [
        "A document without it.",
        f"It says {line} inside a line.",
    ]
    after, edits = cleaned(tmp_path, texts, DropRepeatedLines())
    assert after == [f"Story {i}.\n第{i}篇的正文。" for i in range(10)] + texts[10:]
    assert edits == [f"{i:03d}" for i in range(10)]


@pytest.mark.parametrize("line", [SHARED, SHARED_ZH])
def test_a_line_of_nine_documents_stays(tmp_path: Path, line: str) -> None:
    texts = [f"Story {i}.\n{line}" for i in range(9)] + ["Another."]
    assert cleaned(tmp_path, texts, DropRepeatedLines()) == (texts, [])


def test_a_line_counts_once_for_each_document(tmp_path: Path) -> None:
    refrain = "Oh, carry me home.\nA new verse comes.\n" * 20  # a song repeats its own lines, and keeps them
    texts = [refrain, *(f"Story {i}." for i in range(11))]
    assert cleaned(tmp_path, texts, DropRepeatedLines())[0] == texts


def test_a_line_goes_from_all_its_places_and_whatever_its_case_and_width(tmp_path: Path) -> None:
    texts = [f"{SHARED}\nStory {i}.\n{SHARED.upper()}" for i in range(5)]
    texts += [f"Story {i}.\n{SHARED.replace('S', 'Ｓ')}" for i in range(5, 10)]
    assert cleaned(tmp_path, texts, DropRepeatedLines())[0] == [f"Story {i}." for i in range(10)]


def test_a_document_of_nothing_else_is_left_empty(tmp_path: Path) -> None:
    texts = [SHARED] * 10 + ["A story."]
    assert cleaned(tmp_path, texts, DropRepeatedLines())[0] == [""] * 10 + ["A story."]


def test_short_lines_and_blank_lines_stay(tmp_path: Path) -> None:
    texts = [f"“是的。”\n\n目录 1\nStory {i}.\n1234" for i in range(12)]
    after, _ = cleaned(tmp_path, texts, DropRepeatedLines())
    assert after == [f"\n目录 1\nStory {i}.\n1234".strip("\n") for i in range(12)], "“是的。” has 5 characters, 目录 1 has 4"


def test_how_many_and_how_long_can_be_set(tmp_path: Path) -> None:
    texts = ["ab\nlonger line\n1.", "ab\nlonger line\n2.", "x longer line"]
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    rule = DropRepeatedLines(documents=2, min_characters=2)
    assert cleaned(tmp_path / "a", texts, rule, per_file=1)[0] == ["1.", "2.", "x longer line"]
    assert cleaned(tmp_path / "b", texts, DropRepeatedLines(documents=3), per_file=1)[0] == texts


FEW = st.lists(st.sampled_from(["", "ab", "AB", "xyz", "好的天", "好的天 ", "每天", " "]), max_size=6).map("\n".join)


@QUICK
@given(
    texts=st.lists(FEW, min_size=1, max_size=8), cut=st.integers(0, 8), least=st.integers(1, 4), piece=st.sampled_from([3, 1 << 17])
)
def test_repeated_lines_are_those_of_plain_python(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], cut: int, least: int, piece: int
) -> None:
    rule = DropRepeatedLines(documents=2, min_characters=least)
    folder = tmp_path_factory.mktemp("lines")
    frames = [pl.DataFrame({"id": batch, "text": batch}) for batch in (texts[:cut], texts[cut:]) if batch]
    surveys = [folder / f"{i}.survey" for i in range(len(frames))]
    with tiny(piece):
        for path, frame in zip(surveys, frames, strict=True):
            rule.survey(frame).write_ipc(path)
        finding = rule.conclude(Corpus(surveys, lambda: iter(frames)))
        found = [text for frame in frames for text in frame.select(rule.by(finding))["text"]]
    counts = Counter(line for text in texts for line in {folded(line.strip()) for line in text.split("\n")})

    def without(text: str) -> str:
        lines = text.split("\n")
        kept = [line for line in lines if len(line.strip()) < max(least, 1) or counts[folded(line.strip())] < 2]
        return text if len(kept) == len(lines) else "\n".join(kept).strip("\n")

    assert found == [without(text) for text in texts]


def test_a_line_of_spaces_still_parts_paragraphs(tmp_path: Path) -> None:
    texts = [f"First part of {i}.\n        \nSecond part of {i}." for i in range(10)]
    after, _ = cleaned(tmp_path, texts, DropRepeatedLines())
    assert [len([part for part in text.split("\n") if not part.strip()]) for text in after] == [1] * 10


def test_a_line_is_the_same_with_spaces_at_its_ends(tmp_path: Path) -> None:
    texts = [f"Story {i}.\n{' ' * i}{SHARED_ZH}{' ' * i}" for i in range(10)]
    assert cleaned(tmp_path, texts, DropRepeatedLines())[0] == [f"Story {i}." for i in range(10)]
