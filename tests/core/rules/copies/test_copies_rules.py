"""The rules reject copies with value, bound and source; they need an index, which a stage may hand over."""

import random
from pathlib import Path

import polars as pl
import pytest
from quoting import frame_of, indexed

from aigc.core.rules.apply import Outcome, Seen, apply
from aigc.core.rules.copies.index import write_index
from aigc.core.rules.copies.rules import CopiedRun, CopiedShare, NearCopies, with_index
from aigc.core.rules.duplicates.near import NearDuplicates
from aigc.core.rules.measures.characters import Characters
from aigc.core.rules.rule import Rule
from aigc.core.rules.table import RULES, rule_class
from aigc.errors import AigcError

EN = [f"{a}{b}{c}" for a in "bcdfgklmnprst" for b in ("a", "e", "ing", "o") for c in ("ck", "d", "l", "m", "nd", "r", "st")]
ZH = [chr(0x4E00 + 7 * i) for i in range(1200)]


def text_of(language: str, size: int, seed: int) -> str:
    words = random.Random(seed).choices(EN if language == "en" else ZH, k=size)
    return (" " if language == "en" else "").join(words)


def edited(text: str, language: str, every: int) -> str:
    """One word in so many replaced."""
    words = text.split() if language == "en" else list(text)
    words[3::every] = ["xylem" if language == "en" else "鼐"] * len(words[3::every])
    return (" " if language == "en" else "").join(words)


def judged(rules: list[Rule], **texts: str) -> Outcome:
    return apply(pl.DataFrame({"id": list(texts), "text": list(texts.values())}), rules, Seen())


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_copied_run_is_dropped_with_its_length_and_its_source(tmp_path: Path, language: str) -> None:
    rows = [(f"d{i}", text_of(language, 150, i)) for i in range(5)]
    indexed(tmp_path / "index", rows, licence="CC-BY-4.0")
    quote = rows[3][1][40:120]
    long, short = f"{text_of(language, 8, 99)}; {quote}. {text_of(language, 8, 98)}", rows[3][1][40:85]
    outcome = judged([CopiedRun(index=str(tmp_path / "index"))], long=long, short=short, own=text_of(language, 60, 97))
    assert outcome.kept["id"].to_list() == ["short", "own"]
    (entry,) = outcome.ledger.iter_rows(named=True)
    assert (entry["id"], entry["rule"], entry["bound"]) == ("long", "copied_run", "max 50")
    assert len(quote) - 2 <= entry["value"] <= len(quote) + 2
    assert entry["detail"] == f"d3 ({entry['value']:g} characters, CC-BY-4.0)"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_patchwork_is_dropped_by_its_share_and_not_by_its_runs(tmp_path: Path, language: str) -> None:
    rows = [(f"d{i}", text_of(language, 90, i)) for i in range(8)]
    indexed(tmp_path / "index", rows)
    size = 20
    pieces = [row[1].split()[10 : 10 + size] if language == "en" else list(row[1][10 : 10 + size]) for row in rows]
    patchwork = (" " if language == "en" else "").join(word for piece in pieces for word in piece)
    rules: list[Rule] = [CopiedRun(index=str(tmp_path / "index"), max=130), CopiedShare(index=str(tmp_path / "index"), max=0.3)]
    outcome = judged(rules, patchwork=patchwork, own=text_of(language, 160, 97))
    assert outcome.kept["id"].to_list() == ["own"]
    (entry,) = outcome.ledger.iter_rows(named=True)
    assert (entry["rule"], entry["bound"]) == ("copied_share", "max 0.3")
    assert entry["value"] == pytest.approx(8 * 8 / (160 - 12), abs=0.03)  # 8 of the 13-grams of each piece
    assert entry["detail"].startswith("d")


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("every", [20, 30, 60])
def test_near_copies_are_those_that_near_duplicates_finds(tmp_path: Path, language: str, every: int) -> None:
    rows = [(f"d{i}", text_of(language, 150, i)) for i in range(20)]
    indexed(tmp_path / "index", rows)
    texts = {f"s{i}": edited(text, language, every) for i, (_, text) in enumerate(rows[:10])} | {"own": text_of(language, 150, 99)}
    near = judged([NearCopies(index=str(tmp_path / "index"))], **texts)
    both = judged([NearDuplicates(similarity=0.7)], **dict(rows), **texts)
    wanted = ["id", "verdict", "keeper", "similarity"]
    assert near.ledger.select(wanted).rows() == both.ledger.select(wanted).rows()
    assert len(near.ledger) == (0 if every == 20 else 10)
    assert near.kept["id"].to_list()[-1] == "own"


