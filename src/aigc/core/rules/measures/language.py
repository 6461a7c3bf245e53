"""Measures: a document into the confidence that it is in one of the wanted languages.

Han, kana and Hangul tell their languages by script, so that a headline or a poem of four lines is enough. All else goes to CLD2
(pycld2, its model is in the wheel), and where CLD2 is unsure, to scripts, letters and function words.
"""

import difflib
import re

import polars as pl
from pydantic import ConfigDict, Field, field_validator

from aigc.core.rules.rule import TEXT, Bound, Measure

__all__ = ["LANGUAGES", "UNKNOWN", "Language", "detect"]

UNKNOWN = "un"
"""The code of a text whose language cannot be told: numbers, tables, noise."""

LANGUAGES = frozenset(
    "aa ab af ak am ar as ay az ba be bg bh bi bn bo br bs ca ceb chr co crs cs cy da de dv dz el en eo es et eu fa fi fj fo fr fy "
    "ga gd gl gn gu gv ha haw he hi hmn hr ht hu hy ia id ie ig ik is it iu ja jv ka kha kk kl km kn ko ks ku ky la lb lg lif ln "
    "lo lt lv mfe mg mi mk ml mn mr ms mt my na ne nl nn no nr nso ny oc om or pa pl ps pt qu rm rn ro ru rw sa sco sd sg si sk sl "
    "sm sn so sq sr ss st su sv sw syr ta te tg th ti tk tl tlh tn to tr ts tt ug uk ur uz ve vi vo war wo xh yi yo za "
    "zh zu".split()
)
"""ISO 639 codes that can be told apart; zh is Chinese in either script."""

_OTHER_NAMES = {
    "cn": "zh", "chi": "zh", "zho": "zh", "cmn": "zh", "chinese": "zh", "eng": "en", "english": "en", "gb": "en", "us": "en",
    "jp": "ja", "kr": "ko", "ger": "de", "deu": "de", "fre": "fr", "fra": "fr", "spa": "es", "rus": "ru", "iw": "he", "jw": "jv",
    "nb": "no", "fil": "tl", "ua": "uk", "gr": "el", "cz": "cs",
}  # fmt: skip
_OF_CLD2 = {"zh-Hant": "zh", "iw": "he", "jw": "jv"}

_WINDOW = 500  # characters of each of the three pieces by which a long text is judged
_MIN_KANA = 0.05  # of Han and kana together: poems have up to .044 (a kana for a missing glyph), Japanese 0.08 and more
_MIN_REST = 0.25  # of the letters: fewer foreign ones inside Han, kana or Hangul are not judged
_ENOUGH = 100  # bytes of letters from which CLD2 is trusted

Shares = tuple[tuple[str, float], ...]
"""Languages of a text, each with its share times the confidence in it; they sum to 1 at most."""


class Language(Measure):
    """Confidence, 0 to 1, that the text is in one of the wanted languages; kept from 0.5 on.

    It is the share of the letters (a Han character counts as three) in these languages, so a text half Chinese, half English
    has 1 for [en, zh] and 0.5 for each alone. A text without letters has 0. Texts of more than 1,500 characters are judged by
    their beginning, middle and end.
    """

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True, serialize_by_alias=True)

    shorthand = "in"

    in_: list[str] = Field(["en", "zh"], alias="in", min_length=1)
    """the languages that are wanted, as ISO codes: en, zh, fr, ...; zh is Chinese in either script"""
    min: Bound | None = 0.5
    """the least confidence that is kept"""

    @field_validator("in_")
    @classmethod
    def _are_known(cls, codes: list[str]) -> list[str]:
        for code in codes:
            if code not in LANGUAGES:
                raise ValueError(f"no language has the code {code!r}; {_hint(code)}")
        return codes

    def value(self) -> pl.Expr:
        wanted = frozenset(self.in_)
        return TEXT.map_batches(lambda texts: _confidence(texts, wanted), return_dtype=pl.Float64)


def detect(texts: pl.Series) -> pl.DataFrame:
    """The chief language of each text, for reports.

    Args:
        texts: strings, none null.

    Returns:
        As many rows as texts: `language`, an ISO code or "un", and `confidence`, 0 to 1 (its share of the letters; 0 for "un").
    """
    parts = _parts(texts)
    rows = []
    for zh, ja, ko, rest, left in parts.iter_rows():
        shares = [("zh", zh), ("ja", ja), ("ko", ko), *((code, share * rest) for code, share in (_judged(left) if left else ()))]
        code, share = max(shares, key=lambda pair: pair[1])
        rows.append((code if share else UNKNOWN, min(1.0, share)))
    return pl.DataFrame(rows, schema={"language": pl.String, "confidence": pl.Float64}, orient="row")


def _hint(code: str) -> str:
    word = code.lower()
    known = _OTHER_NAMES.get(word) or next((part for part in (word, word[:2]) if part in LANGUAGES), None)
    if known is None:
        near = difflib.get_close_matches(word, sorted(LANGUAGES), 1, 0.4)
        known = near[0] if near else None
    return f"the nearest is {known}" if known else "codes are those of ISO 639, such as en and zh"


