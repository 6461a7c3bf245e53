"""Spacing and punctuation of Chinese among words and numbers; English, Japanese and Korean stay."""

import polars as pl
import pytest

from aigc.core.rules.edits.spacing import Spacing
from aigc.core.rules.rule import Edit


def edited(rule: Edit, *texts: str) -> list[str]:
    frame = pl.DataFrame({"text": list(texts)}, schema={"text": pl.String})
    return frame.with_columns(text=rule.text())["text"].to_list()


@pytest.mark.parametrize(
    ("text", "tidy"),
    [
        ("使用Python3.11训练GPT-2模型,效果不错.", "使用 Python3.11 训练 GPT-2 模型，效果不错。"),
        ("价格是$5.5,约合￥36.6元.", "价格是$5.5，约合￥36.6 元。"),
        ("增长了5%,达到1,234.56万元", "增长了 5%，达到 1,234.56 万元"),
        ("他来了!她走了?是的;对", "他来了！她走了？是的；对"),
        ("你好 , 世界 !", "你好，世界！"),
        ("姓名:张三", "姓名：张三"),
        ("他说:“Hello,world”.", "他说：“Hello,world”。"),
        ("结果(见下表)很好", "结果（见下表）很好"),
        ("１２３ＡＢＣ", "123ABC"),
        ("营业时间１２：３０", "营业时间 12:30"),
        ("访问https://example.com/路径?a=1,b=2 查看", "访问 https://example.com/路径?a=1,b=2 查看"),
        ("代码`x=1,y=2`在此,好", "代码 `x=1,y=2` 在此，好"),
        ("比例为3:1,好", "比例为 3:1，好"),
    ],
)
def test_chinese_is_spaced_and_punctuated_by_context(text: str, tidy: str) -> None:
    assert edited(Spacing(), text, tidy) == [tidy, tidy]


@pytest.mark.parametrize(
    "text",
    [
        "Hello,world.This is a test.",
        "He said “你好” to me.",
        "The film (英雄, 2002) won.",
        "I really like 北京, and we all love 上海.",
        "他走了...",
        "——破折号——“引号”……",
        "　　首行缩进。",
        "時間は12時です,はい.",
        "안녕 中國,좋아요 1번.",
        '{"标题": "你好", "n": [1, 2]}',
        "[链接](https://a.b/中文,x)",
        "@小明2号 #AI绘画",
        "你好.com",
    ],
)
def test_english_japanese_korean_json_and_names_stay(text: str) -> None:
    assert edited(Spacing(), text) == [text]


def test_spaces_can_be_left_as_they_are() -> None:
    assert edited(Spacing(spaces="keep"), "2024年5月,GPT-2发布.", "用 GPT,好") == ["2024年5月，GPT-2发布。", "用 GPT，好"]
