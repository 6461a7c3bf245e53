"""Mojibake is mended where the result is certain, inside good text as well, and good text stays byte for byte."""

import unicodedata

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigc.core.rules.edits.unicode import RepairUnicode

TEXTS = [
    "中国的首都是北京，今天天气很好。",
    "他说：“你好！”（笑）然后离开了……",
    "It’s “quoted” — and more…",
    "繁體中文與簡體中文",
    "你好",
]


def edited(*texts: str) -> list[str]:
    frame = pl.DataFrame({"text": list(texts)}, schema={"text": pl.String})
    return frame.with_columns(text=RepairUnicode().text())["text"].to_list()


def read_as_cp(text: str, encoding: str) -> str:
    """As browsers read it: bytes that the code page lacks are control characters."""
    pieces = []
    for byte in text.encode():
        try:
            pieces.append(bytes([byte]).decode(encoding))
        except UnicodeDecodeError:
            pieces.append(chr(byte))
    return "".join(pieces)


def read_as_gbk(text: str) -> str:
    """As browsers read it: 80 is "€", a byte that fits nowhere is U+FFFD."""
    data, pieces, place = text.encode(), [], 0
    while place < len(data):
        width = 1 if data[place] <= 0x80 else 2
        try:
            pieces.append("€" if data[place] == 0x80 else data[place : place + width].decode("gb18030"))
        except UnicodeDecodeError:
            pieces.append("�")
            width = 1
        place += width
    return "".join(pieces)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize(("encoding", "times"), [("latin-1", 1), ("latin-1", 2), ("cp1252", 1), ("cp1252", 2), ("cp1251", 1)])
def test_utf8_read_as_a_code_page_is_mended_alone_and_inside_good_text(text: str, encoding: str, times: int) -> None:
    broken = text
    for _ in range(times):
        broken = read_as_cp(broken, encoding)
    assert edited(broken) == [text]
    if times == 1:
        assert edited(f"好的文字在前，{broken}\n\n第二段没有问题。") == [f"好的文字在前，{text}\n\n第二段没有问题。"]


@pytest.mark.parametrize(
    ("broken", "text"),
    [
        ("浣犲ソ", "你好"),
        ("好的文字在前，浣犲ソ，好的文字在后。", "好的文字在前，你好，好的文字在后。"),
        ("We can鈥檛 stop.", "We can’t stop."),
        ("你好馃槀", "你好😂"),
        ("涓€", "一"),
        (read_as_gbk("中国的首都是北京，今天天气很好"), "中国的首都是北京，今天天气很�"),
        (read_as_gbk("凤凰巢稳，千家庭院。翩翩又见新来燕。凤凰巢稳"), "凤凰巢稳，千家庭院。翩翩又见新来燕。凤凰巢�"),
        ("ÄãºÃÊÀ½ç£¬", "你好世界，"),
    ],
)
def test_gbk_mix_ups_are_mended_and_a_lost_byte_is_said(broken: str, text: str) -> None:
    assert edited(broken) == [text]
    assert edited(text) == [text]


@pytest.mark.parametrize(
    "text",
    [
        "锟斤拷锟斤拷 is lost",
        "cafè 茅台酒 and 拢600m",  # é or 茅, £ or 拢: both are possible
        "灞涘。濯翠，鍊句，槎便，缈广寒，楫冲波",
        "渚宮澹無寰區灞滻婢僕猗歟妾淚鈿箏",
        "售价€20，锛子",
        "涓婁釜",  # 上个, but two characters with so common a source may be chance
        "ÀÁÂÃÄÅÆÇÈÉ àáâãäå ÄÖÜäöüß ·········· ¡¢£¤¥¦",
        "ＡＢＣ　１２３，：；？！“”‘’……——《》「」",
        "Привет, мир — «да», его» №1",
        "👍🏽 👨\u200d👩\u200d👧 क्षि ไทย",
        "line\n\ttab",
    ],
)
def test_good_rare_or_lost_text_stays_byte_for_byte(text: str) -> None:
    assert edited(text) == [text]


@settings(max_examples=100, deadline=None)
@given(text=st.text(max_size=30))
def test_any_text_comes_out_composed_and_without_control_characters(text: str) -> None:
    (once,) = edited(text)
    assert unicodedata.is_normalized("NFC", once)
    assert not any(unicodedata.category(c) == "Cc" and c not in "\t\n" for c in once)


@settings(max_examples=100, deadline=None)
@given(text=st.text("的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动，。：“”", max_size=30))
def test_common_chinese_stays_and_comes_back_from_every_code_page(text: str) -> None:
    assert edited(text) == [text], "no common character is a sign of a fault"
    if len(text) > 3:
        assert edited(read_as_cp(text, "latin-1")) == [text]


@settings(max_examples=100, deadline=None)
@given(
    pairs=st.lists(
        st.text("的是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动", min_size=2, max_size=2),
        min_size=2,
    )
)
def test_four_and_more_common_han_come_back_from_gbk(pairs: list[str]) -> None:
    text = "".join(pairs)
    assert edited(read_as_gbk(text)) == [text], "six bytes are three GBK characters, so no byte is lost"


@settings(max_examples=100, deadline=None)
@given(text=st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FA5), max_size=12))
def test_no_han_text_is_taken_for_mojibake_unless_its_bytes_say_so(text: str) -> None:
    (once,) = edited(text)
    if once != text:
        assert once.replace("�", "").encode()[:3] in text.encode("gb18030"), "what came out is what the bytes say"


@settings(max_examples=20, deadline=None)
@given(texts=st.lists(st.text(max_size=20) | st.sampled_from(["浣犲ソ", "e\u0301", "Ã©", "a\r"]), max_size=4))
def test_a_text_does_not_depend_on_its_neighbours(texts: list[str]) -> None:
    assert edited(*texts) == [edited(text)[0] for text in texts]
