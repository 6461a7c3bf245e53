"""Redact replaces every kind of secret next to any character, and leaves the numbers that only look like one."""

import datetime
import time
from itertools import pairwise
from typing import get_args

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aigc.core.rules.edits.redact import Found, Kind, Redact, find
from aigc.core.rules.edits.secrets import SHAPES

KINDS: tuple[Kind, ...] = get_args(Kind)
BODY = "a8F3kd92LmQ0x7Zp"
PEM = f"-----BEGIN RSA PRIVATE KEY-----\n{BODY * 4}\n{BODY}=\n-----END RSA PRIVATE KEY-----"


def redacted(text: str, *kinds: Kind) -> str:
    rule = Redact(kinds=list(kinds)) if kinds else Redact()
    return str(pl.DataFrame({"text": [text]}).with_columns(text=rule.text())["text"].item())


def id_check(body: str) -> str:
    """GB 11643, written with the standard's own list of weights."""
    weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]
    return "10X98765432"[sum(int(digit) * weight for digit, weight in zip(body, weights, strict=True)) % 11]


def luhn(body: str) -> str:
    doubled = [sum(divmod(2 * int(digit), 10)) if place % 2 == 0 else int(digit) for place, digit in enumerate(reversed(body))]
    return str(-sum(doubled) % 10)


def changed(code: str, place: int) -> str:
    """One digit turned into the next one: mod 11 and Luhn notice every such slip."""
    return code[:place] + str((int(code[place]) + 1) % 10) + code[place + 1 :]


