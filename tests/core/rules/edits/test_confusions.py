"""Words that are written wrong become those that are meant; the same characters across two words stay."""

from pathlib import Path

import polars as pl
import pytest

from aigc.core.rules.edits.confusion_list import CONFUSIONS
from aigc.core.rules.edits.confusions import ChineseConfusions
from aigc.core.rules.rule import Edit
from aigc.errors import AigcError


def edited(rule: Edit, *texts: str) -> list[str]:
    frame = pl.DataFrame({"text": list(texts)}, schema={"text": pl.String})
    return frame.with_columns(text=rule.text())["text"].to_list()


def test_every_word_of_the_list_becomes_what_is_meant() -> None:
    assert len(CONFUSIONS) > 100
    assert edited(ChineseConfusions(), *CONFUSIONS) == list(CONFUSIONS.values())
    assert edited(ChineseConfusions(), *CONFUSIONS.values()) == list(CONFUSIONS.values())


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("你因该再接再励", "你应该再接再厉"),
        ("他己经到了", "他已经到了"),
        ("他在次获得冠军", "他再次获得冠军"),
        ("小的时侯，环境气侯好", "小的时候，环境气候好"),
        ("老人安祥地睡着", "老人安详地睡着"),
        ("市场竟争力很强", "市场竞争力很强"),
    ],
)
def test_words_are_corrected_in_their_context(text: str, right: str) -> None:
    assert edited(ChineseConfusions(), text) == [right]


@pytest.mark.parametrize(
    "text",
    [
        "因该公司未披露",
        "自己经常跑步",
        "在次日发布",
        "当时侯耀文也在",
        "研究竞争对手",
        "毕竟争议很大",
        "编纂改编作品",
        "工作崇尚节俭",
        "加密蜂窝网络",
        "电阻档位",
        "取消毁约条款",
        "立即然后",
        "`震憾` https://a.b/震憾/c #震憾#",
        "English 應該 text",
    ],
)
def test_the_same_characters_across_two_words_stay(text: str) -> None:
    assert edited(ChineseConfusions(), text) == [text]


def test_a_list_of_ones_own_is_used_beside_ours(tmp_path: Path) -> None:
    file = tmp_path / "words.txt"
    file.write_text("# ours\n帐号\t账号  # new spelling\nlogin 登录\n", "utf-8")
    rule = ChineseConfusions(words=file)
    assert rule.reads() == [file]
    assert edited(rule, "帐号login，logins震憾") == ["账号登录，logins震撼"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("帐号", "words.txt:1: a line has what is wrong"),
        ("甲 乙 丙", "words.txt:1: a line has what is wrong"),
        ("甲 甲乙", "甲 would become 甲乙, and that 甲乙乙"),
        ("甲 乙\n乙 甲", "甲 would become 乙, and that 甲"),
    ],
)
def test_a_list_that_cannot_work_is_one_clear_line(content: str, why: str, tmp_path: Path) -> None:
    file = tmp_path / "words.txt"
    file.write_text(content, "utf-8")
    with pytest.raises(AigcError, match=why):
        ChineseConfusions(words=file).text()
    with pytest.raises(AigcError, match="cannot be read"):
        ChineseConfusions(words=tmp_path / "none.txt").text()