def _confidence(texts: pl.Series, wanted: frozenset[str]) -> pl.Series:
    parts = _parts(texts)
    found = sum((parts[code] for code in _EASTERN if code in wanted), pl.repeat(0.0, len(parts), eager=True))
    rows = (parts["text"] != "").arg_true()
    judged = [sum(share for code, share in _judged(text) if code in wanted) for text in parts["text"].gather(rows)]
    more = parts["rest"].gather(rows) * pl.Series(judged, dtype=pl.Float64)
    return found.scatter(rows, found.gather(rows) + more).clip(0.0, 1.0)


_EASTERN = ("zh", "ja", "ko")


def _parts(texts: pl.Series) -> pl.DataFrame:
    """What the scripts tell, and what they leave.

    Returns:
        A row for each text: `zh`, `ja` and `ko`, the shares of its letters in these; `rest`, the share of the letters in other
        scripts, and `text`, these letters, empty where they are too few to be judged.
    """
    samples = pl.DataFrame({"text": texts.cast(pl.String)}).select(_SAMPLE).with_row_index("row")
    is_wide = samples["text"].str.len_bytes() > samples["text"].str.len_chars()
    wide = samples.filter(is_wide).with_columns(**_NOT_HAN).with_columns(**_SCRIPTS).with_columns(**_BY_SCRIPT)
    has_rest = pl.col("rest") >= _MIN_REST
    kinds = (
        samples.filter(~is_wide).with_columns(
            TEXT.str.replace_all(r"[\x00-\x08\x0b-\x1f\x7f]+", " "), zh=0.0, ja=0.0, ko=0.0, rest=1.0
        ),
        wide.filter(has_rest).with_columns(TEXT.str.replace_all(_NOT_REST, " ")),
        wide.filter(~has_rest).with_columns(text=pl.lit("")),
    )
    return pl.concat([kind.select("row", *_EASTERN, "rest", "text") for kind in kinds]).sort("row").drop("row")


_LENGTH = TEXT.str.len_chars()
_SAMPLE = (
    pl.when(_LENGTH <= 3 * _WINDOW)
    .then(TEXT)
    .otherwise(
        pl.concat_str(
            TEXT.str.slice(0, _WINDOW), TEXT.str.slice(_LENGTH // 2 - _WINDOW // 2, _WINDOW), TEXT.str.tail(_WINDOW), separator="\n"
        )
    )
    .alias("text")
)


_BARE = pl.col("bare")  # the text less its Han characters: what is left is short, or has none
_NOT_HAN = {"bare": TEXT.str.replace_all(r"\p{Han}+", "")}
_SCRIPTS = {
    "han": (TEXT.str.len_chars() - _BARE.str.len_chars()).cast(pl.Float64),
    "kana": _BARE.str.count_matches(r"[\p{Hiragana}\p{Katakana}]").cast(pl.Float64),
    "hangul": _BARE.str.count_matches(r"\p{Hangul}").cast(pl.Float64),
    "others": _BARE.str.count_matches(r"[\p{L}&&[^\p{Hiragana}\p{Katakana}\p{Hangul}]]").cast(pl.Float64),
}
_HAN, _KANA, _HANGUL = pl.col("han"), pl.col("kana"), pl.col("hangul")
_EAST = _HAN + _KANA + _HANGUL
_OTHER = pl.col("others")
_WEIGHT = 3 * _EAST + _OTHER
_IS_JAPANESE = (_KANA > 0) & (_KANA >= _MIN_KANA * (_HAN + _KANA))
_IS_KOREAN = (_HANGUL > _HAN + _KANA) & (_KANA == 0)  # then its Han characters are hanja
_BY_SCRIPT = {
    "zh": pl.when((_HAN > 0) & ~_IS_JAPANESE & ~_IS_KOREAN).then(3 * _HAN / _WEIGHT).otherwise(0.0),
    "ja": pl.when(_IS_JAPANESE).then(3 * (_HAN + _KANA) / _WEIGHT).otherwise(0.0),
    "ko": pl.when(_HANGUL > 0).then(3 * (_HANGUL + pl.when(_IS_KOREAN).then(_HAN).otherwise(0)) / _WEIGHT).otherwise(0.0),
    "rest": pl.when(_EAST > 0).then(_OTHER / _WEIGHT).otherwise(1.0),
}
# CLD2 refuses controls and characters that are none
_NOT_REST = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}]+|[\p{Cc}\p{Cn}\p{Co}&&[^\t\n]]+"


def _judged(text: str) -> Shares:
    """The languages of a text that is in none of the scripts of the East."""
    import pycld2  # type: ignore[import-untyped]

    is_sure, length, details = pycld2.detect(text, isPlainText=True)
    if is_sure and length >= _ENOUGH:
        return tuple((_OF_CLD2.get(code, code), percent / 100) for _, code, percent, _ in details if code != UNKNOWN and percent)
    text = _ADDRESS.sub(" ", text)
    _, _, details = pycld2.detect(text, isPlainText=True, bestEffort=True)
    return _by_letters(text, _OF_CLD2.get(details[0][1], details[0][1]))