digits = st.text("0123456789", min_size=3, max_size=3)
ids = st.builds(
    lambda region, date, serial: (body := f"{region}{date:%Y%m%d}{serial}") + id_check(body),
    st.sampled_from(["110105", "310104", "440305", "510107", "653101", "820000"]),
    st.dates(min_value=datetime.date(1900, 1, 1), max_value=datetime.date(2030, 12, 31)),
    digits,
)
cards = st.builds(
    lambda prefix, rest: (body := (prefix + rest)[:15]) + luhn(body),
    st.sampled_from(["4", "51", "62", "3528", "6011", "2221"]),
    st.text("0123456789", min_size=15, max_size=15),
)
mobiles = st.from_regex(r"\A1[3-9][0-9]{9}\Z")
NEIGHBOURS = st.sampled_from(["，", "电", "码", "（", "）", "。", " ", "\n", "：", ""])


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("邮箱zhang.san@example.com.cn谢谢", "邮箱[EMAIL]谢谢"),
        ("邮箱ｌｉ＠ｑｑ．ｃｏｍ。", "邮箱[EMAIL]。"),
        ("Ask him...jane+x@mail.example.org.", "Ask him...[EMAIL]."),
        ("请拨打13812345678联系", "请拨打[PHONE]联系"),
        ("Tel13812345678", "Tel[PHONE]"),
        ("１３８１２３４５６７８", "[PHONE]"),
        ("138－1234－5678", "[PHONE]"),
        ("(+86)138 1234 5678", "[PHONE]"),
        ("0086 138 1234 5678", "[PHONE]"),
        ("13812345678-13912345678", "[PHONE]-[PHONE]"),
        ("（0571）87654321", "[PHONE]"),
        ("+86-571-87654321", "[PHONE]"),
        ("客服400-820-8820转1", "客服[PHONE]转1"),
        ("热线4008208820，热线：62345678", "热线[PHONE]，热线：[PHONE]"),
        ("or +1 212-555-1723, card", "or [PHONE], card"),
        ("1-800-555-0199 or (415) 555-2671", "[PHONE] or [PHONE]"),
        ("call 4155552671 now", "call [PHONE] now"),
        ("+44 (0)20 7946 0958; +852 2345 6789", "[PHONE]; [PHONE]"),
        ("身份证11010519491231002X。", "身份证[ID_CARD]。"),
        ("110105 19491231 002x", "[ID_CARD]"),
        ("１１０１０５１９４９１２３１００２Ｘ", "[ID_CARD]"),
        ("老证110105491231002号", "老证[ID_CARD]号"),
        ("代码91350100M000100Y43，", "代码[USCC]，"),
        ("统一社会信用代码：91350100M000100Y44", "统一社会信用代码：[USCC]"),
        ("卡6222021234567890128户", "卡[BANK_CARD]户"),
        ("4111 1111 1111 1111 or 3782-822463-10005", "[BANK_CARD] or [BANK_CARD]"),
        ("卡号：4111 1111 1111 1112", "卡号：[BANK_CARD]"),
        ("host 95.95.202.118.", "host [IP]."),
        ("来自203.0.113.7:8080的", "来自[IP]:8080的"),
        ("ip 1.2.3.4", "ip [IP]"),
        ("从2001:db8::ff00:42:8329连", "从[IP]连"),
        ("fe80::1 2001:0db8:85a3:0000:0000:8a2e:0370:7334", "[IP] [IP]"),
        ("https://a.cn/x?id=3&access_token=abc123&p=2", "https://a.cn/x?id=3&access_token=[TOKEN]&p=2"),
        ("见https://a.cn/?key=a1b2c3。", "见https://a.cn/?key=[TOKEN]。"),
        ("?X-Amz-Signature=ab01&X-Amz-Date=2024", "?X-Amz-Signature=[TOKEN]&X-Amz-Date=2024"),
        ("https://x.cn/?to=https://y.cn/?sign=abcdef", "https://x.cn/?to=https://y.cn/?sign=[TOKEN]"),
        ("https://me:hunter2@a.cn/x", "https://me:[TOKEN]@a.cn/x"),
        ("密钥sk-" + "a1B2" * 8 + "，", "密钥[KEY]，"),
        ("AKIA" + "IOSFODNN7EXAMPLE.", "[KEY]."),
        ("ghp_" + "x9" * 18, "[KEY]"),
        ("github_pat_" + "x9" * 18, "[KEY]"),
        ("xoxb-" + "1234567890-abcdef", "[KEY]"),
        ("AIza" + "Sy_1-" * 7, "[KEY]"),
        ("hf_" + "Qq" * 17, "[KEY]"),
        ("Bearer eyJhbGciOiJI.eyJzdWIiOi.dBjftJeZ4CVP", "Bearer [KEY]"),
        (f"a\n{PEM}\nb", "a\n[KEY]\nb"),
        (PEM[:100], "[KEY]"),
        (f'api_key = "{BODY}"', 'api_key = "[KEY]"'),
        ("密码：Abc12345，", "密码：[KEY]，"),
    ],
)
def test_a_secret_goes_whatever_stands_beside_it(text: str, safe: str) -> None:
    assert redacted(text) == safe
    assert redacted(safe) == safe


