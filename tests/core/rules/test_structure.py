"""Faults of structure are found in Chinese and in English, and sound texts are let through."""

import json
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import aigc
from aigc.core.rules.apply import apply
from aigc.core.rules.measures.structure import StructureFaults
from aigc.core.rules.structure import KINDS, lints

SAMPLES = Path(aigc.__file__).parent / "samples"


def kinds(text: str, title: str | None = None) -> list[str]:
    return [one.kind for one in lints(text, title)]


FAULTY = {
    "heading_level": ["# 一\n正文。\n\n### 二\n正文。", "# One\nText.\n\n### Two\nText."],
    "heading_number": [
        "## 第一章\n正文。\n## 第三章\n正文。",
        "第一章 雨\n正文。\n第一章 雪\n正文。",
        "## 一、甲\n正文。\n## 三、乙\n正文。",
        "## 1. A\nText.\n## 3. B\nText.",
        "## 1 A\nText.\n## 1.2 B\nText.",
        "Chapter One: Rain\nText.\nChapter Three: Snow\nText.",
        "## 1.1 A\nText.\n## 1.3 B\nText.",
    ],
    "heading_repeated": ["## 天气\n晴。\n## 天气\n雨。", "## Rain\nIt rained.\n## RAIN\nAgain."],
    "empty_section": ["## 天气\n\n## 交通\n畅通。", "Text.\n\n## Rain"],
    "list_number": ["1. 甲\n2. 乙\n4. 丙", "1. a\n2. b\n2. c", "（一）甲\n（三）乙", "2. second\n3. third", "①甲\n③乙"],
    "enumeration": [
        "首先，要下雨。",
        "其次，要下雪。",
        "第一，要快。第三，要稳。",
        "其一，快。",
        "一是快，三是稳。",
        "一方面要快。",
        "1. 甲",
        "有三个原因：\n- 甲\n- 乙",
        "First, we wait.",
        "Secondly, we go.",
        "On the one hand, rain.",
        "There are three reasons:\n- a\n- b",
        "1. only one",
    ],
    "unclosed": [
        "```\ncode",
        "他说：“走吧。",
        "（待续。",
        "《红楼梦是一部小说。",
        "「走吧。",
        "He said “go.",
        'He said, "let us go.',
        "(to be continued.",
    ],
    "ending": [
        "今天下雨了。明天，",
        "今天的雨下得很大，街上没有一个行人，只有路灯还亮着。店里的老板娘抱着猫坐在门口，看着雨水顺着屋檐落下来，一直",
        "It rained, and the",
        "It rained today and the streets were empty. Only the lamps were lit, and the owner of the shop sat at the door with",
    ],
    "title": [
        "# 三百人参加马拉松\n\n周日上午，五百人参加马拉松。",
        "# 李小明获奖\n\n李晓明昨天获奖。李晓明说很高兴。",
        "# Bridge opens after 12 months\n\nIt took 18 months to build.",
        "# Mayor Robinson resigns\n\nYesterday the mayor, Anna Robinsen, resigned.",
        "# 气温升至38.5度\n\n今天气温达到39.2度。",
    ],
}


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in FAULTY.items() for text in texts])
def test_a_fault_is_found(kind: str, text: str) -> None:
    assert kinds(text) == [kind]