_SCRIPT_OF = (
    # script or telling letters, language, confidence; the first that matches most letters
    ("[а-яёА-ЯЁ\u0400-\u04ff]", (("[іїєґІЇЄҐ]", "uk"), ("[ўЎ]", "be"), ("[ђћљњџј]", "sr"), ("", "ru"))),
    ("[\u0600-\u06ff]", (("[پچژگک]", "fa"), ("[ٹڈڑں]", "ur"), ("", "ar"))),
    ("[\u0370-\u03ff]", (("", "el"),)),
    ("[\u0590-\u05ff]", (("", "he"),)),
    ("[\u0900-\u097f]", (("", "hi"),)),
    ("[\u0e00-\u0e7f]", (("", "th"),)),
)
_SCRIPTS_OF = tuple((re.compile(script), tuple((re.compile(sign), code) for sign, code in signs)) for script, signs in _SCRIPT_OF)
_ADDRESS = re.compile(r"(?:https?://|www\.)[!-~]+|[!-~]+@[!-~]+|\b[\w-]+\.(?:com|net|org|cn)\b")  # it has no language
_LATIN_WORD = re.compile(r"[^\W\d_]+")
_FUNCTION_WORDS: dict[str, frozenset[str]] = {
    code: frozenset(words.split())
    for code, words in {
        "en": "the and of to in is was for on with that this are be by from as at it you your i my we our they he she his her not "
        "have has had will would can what who how when where why all more most an a or if but so no new after over into out up "
        "about than its their there been were do does did just get like one says said off back down under against before amid",
        "fr": "le la les un une des du de et est sont dans pour sur avec que qui ne pas plus au aux ce cette ces il elle je tu "
        "nous vous ils son sa ses mon ma mes par mais ou où se en à été être avoir fait très comme leur leurs quand tout l d c j",
        "de": "der die das den dem des ein eine einen einem einer und ist sind war in im mit von zu zum zur auf für nicht auch "
        "ich du er sie es wir ihr sich wie aber oder als an am bei nach aus über wird werden hat haben noch nur wenn kein doch",
        "es": "el la los las un una unos y es son en de del que por para con no se su sus lo al como más pero muy está están "
        "yo tú él ella nosotros mi me te le les hay fue ser este esta eso cuando todo ya o sin sobre también porque qué",
        "it": "il lo la gli le un una e è sono di del della dei delle in nel nella che per con non si da dal al alla come più ma "
        "anche io tu lui lei noi ho ha hanno questo questa quando molto c l",
        "pt": "o a os as um uma e é são de do da dos das em no na nos nas que por para com não se seu sua ao como mais mas muito "
        "eu você ele ela nós este esta isso quando foi ser está também",
        "nl": "de het een en is zijn was van in op te dat die met voor niet aan er om ook als maar bij dan naar uit nog wel ik je "
        "hij ze wij we hun haar wat hoe waar geen",
    }.items()
}
_SIGNS = {
    "en": re.compile(r"[a-z]'s\b|[a-z]{2}ing\b|[a-z]{3}ly\b|ough|\bw[hr]|[^aeiou\W]ed\b|oo[kmt]|aw|ow"),
    "fr": re.compile(r"[çèêëàâùûîïœ]|\b[ldjcnsqm]'[a-zéèêà]"),
    "de": re.compile(r"[äöüß]"),
    "es": re.compile(r"[ñ¿¡áíóú]"),
    "it": re.compile(r"[èàòùì]"),
    "pt": re.compile(r"[ãõçáâê]"),
}


def _by_letters(text: str, guess: str) -> Shares:
    """A short text, or one that CLD2 is not sure of, by its script or, in Latin letters, by function words and accents.

    Args:
        guess: what CLD2 would say if it had to; it settles ties.
    """
    letters = sum(map(str.isalpha, text))
    if not letters:
        return ()
    for script, signs in _SCRIPTS_OF:
        if 2 * len(script.findall(text)) >= letters:
            return ((guess if guess != UNKNOWN and not signs[0][0].pattern else next(c for s, c in signs if s.search(text)), 0.7),)
    shouted = text.isupper()
    words = [word.lower() for word in _LATIN_WORD.findall(text) if shouted or not (word.isupper() and len(word) > 1)]
    hits = {code: sum(word in known for word in words) for code, known in _FUNCTION_WORDS.items()}
    lower = text.lower()
    for code, sign in _SIGNS.items():
        hits[code] += sign.search(lower) is not None
    most = max(hits.values())
    best = [code for code, count in hits.items() if count == most]
    if most and guess in best:
        return ((guess, 0.8 if most > 1 else 0.6),)
    if most > 1 or (most and not lower.isascii()):
        return ((best[0], 0.8 if most > 1 else 0.6),)
    if guess in _FUNCTION_WORDS and guess != "en" and not hits["en"]:
        return ((guess, 0.4),)
    if lower.isascii():
        return (("en", 0.5 if letters < _ENOUGH else 0.3),)  # a long text without function words is hardly prose
    return () if guess == UNKNOWN else ((guess, 0.4),)
