"""Blocklists: what must count as a use of a term, however it is written, and what must not."""

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from aigc.core.rules.measures import blocklist
from aigc.core.rules.measures.blocklist import BlocklistHits
from aigc.errors import AigcError

WORDS = ["ass", "shit", "fuck", "cunt", "hell", "坏蛋", "笨蛋", "漢奸", "sb", "bad apple", "乾"]


def counts(texts: list[str], rule: BlocklistHits) -> list[float]:
    frame = pl.DataFrame({"text": texts}, schema={"text": pl.String})
    return frame.select(value=rule.value())["value"].to_list()


def count(text: str, *words: str) -> float:
    return counts([text], BlocklistHits(words=list(words or WORDS)))[0]


@pytest.mark.parametrize(
    "text",
    [
        "what an ass", "ASS!", "_ass_", "(ass)", "ass", "ｓｈｉｔ", "Sh\u200bit", "s\u00adhit", "shït", "𝐬𝐡𝐢𝐭", "Bad\nApple",
        "f u c k", "f.u.c.k", "oh f-u-c-k you", "f_u_c_k", "I F U C K it",       # spelled out
        "sh1t", "$hit", "a$$", "5h1t", "he11", "fu*ck", "sh!t!",                 # signs for letters, stars inside
        "你这坏蛋", "坏*蛋", "坏_蛋", "坏.蛋", "坏\u200b蛋", "坏##蛋", "坏 蛋", "他 坏 蛋", "壞蛋", "汉奸", "漢奸",
        "你个sb吧", "乾坤",
    ],
)  # fmt: skip
def test_a_term_in_disguise_counts_once(text: str) -> None:
    assert count(text) == 1


@pytest.mark.parametrize(
    "text",
    [
        "class", "assess the mass", "Scunthorpe", "Shitake", "he'll", "shell", "passé", "assé", "apple", "bad, apple",
        "这东西真坏，蛋也碎了", "真坏。蛋", "坏……蛋", "他真坏 蛋碎了", "坏了的蛋", "A55", "4455", "asb", "", "***", "US 5h",
    ],
)  # fmt: skip
def test_what_is_no_term_does_not_count(text: str) -> None:
    assert count(text) == 0


def test_places_are_counted_and_overlaps_are_one() -> None:
    assert count("ass ass, shit\n坏蛋坏蛋") == 5
    assert count("大坏蛋", "坏蛋", "大坏", "大坏蛋", "坏") == 1
    assert count("一二三", "一二", "二三") == 1


def test_documents_are_apart() -> None:
    rule = BlocklistHits(words=["bad apple", "坏蛋", "ass"])
    assert counts(["a bad", "apple 坏", "蛋", "", "cl", "ass", "bad apple 坏蛋"], rule) == [0, 0, 0, 0, 0, 1, 2]
    assert counts([], rule) == []


def test_chunks_give_what_one_batch_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["ass " * 3, "x" * 50, "坏蛋", "", "class"] * 20
    expected = [3.0, 0.0, 1.0, 0.0, 0.0] * 20
    monkeypatch.setattr(blocklist, "CHUNK", 64)
    assert counts(texts, BlocklistHits(words=WORDS)) == expected


def test_a_term_inside_an_allowed_phrase_does_not_count() -> None:
    rule = BlocklistHits(words=["dick", "dyke", "鸡"], allow=["Dick van Dyke", "田鸡"])
    assert counts(["Dick Van Dyke danced.", "DICK VAN DYKE, a dick", "Dick van Dy", "田鸡和鸡"], rule) == [0, 1, 1, 1]


def test_files_with_comments(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("# 一份词表\n\nfoo   # an inline comment\n坏蛋\n", encoding="utf-8-sig")
    (tmp_path / "b.txt").write_text("c#\n", encoding="utf-8")
    rule = BlocklistHits(files=[tmp_path / "a.txt", tmp_path / "b.txt"], words=["bar"])
    assert counts(["foo 坏蛋 bar", "an inline comment", "词表", "c# it is"], rule) == [3, 0, 0, 1]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(AigcError, match=r"none\.txt: the blocklist cannot be read: No such file"):
        BlocklistHits(files=[tmp_path / "none.txt"]).value()


def test_a_file_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    (tmp_path / "gbk.txt").write_bytes("坏蛋".encode("gbk"))
    with pytest.raises(AigcError, match=r"gbk\.txt: the blocklist is not UTF-8 \(byte 0\)"):
        BlocklistHits(files=[tmp_path / "gbk.txt"]).value()


def test_a_term_of_nothing_is_an_error_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("good\n***\n", encoding="utf-8")
    with pytest.raises(AigcError, match=r"list\.txt:2: '\*\*\*' has neither letters nor digits"):
        BlocklistHits(files=[tmp_path / "list.txt"]).value()


def test_an_empty_list_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("# none yet\n", encoding="utf-8")
    with pytest.raises(AigcError, match=r"list\.txt: the blocklist has no terms"):
        BlocklistHits(files=[tmp_path / "list.txt"]).value()
    with pytest.raises(ValidationError, match="needs files or words; none is shipped"):
        BlocklistHits()


def test_one_use_is_too_many_unless_max_says_so() -> None:
    frame = pl.DataFrame({"text": ["fine", "ass", "ass ass"]})
    for rule, expected in (
        (BlocklistHits(words=["ass"]), [None, "max 0", "max 0"]),
        (BlocklistHits(words=["ass"], max=1), [None, None, "max 1"]),
    ):
        values = frame.with_columns(value=rule.value())
        assert values.select(broken=rule.broken_bound(pl.col("value")))["broken"].to_list() == expected


_CHARACTERS = st.sampled_from("乾坤漢汉坏蛋壞着著裏里发發髮后後")
_HAN = st.tuples(_CHARACTERS, st.text("乾坤漢汉发發，。*. a1é", max_size=3), _CHARACTERS).map("".join)
_ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(term=_HAN, before=_ANY, after=_ANY)
@settings(deadline=None, max_examples=50)
def test_folding_loses_no_plain_hit_of_a_chinese_term(term: str, before: str, after: str) -> None:
    assert count(before + term + after, term) >= 1


@given(term=st.text("abckst015éÉßﬁ -'*", min_size=1, max_size=8), before=_ANY, after=_ANY)
@settings(deadline=None, max_examples=50)
def test_folding_loses_no_plain_hit_of_a_word(term: str, before: str, after: str) -> None:
    term = term.strip(" -'*")
    if term:
        assert count(f"{before} {term}, {after}", term) >= 1
