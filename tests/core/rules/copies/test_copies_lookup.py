"""Quotes are found with their source and measured to the character; what is no copy is left alone."""

import json
import random
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from quoting import bundled, frame_of, indexed, is_chinese, letters_in

from aigc.core.rules.copies.index import Index, training_texts, write_index
from aigc.core.rules.copies.letters import PART
from aigc.core.rules.copies.lookup import Copied, Copies, open_copies
from aigc.errors import AigcError

QUICK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
Corpus = tuple[Copies, list[tuple[str, str]], list[tuple[str, str]]]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """An index of three in four documents of the bundled corpus, these documents, and the others."""
    folder = tmp_path_factory.mktemp("copies")
    rows = bundled(folder / "clean")
    held = [row for i, row in enumerate(rows) if i % 4 == 0]
    trained = [row for i, row in enumerate(rows) if i % 4]
    return indexed(folder / "index", trained), trained, held


def quotes(rows: list[tuple[str, str]], language: str, count: int) -> list[tuple[str, str]]:
    """Ids and passages of 60 to 160 characters, cut anywhere, in the middle of words too."""
    rng = random.Random(language)
    folded = [(name, " ".join(text.split())) for name, text in rows]
    long = [row for row in folded if len(row[1]) > 80 and is_chinese(row[1]) == (language == "zh")]
    out = []
    for name, text in rng.sample(long, count):
        size = min(rng.randint(60, 160), len(text) - 10)
        start = rng.randrange(len(text) - size)
        out.append((name, text[start : start + size]))
    return out


AROUND = {"en": ("Xylophones zigzag quietly: ", " 7734 quixotic wombats juggle."), "zh": ("貔貅饕餮齐聚，", "。魑魅魍魉散去")}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_fifty_quotes_are_found_with_their_source_and_to_the_character(corpus: Corpus, language: str) -> None:
    copies, trained, _ = corpus
    texts = {name: " ".join(text.split()) for name, text in trained}
    before, behind = AROUND[language]
    for name, quote in quotes(trained, language, 50):
        found = copies.of(before + quote + behind)
        assert name in [source.id for source in found.sources]
        best = found.sources[0]
        assert found.verbatim >= len(quote.strip())
        assert found.characters >= found.verbatim
        assert best.text in " ".join((before + quote + behind).split())
        assert best.licence == "CC0"
        assert "".join(letters_in(best.text)) in "".join(letters_in(texts[best.id]))
        assert (
            len(best.text) == best.characters == found.characters < len(quote) + 6
        )  # a letter and marks beside it may agree by chance


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("change", ["another", "more", "none"])
def test_a_changed_mark_hides_no_copy(corpus: Corpus, language: str, change: str) -> None:
    copies, trained, _ = corpus
    chosen = [(name, quote) for name, quote in quotes(trained, language, 50) if any(char in "，。,." for char in quote[20:-20])]
    assert len(chosen) > 20
    for name, quote in chosen:
        at = next(i for i, char in enumerate(quote) if 20 <= i < len(quote) - 20 and char in "，。,.")
        mark = {"another": ";" if language == "en" else "；", "more": quote[at] * 2, "none": ""}[change]
        changed = quote[:at] + mark + quote[at + 1 :]
        found = copies.of(changed)
        assert name in [source.id for source in found.sources]
        assert found.characters >= len(changed.strip()) - 2  # less marks at its very ends
        assert 0 < found.verbatim < len(quote)
        same = max(at, len(quote) - at - 1)
        assert same - 2 <= found.verbatim <= same + len(mark)


def test_under_one_in_a_hundred_held_out_documents_is_taken_for_a_copy(corpus: Corpus) -> None:
    copies, _, held = corpus
    assert len(held) > 80
    assert sum(copies.of(text).characters > 50 for _, text in held) < 0.01 * len(held)
    assert sum(copies.of(text).share for _, text in held) < 0.01 * len(held)


def test_a_whole_document_is_all_copied(corpus: Corpus) -> None:
    copies, trained, _ = corpus
    for name, text in trained[:40]:
        found = copies.of(text)
        assert (found.share, found.sources[0].id) == (1.0, name)
        assert found.characters == found.verbatim == len(" ".join(text.split()))


def test_the_longest_run_is_that_of_a_plain_search(tmp_path: Path) -> None:
    rng = random.Random(3)
    alphabet = "abcdefghij ,."
    document = "".join(rng.choices(alphabet, k=3000))
    copies = indexed(tmp_path / "index", [("d", document)])
    text = " ".join(document[a : a + rng.randint(10, 90)] for a in rng.sample(range(2900), 30))
    own, other = " ".join(text.split()), " ".join(document.split())
    longest = 0
    for at in range(len(own)):
        while at + longest < len(own) and own[at : at + longest + 1] in other:
            longest += 1
    assert copies.of(text).verbatim == longest > 50


