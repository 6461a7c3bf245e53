"""Each edit changes what it should in Chinese and English, leaves the rest alone, and never fails."""

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aigc.core.rules.edits.html import HtmlToText
from aigc.core.rules.edits.redact import Redact
from aigc.core.rules.edits.sentences import FinishSentence
from aigc.core.rules.edits.unicode import RepairUnicode, Whitespace
from aigc.core.rules.rule import Edit

EDITS = [RepairUnicode(), HtmlToText(), Whitespace(), Redact(), FinishSentence()]


def edited(rule: Edit, *texts: str) -> list[str]:
    frame = pl.DataFrame({"id": [str(i) for i in range(len(texts))], "text": list(texts)}, schema_overrides={"text": pl.String})
    return frame.with_columns(text=rule.text())["text"].to_list()


def misread(text: str, encoding: str) -> str:
    """UTF-8 bytes read in another encoding, as browsers do it: bytes that cp1252 lacks are control characters."""
    if encoding == "cp1252":
        return "".join(bytes([b]).decode("cp1252" if b not in (0x81, 0x8D, 0x8F, 0x90, 0x9D) else "latin-1") for b in text.encode())
    return text.encode().decode(encoding)


HTML = ["<p>", "</p>", "<b>", "</b>", "<br>", "<script>", "</script>", "<!--", "-->", "&lt;", "&amp;", "<", ">"]
DATA = ["13812345678", "+86 ", "a@b.cn", "010-62345678", "Ã©", "â€™"]
PROSE = ["。", "！”", ".", "? ", "中文", "word", "\n", "\r", " ", "\u2028", "\u00a0", "\x1c"]
PIECES = st.sampled_from([*HTML, *DATA, *PROSE])
TEXTS = st.text(max_size=40) | st.lists(PIECES, max_size=12).map("".join)


@pytest.mark.parametrize("rule", [Whitespace(), FinishSentence()], ids=lambda rule: type(rule).__name__)
@settings(max_examples=200, deadline=None)
@given(text=TEXTS)
def test_an_edit_gives_text_and_is_done_after_one_time(rule: Edit, text: str) -> None:
    (once,) = edited(rule, text)
    assert isinstance(once, str)
    assert edited(rule, once) == [once]


@pytest.mark.parametrize("rule", [RepairUnicode(), HtmlToText(), Redact()], ids=lambda rule: type(rule).__name__)
@settings(max_examples=200, deadline=None)
@given(text=TEXTS)
@example("<p></p>")
def test_tags_mojibake_and_numbers_of_any_shape_give_text(rule: Edit, text: str) -> None:
    (once,) = edited(rule, text)
    assert isinstance(once, str)


@pytest.mark.parametrize("rule", EDITS, ids=lambda rule: type(rule).__name__)
def test_no_documents_and_empty_text_are_fine(rule: Edit) -> None:
    assert edited(rule) == []
    assert edited(rule, "") == [""]


@pytest.mark.parametrize("rule", EDITS, ids=lambda rule: type(rule).__name__)
@settings(max_examples=20, deadline=None)
@given(texts=st.lists(TEXTS, max_size=4))
def test_an_edit_of_a_text_does_not_depend_on_its_neighbours(rule: Edit, texts: list[str]) -> None:
    assert edited(rule, *texts) == [edited(rule, text)[0] for text in texts]


@pytest.mark.parametrize(
    "text",
    [
        "It’s a café — “naïve”, she said.",
        "Señor Muñoz paid 20€ for the crème brûlée.",
        "中国的首都是北京，今天天气很好。",
        "他说：“你好！”（笑）然后离开了……",
    ],
)
@pytest.mark.parametrize("encoding", ["cp1252", "latin-1"])
def test_mojibake_is_mended(text: str, encoding: str) -> None:
    assert edited(RepairUnicode(), misread(text, encoding), text) == [text, text]


@pytest.mark.parametrize(
    "text",
    [
        "（中文标点），：“引号”！？；《书名》——……『』「」",
        "ＡＢＣ１２３　全角文字留着",
        "It’s “quoted” – and … dashed.",
        "Ångström, naïve, São Paulo, Übergröße, ﬁne ligature",
        "¿Qué? ¡Sí! 20 °C ± 1 × 2 €",
        "<b>&amp;</b> stays HTML",
        "👍🏽 👨\u200d👩\u200d👧 familie",
        "line\n\ttab",
    ],
)
def test_clean_text_is_untouched(text: str) -> None:
    assert edited(RepairUnicode(), text) == [text]


def test_unicode_is_composed_and_invisible_characters_go() -> None:
    assert edited(RepairUnicode(), "cafe\u0301", "a\u200bb\ufeff\x00c", "中\u200b文\x07", "a\r\nb\rc") == [
        "café",
        "abc",
        "中文",
        "a\nb\nc",
    ]