def test_every_kind_is_tested() -> None:
    assert set(FAULTY) == set(KINDS)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "# 标题",
        "# 题\n\n## 一、甲\n正文。\n\n## 二、乙\n正文。\n\n### 细节\n正文。\n\n## 三、丙\n正文。",
        "# T\n\n## 1. A\nText.\n\n### 1.1 B\nText.\n\n### 1.2 C\nText.\n\n## 2. D\nText.\n\n### 2.1 E\nText.",
        "第七章 归来\n他回来了。\n\n第八章 离去\n他走了。",
        "Chapter 7: Back\nHe came.\n\nChapter 8\nHe left.",
        "## 甲\n### 总结\n好。\n## 乙\n### 总结\n好。",
        "首先，要快；其次，要稳；最后，要好。",
        "首先发现火情的是一位老人。",
        "第一，要快。第二，要稳。另外，第一，要省。第二，要好。",
        "第一名是他。第三名是她。",
        "一方面要快，另一方面要稳。",
        "First, we wait. Then we go.",
        "The first was good. Thirdly speaking is hard.",
        "On the one hand, rain; on the other, sun.",
        "1. 甲\n2. 乙\n3. 丙",
        "1. a\n1. b\n1. c",
        "1. a\n   - x\n   - y\n2. b\n\nText.\n\n3. c\n\n## B\n1. a\n2. b",
        "- a\n- b",
        "有三个原因：\n1. 甲\n2. 乙\n3. 丙",
        "There are two ways:\n- this\n- that",
        "2024. 那一年很冷。",
        "3.5 million came.",
        "```\n# not a heading\n(\n```\n好。",
        "`(` 是括号。",
        "“走吧。\n\n“我们回家。”他说。",
        '"Go.\n\n"We are late," she said.',
        'The 12" disc (7" too) :( is old.',
        "他笑了：）",
        "1) a\n2) b",
        "今天真开心！#雨天",
        "今天真开心 😊",
        "下雨了\n我没带伞",
        "见 https://example.org/a(b",
        "雨停了。\n\n——完",
        "He left.\n\nThe End",
        "那以后……",
        "It was over...",
        "| a | b |\n|---|---|\n| 1 | 2 |",
        "---\ntitle: (x\n---\n好。",
        "# 三百首旧曲\n\n收录三百一十二首。",
        "# 3 dead\n\nThree people died in 5 hours.",
        "# 2026 budget\n\nIt grew by 5.1%.",
        "# Canada wins\n\nThe Canadian team won.",
        "# Over 1,000 march\n\nAbout 1,200 people marched.",
    ],
)
def test_a_sound_text_has_none(text: str) -> None:
    found = [one for one in lints(text) if one.kind != "empty_section" or text != "# 标题"]
    assert found == []


def test_places_and_title() -> None:
    text = "# 三百人参加\n\n他说：“有五百人参加。"
    found = {one.kind: text[one.begin : one.end] for one in lints(text)}
    assert found == {"title": "五百", "unclosed": "“"}
    assert kinds("有五百人参加。", "三百人参加") == ["title"]
    assert [one.kind for one in lints(text, kinds=["unclosed"])] == ["unclosed"]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from(["# ", "## 一、", "1. ", "第一，", "“", "”", "(", "```\n", "\n", "三百人", "李雷", "First, ", "。", "a"]),
        max_size=25,
    )
)
def test_any_text_is_taken_and_places_are_in_it(pieces: Sequence[str]) -> None:
    text = "".join(pieces)
    for one in lints(text, "三百人与李雷 Robinson 12.5%"):
        assert 0 <= one.begin <= one.end <= len(text)
        assert one.message


def test_few_false_alarms_on_the_sample_corpus() -> None:
    faults = json.loads((SAMPLES / "key" / "faults.json").read_text("utf-8"))
    rows = [json.loads(line) for path in sorted(SAMPLES.glob("*.jsonl")) for line in path.read_text("utf-8").split("\n") if line]
    sound = [row for row in rows if faults[row["id"]]["fault"] not in ("html", "mojibake", "gibberish", "too_short")]
    assert len(sound) > 300
    alarms = [(row["id"], one.message) for row in sound for one in lints(row["text"], row["title"])]
    assert len(alarms) <= 0.01 * len(sound), alarms


def test_texts_cut_in_the_middle_of_a_sentence_are_found() -> None:
    rows = [json.loads(line) for line in (SAMPLES / "news.jsonl").read_text("utf-8").split("\n") if line]
    whole = [row["text"] for row in rows if row["text"].rstrip()[-1:] in "。." and "<" not in row["text"]]
    cut = [text[: len(text) * 3 // 4].rstrip() for text in whole]
    cut = [text for text in cut if text[-1].isalnum() or text[-1] in "，,"]
    found = sum(any(one.kind == "ending" for one in lints(text)) for text in cut)
    assert len(cut) > 50
    assert found >= 0.9 * len(cut)


def test_the_measure_counts_and_says_what_it_found() -> None:
    frame = pl.DataFrame(
        {"id": ["a", "b"], "text": ["1. 甲\n3. 乙\n\n（未完", "五百人参加了比赛。"], "headline": ["甲", "三百人参加"]},
    )
    outcome = apply(frame, [StructureFaults(max=0, title="headline")])
    assert outcome.ledger.select("id", "value", "detail").rows() == [
        ("a", 2.0, "item 3 follows item 1; （ is not closed"),
        ("b", 1.0, "the title says 三百, the text 五百"),
    ]
    assert len(apply(frame, [StructureFaults(max=0)]).kept) == 1
    assert len(apply(frame, [StructureFaults(max=0, kinds=["ending"])]).kept) == 2