def test_a_near_copy_of_a_long_document_is_compared_with_all_of_it(tmp_path: Path) -> None:
    text = text_of("zh", 150_000, 1)
    indexed(tmp_path / "index", [("a", "短"), ("long", text)])
    outcome = judged([NearCopies(index=str(tmp_path / "index"))], copy=edited(text, "zh", 60), part=text[:60_000])
    (entry,) = outcome.ledger.iter_rows(named=True)
    assert (entry["id"], entry["keeper"]) == ("copy", "long")
    assert entry["similarity"] == pytest.approx((1 - 5 / 60) / (1 + 5 / 60), abs=0.02)


def test_a_mark_only_keeps_the_text(tmp_path: Path) -> None:
    text = text_of("en", 60, 1)
    indexed(tmp_path / "index", [("d", text)])
    outcome = judged([NearCopies(index=str(tmp_path / "index"), drop=False)], s=text)
    assert outcome.kept["id"].to_list() == ["s"]
    assert outcome.ledger.select("verdict", "keeper", "similarity").rows() == [("marked", "d", 1.0)]


@pytest.mark.parametrize("name", ["copied_run", "copied_share", "near_copies"])
def test_without_an_index_the_rule_says_what_it_needs(name: str, tmp_path: Path) -> None:
    assert name in RULES
    rule = rule_class(name)()
    with pytest.raises(AigcError, match=f"^{name}: no index of training documents"):
        judged([rule], s="text")
    assert with_index([rule], None) == ([rule], [])
    (other,), _ = with_index([rule], tmp_path / "none")
    with pytest.raises(AigcError, match="none: no index of training documents; `aigc pretrain`"):
        judged([other], s="text")


def test_a_stage_hands_its_index_to_those_rules_that_name_none(tmp_path: Path) -> None:
    rules: list[Rule] = [CopiedRun(max=20), Characters(min=1), CopiedShare(index="mine"), NearCopies()]
    given, left_out = with_index(rules, tmp_path)
    assert left_out == []
    assert given == [CopiedRun(max=20, index=str(tmp_path)), rules[1], rules[2], NearCopies(index=str(tmp_path))]
    assert [rule.reads() for rule in given] == [
        [tmp_path / "index.json"],
        [],
        [Path("mine") / "index.json"],
        [tmp_path / "index.json"],
    ]
    assert rules[0].reads() == []


def test_an_optional_rule_is_left_out_where_there_is_no_index(tmp_path: Path) -> None:
    rules: list[Rule] = [CopiedRun(optional=True), NearCopies(optional=True, index="mine"), Characters(min=1), CopiedShare()]
    assert with_index(rules, None) == (rules[1:], rules[:1])
    given, left_out = with_index(rules, tmp_path)
    assert len(given) == 4 and left_out == []


def test_an_index_that_is_written_anew_is_read_anew(tmp_path: Path) -> None:
    texts = [text_of("en", 60, seed) for seed in (1, 2)]
    rules: list[Rule] = [CopiedRun(index=str(tmp_path / "index"))]
    indexed(tmp_path / "index", [("d", texts[0])])
    assert len(judged(rules, a=texts[0], b=texts[1]).kept) == 1
    (tmp_path / "index").rename(tmp_path / "old")
    write_index([frame_of([("d", "nothing of the kind")])], tmp_path / "index")
    assert len(judged(rules, a=texts[0], b=texts[1]).kept) == 2