@pytest.mark.parametrize(
    "text",
    [
        "+12 345678",
        "+33.3333333 和 +86400000",
        "3-1, 6-7 (3-7) 7-6 (8-6) 6-3, 100-99",
        "1973-1990, 2004-2005 赛季，tel 2004-2005",
        "1,000,000 or $1,234,567.89 or 13812345678元",
        "2024-11-24 10:30:00 UTC+0800，11/24/2024，20241124103000",
        "pp. 100-120, ISBN 978-7-111-21382-6, ISBN 9787111213826",
        "3.14159265358979 0.13812345678",
        "the sale of 10 737-800 planes; p/2100-1039_3-5365922.html",
        "订单号2024-13812345678，订单号20240115123456789",
        "人口13812万，均价22000-25000元",
        "4000 4100 4200 4300 4400 4500",
        "110105194912310021 的校验码错了",
        "110105 19491331 002X 没有十三月",
        "91350100M000100Y44",
        "6222021234567890127 4111-1111-1111-1112",
        "IMEI 351205811231002",
        "v1.2.3.104 版本 1.2.3.250 Section 9.5.2.101",
        "\n\n9.5.2.1. 选择器语法\n12.6.2.2 节",
        "127.0.0.1 192.168.11.1 255.255.255.0 0.0.0.0 1.2.3.256 1.2.3.4.5",
        "10:30:00 ::1 a::b std::vector 00:1A:2B:3C:4D:5E",
        "@all icon@2x.png Seti@home user@host.dom",
        "https://a.cn/q?keyword=apple&monkey=banana&page=3#top",
        "https://a.cn:8080/@user",
        "risk-adjusted-and-something-very-long, desk-12345678901234567890",
        "password: see the manual; token: 3 of 5; secret: the government",
        'api_key=os.environ["API_KEY_2"], password=${DB_PASSWORD_2}, token = get_token1(user1)',
    ],
)
def test_numbers_and_words_that_only_look_like_a_secret_stay(text: str) -> None:
    assert redacted(text) == text


@settings(max_examples=50, deadline=None)
@given(code=ids, left=NEIGHBOURS, right=NEIGHBOURS, place=st.integers(14, 16))
def test_an_id_card_needs_its_check_character_or_a_word_that_names_it(code: str, left: str, right: str, place: int) -> None:
    assert redacted(left + code + right, "id_card") == f"{left}[ID_CARD]{right}"
    slip = changed(code, place)
    assert redacted(left + slip + right, "id_card") == left + slip + right, "a wrong check character and no word"
    assert redacted("身份证号码是" + slip + right, "id_card") == f"身份证号码是[ID_CARD]{right}"
    assert redacted(f"ID number: {slip}", "id_card") == "ID number: [ID_CARD]"
    assert redacted("身份证" + "很" * 21 + slip, "id_card") == "身份证" + "很" * 21 + slip, "the word is too far away"


@settings(max_examples=50, deadline=None)
@given(card=cards, left=NEIGHBOURS, right=NEIGHBOURS, place=st.integers(6, 14))
def test_a_bank_card_needs_its_check_digit_or_a_word_that_names_it(card: str, left: str, right: str, place: int) -> None:
    grouped = " ".join(card[start : start + 4] for start in range(0, 16, 4))
    for written in (card, grouped, grouped.replace(" ", "-")):
        assert redacted(left + written + right, "bank_card") == f"{left}[BANK_CARD]{right}"
    slip = changed(card, place)
    assert redacted(left + slip + right, "bank_card") == left + slip + right, "a wrong check digit and no word"
    assert redacted(f"银行卡{slip}{right}", "bank_card") == f"银行卡[BANK_CARD]{right}"
    assert redacted(f"card {slip}, host", "bank_card") == "card [BANK_CARD], host"


@settings(max_examples=50, deadline=None)
@given(number=mobiles, left=NEIGHBOURS, right=NEIGHBOURS, octets=st.lists(st.integers(41, 254), min_size=4, max_size=4))
def test_every_mobile_and_public_address_goes(number: str, left: str, right: str, octets: list[int]) -> None:
    assert redacted(left + number + right) == f"{left}[PHONE]{right}"
    assert redacted(left + ".".join(map(str, octets)) + right) == f"{left}[IP]{right}"


NUMBERS = (
    "13812345678|138 1234 5678|+86 |+1 212-555-1723|010-62345678|62345678|11010519491231002X|110105194912310021|110105491231002"
    "|91350100M000100Y43|4111 1111 1111 1111|4111111111111111|4111111111111112|95.95.202.118|fe80::1|10:30:00|1|３"
)
WORDS = (
    "a@b.cn|身份证|卡号|card |ID |ip |电话|Tel: |?token=abc123|&key=|https://|me:pw@a.cn|://a:b@c|password: |Abc12345"
    "|xoxb-1234567890|eyJhbGci.eyJzdWI.dBjftJe|-----BEGIN PRIVATE KEY-----|-----END PRIVATE KEY-----|[PHONE]|中文|word"
)
PIECES = st.sampled_from([*NUMBERS.split("|"), *WORDS.split("|"), *"＠@.-:[] \n，_/－（）"])
TEXTS = st.lists(PIECES, max_size=12).map("".join) | st.text(max_size=40)


