"""Chinese script: characters change word by word, once and no more; Japanese and English stay as they are."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigc.core.rules.edits.script import ChineseScript

SCRIPTS = ["simplified", "traditional", "taiwan", "hongkong"]
WORDS = st.sampled_from(
    "头发 發展 发展 頭髮 皇后 后来 後來 干燥 乾燥 乾坤 乾纲"
    " 里面 裏面 公里 汉字 漢字 這裡 这里 於是 于是 宮徵聲 云 雲 麵包 面包 為了 爲了 。 ， word".split()
)


def edited(to: str, *texts: str) -> list[str]:
    frame = pl.DataFrame({"text": list(texts)}, schema={"text": pl.String})
    return frame.with_columns(text=ChineseScript(to=to).text())["text"].to_list()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("to", "text", "wanted"),
    [
        ("simplified", "乾燥的乾坤", "干燥的乾坤"),
        ("simplified", "於是他來了，頭髮發白", "于是他来了，头发发白"),
        ("simplified", "於是", "于是"),
        ("traditional", "这里的头发，发展干燥，皇后后面", "這裏的頭髮，發展乾燥，皇后後面"),
        ("taiwan", "为了这里", "為了這裡"),
        ("taiwan", "爲了這裏", "為了這裡"),
        ("hongkong", "为了这里", "為了這裏"),
        ("traditional", "汉字\n漢字，皇后", "漢字\n漢字，皇后"),
    ],
)
def test_words_decide_which_character(to: str, text: str, wanted: str) -> None:
    assert edited(to, text) == [wanted]


@pytest.mark.parametrize("text", ["乾纲独断，乾坤", "宫徵声", "於戏", "幺麽", "软件和数据库"])
def test_simplified_text_stays_simplified(text: str) -> None:
    assert edited("simplified", text) == [text], "plain OpenCC knows these words in traditional surroundings only"


def test_traditional_text_is_not_converted_as_if_it_were_simplified() -> None:
    text = "皇后說：雲云，公里，這件事干戈"
    assert edited("traditional", text) == [text], "s2t would make 後 of 后 and 雲 of 云"


@pytest.mark.parametrize("to", SCRIPTS)
@pytest.mark.parametrize("text", ["漢字とひらがな、発展と頭髮", "Only English, 20 €.", "", "한국어", "カタカナ這裡カタカナ"])
def test_japanese_and_other_scripts_are_left_alone(to: str, text: str) -> None:
    assert edited(to, text) == [text]


def test_a_kana_in_a_long_chinese_text_does_not_make_it_japanese() -> None:
    assert edited("simplified", "這是一間餐廳，名字叫做「味の鄉」，在臺北的東邊，每天晚上都有很多人來。") == [
        "这是一间餐厅，名字叫做「味の乡」，在台北的东边，每天晚上都有很多人来。"
    ]


@pytest.mark.parametrize("to", SCRIPTS)
@settings(max_examples=30, deadline=None)
@given(text=st.lists(WORDS, max_size=12).map("".join))
def test_converted_text_stays_as_it_is(to: str, text: str) -> None:
    (once,) = edited(to, text)
    assert edited(to, once) == [once]


@settings(max_examples=50, deadline=None)
@given(text=st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FA5), max_size=30))
def test_any_han_characters_become_simplified_once(text: str) -> None:
    (once,) = edited("simplified", text)
    assert len(once) == len(text), "one character for one"
    assert edited("simplified", once) == [once]


@settings(max_examples=20, deadline=None)
@given(texts=st.lists(st.text(max_size=20), max_size=4), to=st.sampled_from(SCRIPTS))
def test_any_text_gives_text_and_does_not_depend_on_its_neighbours(texts: list[str], to: str) -> None:
    assert edited(to, *texts) == [edited(to, text)[0] for text in texts]


def test_a_bare_value_is_the_script() -> None:
    assert ChineseScript.shorthand == "to"
    with pytest.raises(ValueError, match="simplified"):
        ChineseScript(to="klingon")  # type: ignore[arg-type]
