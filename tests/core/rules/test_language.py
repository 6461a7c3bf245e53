"""Texts whose language is known: scripts tell the East, CLD2 the rest, function words what is short."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from aigc.core.rules.measures.language import LANGUAGES, Language, detect

SHORT = {
    "en": ["The train is late today.", "Where is the station?", "Good morning", "Prices rise again", "Local team wins cup"],
    "fr": ["Le chat dort sur le canapé.", "Où est la gare ?", "Les prix augmentent encore cette année", "Il pleut dans la vallée."],
    "de": ["Der Zug kommt heute später.", "Guten Morgen", "Wo ist der Bahnhof?", "Die Preise steigen auch in diesem Jahr"],
    "es": ["El tren llega tarde hoy.", "¿Dónde está la estación?", "Los precios suben otra vez", "Muchas gracias por todo"],
    "ja": ["電車が遅れています。", "駅はどこですか", "東京都議会選挙、自民党が大敗", "カメラ", "今年も物価が上がっている"],
    "ko": ["기차가 늦게 옵니다.", "안녕하세요", "올해도 물가가 오르고 있다", "大韓民國의 수도는 서울이다"],
    "ru": ["Поезд сегодня опаздывает.", "Где находится вокзал?", "Доброе утро", "Цены снова растут"],
    "ar": ["القطار متأخر اليوم.", "أين المحطة؟", "صباح الخير", "الأسعار ترتفع من جديد"],
    "zh": ["火车晚点了", "车站在哪里？", "早上好", "好", "山高月小，水落石出。", "iPhone手机降价", "學而時習之，不亦說乎"],
}  # fmt: skip
ENGLISH = (
    "The committee met on Tuesday and agreed that the bridge should be repaired before the winter, when the river often floods. "
)
CHINESE = "委员会星期二开会，一致同意在冬天到来之前把桥修好，因为那时河水常常泛滥。"
GERMAN = "Der Ausschuss traf sich am Dienstag und beschloss, dass die Brücke noch vor dem Winter repariert werden soll. "


def values(texts: list[str], rule: Language) -> list[float]:
    frame = pl.DataFrame({"text": texts}, schema={"text": pl.String})
    return frame.select(value=rule.value())["value"].to_list()


@pytest.mark.parametrize("code", SHORT)
def test_short_texts(code: str) -> None:
    found = detect(pl.Series(SHORT[code]))
    assert dict(zip(SHORT[code], found["language"], strict=True)) == dict.fromkeys(SHORT[code], code)
    assert all(value >= 0.4 for value in values(SHORT[code], Language(in_=[code])))  # the least is an unsure word or two
    others = [other for other in SHORT if other != code]
    assert all(value <= 0.5 for value in values(SHORT[code], Language(in_=others)))


@pytest.mark.parametrize(("code", "text"), [("en", ENGLISH), ("de", GERMAN), ("zh", CHINESE)])
@pytest.mark.parametrize("times", [1, 2, 60])
def test_long_texts_are_sure(code: str, text: str, times: int) -> None:
    assert detect(pl.Series([text * times]))["language"].to_list() == [code]
    assert values([text * times], Language(in_=[code]))[0] >= 0.95
    assert values([text * times], Language(in_=["ja", "fr"])) == [0.0]


def test_a_text_in_two_wanted_languages_is_wanted() -> None:
    both = ENGLISH * 2 + "\n" + CHINESE * 3
    together, english, chinese = (values([both], Language(in_=codes))[0] for codes in (["en", "zh"], ["en"], ["zh"]))
    assert together >= 0.95
    assert 0.2 < english < 0.8
    assert together == pytest.approx(english + chinese)


def test_a_long_text_is_judged_by_its_end_too() -> None:
    text = CHINESE * 200 + ENGLISH * 400
    assert 0.2 < values([text], Language(in_=["zh"]))[0] < 0.9


def test_traditional_characters_are_chinese() -> None:
    assert values(["委員會星期二開會，一致同意在冬天到來之前把橋修好。"], Language(in_=["zh"])) == [1.0]


def test_a_stray_kana_does_not_make_a_poem_japanese() -> None:
    poem = "春江潮水連海平，海上明月共潮生。灩灩隨波千萬里，何處春江無月明。"
    assert detect(pl.Series([poem + "け"]))["language"].to_list() == ["zh"]  # digitised poems have a kana for a missing glyph


@pytest.mark.parametrize("text", ["", " \n", "12345 67.8 | 90", "。！？", "★★★", "https://example.com/the/and"])
def test_what_has_no_words_is_in_no_language(text: str) -> None:
    assert detect(pl.Series([text])).rows() == [("un", 0.0)]
    assert values([text], Language()) == [0.0]


def test_what_cld2_refuses_is_taken_out() -> None:
    dirty = ENGLISH.replace(" ", "\x00", 1).replace(" ", "\x1f", 1) + "\ufdd0\uffff\x7f\x85"
    assert detect(pl.Series([dirty, "é" + dirty]))["language"].to_list() == ["en", "en"]


def test_noise_of_letters_is_not_wanted() -> None:
    noise = "qzx vkjw pfrd xxgh wqtz bnmk lpzx dfgq vvcx hjkq zzwp rtkx bvnq mmzx wqpf kjhz xcvq ptrd gfhx zqwk vbnm jklz"
    assert values([noise + " " + noise[::-1]], Language())[0] < 0.5


def test_bare_form_and_bounds() -> None:
    rule = Language()
    assert (rule.in_, rule.min, rule.max) == (["en", "zh"], 0.5, None)
    frame = pl.DataFrame({"text": [ENGLISH, CHINESE, GERMAN]}).with_columns(value=rule.value())
    assert frame.select(broken=rule.broken_bound(pl.col("value")))["broken"].to_list() == [None, None, "min 0.5"]


def test_in_is_read_by_either_name_and_written_as_read() -> None:
    assert Language.model_validate({"in": ["fr"]}) == Language.model_validate({"in_": ["fr"]})
    assert Language(in_=["fr"]).model_dump()["in"] == ["fr"]
    assert "in" in Language.model_json_schema()["properties"]
    assert Language.shorthand == "in"


@pytest.mark.parametrize(("code", "nearest"), [("zh-Hant", "zh"), ("english", "en"), ("jp", "ja"), ("EN", "en"), ("deu", "de")])
def test_an_unknown_code_names_the_nearest(code: str, nearest: str) -> None:
    with pytest.raises(ValidationError, match=f"no language has the code '{code}'; the nearest is {nearest} "):
        Language(in_=["en", code])


def test_no_language_is_an_error() -> None:
    with pytest.raises(ValidationError, match="at least 1 item"):
        Language(in_=[])


def test_the_codes_are_those_that_cld2_tells_apart() -> None:
    import pycld2

    told = {code for name, code in pycld2.LANGUAGES if name in pycld2.DETECTED_LANGUAGES}
    ours = {{"iw": "he", "jw": "jv", "zh-Hant": "zh"}.get(code, code) for code in told}
    assert {code for code in ours if not code.startswith("xx-") and code != "zzp"} == LANGUAGES


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), max_size=6))
@settings(deadline=None, max_examples=25)
def test_any_text_has_a_confidence_and_neighbours_do_not_matter(texts: list[str]) -> None:
    rule = Language(in_=["en", "zh", "fr"])
    together = values(texts, rule)
    assert all(0.0 <= value <= 1.0 for value in together)
    assert together == [values([text], rule)[0] for text in texts]
    found = detect(pl.Series(texts, dtype=pl.String))
    assert len(found) == len(texts)
    assert all((code == "un") == (confidence == 0) for code, confidence in found.rows())