@given(st.integers(0, 400), st.integers(0, 60), st.sampled_from(["，", "", "  ", "\n", "……"]))
@QUICK
def test_any_passage_of_ten_han_characters_is_found(corpus_zh: Copies, start: int, size: int, mark: str) -> None:
    text = "".join(chr(0x4E00 + 13 * i) for i in range(500))
    quote = text[start : start + 5] + mark + text[start + 5 : start + 10 + size]
    found = corpus_zh.of(f"貔貅{quote}饕餮")
    assert found.characters == len(" ".join(quote.split()))
    assert found.sources[0].id == "d"


@pytest.fixture(scope="module")
def corpus_zh(tmp_path_factory: pytest.TempPathFactory) -> Copies:
    """One Chinese document in which no character comes twice."""
    return indexed(tmp_path_factory.mktemp("zh") / "index", [("d", "".join(chr(0x4E00 + 13 * i) for i in range(500)))])


def test_a_title_in_common_is_no_copy(corpus_zh: Copies) -> None:
    title = "".join(chr(0x4E00 + 13 * i) for i in range(40, 48))
    assert corpus_zh.of(f"《{title}》读后感").characters <= 10
    assert corpus_zh.of("") == corpus_zh.of("。 ") == Copied()


def test_the_share_is_that_of_thirteen_grams(corpus_zh: Copies) -> None:
    quote = "".join(chr(0x4E00 + 13 * i) for i in range(100, 130))  # 18 of its 13-grams
    own = "".join(chr(0x4E01 + 13 * i) for i in range(30))
    found = corpus_zh.of(quote + "，" + own)
    assert found.share == pytest.approx(18 / (60 - 12))


def test_several_sources_are_named_the_longest_run_first(tmp_path: Path) -> None:
    words = [f"word{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(200)]
    rows = [("b", " ".join(words[:40])), ("a", " ".join(words[10:30])), ("c", " ".join(words[100:]))]
    copies = indexed(tmp_path / "index", rows, licence=None)
    found = copies.of("something else " + " ".join(words[8:34]) + " and more")
    assert [(source.id, source.licence) for source in found.sources] == [("b", None), ("a", None)]
    assert found.sources[1].text.strip() == " ".join(words[10:30])


def test_long_documents_are_found_in_every_part(tmp_path: Path) -> None:
    rng = random.Random(5)
    text = "".join(chr(0x4E00 + rng.randrange(5000)) for _ in range(3 * PART))
    copies = indexed(tmp_path / "index", [("a", "开头"), ("long", text), ("z", "结尾")])
    for start in (0, PART - 30, PART + 10, 2 * PART, 3 * PART - 60):
        found = copies.of(text[start : start + 60])
        assert (found.characters, found.sources[0].id) == (60, "long")
    whole = copies.of(text)
    assert (whole.sources[0].id, whole.share) == ("long", 1.0)
    assert copies.index.whole(2).text == copies.index.whole(1).text == text


def test_what_the_index_says_of_itself(tmp_path: Path) -> None:
    rows = [(f"d{i}", f"Document {i} says that {i * i} is the square of {i}, which is long enough.") for i in range(30)]
    size = write_index([frame_of(rows[:10]), frame_of(rows[10:])], tmp_path / "a")
    assert (size.documents, size.text_bytes) == (30, sum(len(text) for _, text in rows))
    assert Index(tmp_path / "a").size == size
    assert size.bytes == sum(path.stat().st_size for path in (tmp_path / "a").iterdir() if path.name != "index.json")
    assert write_index([frame_of(rows)], tmp_path / "b").passages == size.passages
    for name in ("hashes-00000.npy", "rows-00000.npy", "places-00000.npy"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_training_texts_are_read_from_tables_with_their_licences(tmp_path: Path) -> None:
    path = tmp_path / "train-00000.parquet"
    rows = {"id": ["1", "2"], "title": ["A", None], "text": ["x", "[y]"], "license": ["CC0", None], "tags": [["t"], None]}
    pl.DataFrame(rows).write_parquet(path)
    (frame,) = training_texts([path], ["title", "text", "no such", "tags", "text"])
    assert frame.rows() == [("1", "CC0", "A\nx\nt"), ("2", None, "[y]\n")]
    (plain,) = training_texts([path])
    assert plain["text"].to_list() == ["x", "[y]"]


def test_of_chats_what_was_said_is_indexed(tmp_path: Path) -> None:
    path = tmp_path / "train-00000.parquet"
    chat = [{"role": "user", "content": 'Why "so"?\nSay.'}, {"role": "assistant", "content": "雨天。"}]
    pl.DataFrame({"id": ["1"], "text": [json.dumps(chat)], "messages": [chat]}).write_parquet(path)
    (frame,) = training_texts([path])
    assert frame.rows() == [("1", None, "\n".join(['Why "so"?\nSay.', "雨天。"] * 2))]


def test_a_folder_without_an_index_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(AigcError, match="no index of training documents"):
        open_copies(tmp_path)
    write_index([frame_of([("a", "text")])], tmp_path / "index")
    facts = tmp_path / "index" / "index.json"
    facts.write_text(facts.read_text("utf-8").replace('"version": 1', '"version": 0'), "utf-8")
    with pytest.raises(AigcError, match="another version"):
        open_copies(tmp_path / "index")