def test_chrome_goes_and_paragraphs_stay_apart() -> None:
    page = """<html><head><title>T</title><style>p {}</style></head><body><nav>Home | 首页</nav>
    <h1>标题</h1><p>First <b>bold</b> one.</p><p>第二段<br>换行</p><script>var x = "<p>no</p>";</script>
    <footer>版权所有 ©</footer></body></html>"""
    assert edited(HtmlToText(), page) == ["标题\n\nFirst bold one.\n\n第二段\n换行"]


@pytest.mark.parametrize(
    "text",
    ["a < b and c > d", "if (x<y && y>z) 返回", "一 < 二", "List<String> 是泛型", "no tags &amp; so on", "<3 爱你", "1 <2> 3"],
)
def test_text_without_a_known_tag_is_left_alone(text: str) -> None:
    assert edited(HtmlToText(), text) == [text]


def test_plain_text_with_inline_tags_keeps_its_line_breaks() -> None:
    text = "第一行 <b>粗体</b>\n第二行\n\nfourth <i>line</i>"
    assert edited(HtmlToText(), text) == ["第一行 粗体\n第二行\n\nfourth line"]


def test_line_breaks_of_a_page_s_source_mean_nothing() -> None:
    assert edited(HtmlToText(), "<p>one\n  sentence</p>\n<!-- note --><p>两</p>") == ["one sentence\n\n两"]


def test_entities_become_characters() -> None:
    assert edited(HtmlToText(), "<p>Fish &amp; chips &lt;hot&gt; &copy;</p>") == ["Fish & chips <hot> ©"]


@pytest.mark.parametrize(
    ("text", "tidy"),
    [
        ("a  b\t\tc", "a b c"),
        ("　　首行缩进，全角空格。\u00a0", "首行缩进，全角空格。"),
        ("one \n\n\n\n two", "one\n\ntwo"),
        ("a\r\nb\rc", "a\nb\nc"),
        ("para\u2029next", "para\n\nnext"),
        (" \n\t ", ""),
        ("中文不加空格", "中文不加空格"),
    ],
)
def test_white_space_is_folded(text: str, tidy: str) -> None:
    assert edited(Whitespace(), text) == [tidy]


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("请拨打13812345678联系", "请拨打[PHONE]联系"),
        ("手机：138-1234-5678。", "手机：[PHONE]。"),
        ("电话+86 138-1234-5678，", "电话[PHONE]，"),
        ("座机010-62345678转8", "座机[PHONE]转8"),
        ("Call (415) 555-2671 now", "Call [PHONE] now"),
        ("call 415-555-2671.", "call [PHONE]."),
        ("London: +44 20 7946 0958", "London: [PHONE]"),
        ("邮箱zhang.san@example.com.cn谢谢", "邮箱[EMAIL]谢谢"),
        ("Write to <jane+x@mail.example.org>.", "Write to <[EMAIL]>."),
    ],
)
def test_personal_data_is_found_next_to_any_character(text: str, safe: str) -> None:
    assert edited(Redact(), text, safe) == [safe, safe]


@pytest.mark.parametrize(
    "text",
    [
        "It cost $1,234,567.89 in 1999-2024.",
        "订单号20240115123456789，价格￥13800元",
        "2024-01-15 10:30:00",
        "圆周率3.14159265358979",
        "ISBN 9787111213826",
        "the score was 100-99, 42 points",
        "@all 大家好",
        "人口13812万，面积960万平方公里",
    ],
)
def test_prices_years_and_long_numbers_are_left_alone(text: str) -> None:
    assert edited(Redact(), text) == [text]


def test_the_kinds_can_be_chosen() -> None:
    text = "a@b.com 13812345678"
    assert edited(Redact(kinds=["email"]), text) == ["[EMAIL] 13812345678"]
    assert edited(Redact(kinds=["phone"]), text) == ["a@b.com [PHONE]"]
    with pytest.raises(ValueError, match="kinds"):
        Redact(kinds=[])


@pytest.mark.parametrize(
    ("text", "finished"),
    [
        ("One is done. Two is not", "One is done."),
        ("第一句。第二句没有说", "第一句。"),
        ("他说：“好！”然后就", "他说：“好！”"),
        ('She said "no." And then', 'She said "no."'),
        ("Pi is 3.14 or so. It", "Pi is 3.14 or so."),
        ("All done.", "All done."),
        ("都说完了。", "都说完了。"),
        ("真的吗？是的！", "真的吗？是的！"),
        ("no end at all", "no end at all"),
        ("没有句号的文字", "没有句号的文字"),
        ("First.\nsecond line", "First."),
    ],
)
def test_a_cut_off_sentence_goes_and_text_without_an_end_stays(text: str, finished: str) -> None:
    assert edited(FinishSentence(), text) == [finished]