@settings(max_examples=200, deadline=None)
@given(text=TEXTS)
@example("://a:b@c")  # a secret of one character
@example("身份证 11010519491231002X 110105194912310021")
def test_nothing_is_found_in_redacted_text(text: str) -> None:
    once = redacted(text)
    assert find(once) == []
    assert redacted(once) == once


@settings(max_examples=150, deadline=None)
@given(text=TEXTS, kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=3))
def test_the_spans_are_what_is_replaced(text: str, kinds: list[Kind]) -> None:
    spans = find(text, kinds)
    assert all(0 <= span.start < span.end <= len(text) and span.kind in kinds for span in spans)
    assert all(left.end <= right.start for left, right in pairwise(spans)), "apart, and in order"
    expected = text
    for span in reversed(spans):
        expected = expected[: span.start] + SHAPES[span.kind].placeholder + expected[span.end :]
    assert redacted(text, *kinds) == expected, "no sign hides a document from its patterns"
    assert find(text, reversed(kinds)) == spans, "the order of the kinds makes no difference"


@settings(deadline=None)
@given(text=st.text(st.characters(categories=["L", "P", "Z", "M"], exclude_characters="@＠"), max_size=200))
def test_text_without_digits_and_at_signs_is_unchanged(text: str) -> None:
    assert redacted(text, "email", "phone", "id_card", "uscc", "bank_card", "ip") == text


def test_find_says_kind_and_place() -> None:
    assert find("电话13812345678，a@b.cn") == [Found("phone", 2, 13), Found("email", 14, 20)]
    assert find("电话１３８１２３４５６７８", ["phone"]) == [Found("phone", 2, 13)]
    assert find("电话13812345678", ["email"]) == []


def test_the_kinds_can_be_chosen_and_are_all_by_default() -> None:
    text = "a@b.com 13812345678"
    assert redacted(text, "email", "email") == "[EMAIL] 13812345678"
    assert redacted(text, "phone") == "a@b.com [PHONE]"
    assert set(Redact().kinds) == set(SHAPES) == set(KINDS)


def test_the_texts_of_the_caller_are_not_written_into() -> None:
    """Series.scatter writes in place: the documents before an edit are still needed for the ledger."""
    frame = pl.DataFrame({"text": ["１３８１２３４５６７８", "中文", "a@b.cn"]})
    before, column = frame["text"].to_list(), frame["text"]
    assert frame.with_columns(text=Redact().text())["text"].to_list() == ["[PHONE]", "中文", "[EMAIL]"]
    assert column.to_list() == before


@pytest.mark.parametrize("unit", ["1", "1 ", "@"])
def test_a_megabyte_of_one_sign_takes_no_time(unit: str) -> None:
    text = unit * (1_000_000 // len(unit))
    start = time.process_time()
    assert redacted(text) == text
    assert time.process_time() - start < 5, "backtracking: it takes a third of a second"


@pytest.mark.parametrize(
    "unit",
    "a.|a@b.|1.1.1.1.|+1 |(0|token=|?key=|://a:|eyJa.|-|ab12:|-----BEGIN PRIVATE KEY-----|13812345678a@b.cn"
    "|11010519491231002X|110105491231002-|13812345678-|138 1234 5678-".split("|"),
)
def test_time_grows_with_length_and_no_faster(unit: str) -> None:
    text = unit * (100_000 // len(unit))
    start = time.process_time()
    find(text)
    assert time.process_time() - start < 3, "a square of the length: it takes a tenth of a second"
