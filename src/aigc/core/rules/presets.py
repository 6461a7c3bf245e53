"""Named lists of rules with the bounds that others published, and our own."""

from typing import Any

__all__ = ["PRESETS"]

Item = str | dict[str, Any]

_GOPHER_STOP_WORDS = ["the", "be", "to", "of", "and", "that", "have", "with"]

# Rae et al. 2021 (Gopher), table A1 and section A.1.1; words of 50 to 100,000 as in datatrove's GopherQualityFilter
_GOPHER: list[Item] = [
    {"words": {"min": 50, "max": 100_000}},
    {"mean_word_length": {"min": 3, "max": 10}},
    {"hashes_per_word": {"max": 0.1}},
    {"ellipses_per_word": {"max": 0.1}},
    {"bullet_lines": {"max": 0.9}},
    {"ellipsis_lines": {"max": 0.3}},
    {"alphabetic_words": {"min": 0.8}},
    {"stop_words": {"words": _GOPHER_STOP_WORDS, "min": 2}},
    {"duplicate_lines": {"max": 0.3}},
    {"duplicate_paragraphs": {"max": 0.3}},
    {"duplicate_line_characters": {"max": 0.2}},
    {"duplicate_paragraph_characters": {"max": 0.2}},
    *({"top_ngram": {"n": n, "max": most}} for n, most in ((2, 0.20), (3, 0.18), (4, 0.16))),
    *(
        {"duplicate_ngrams": {"n": n, "max": most}}
        for n, most in ((5, 0.15), (6, 0.14), (7, 0.13), (8, 0.12), (9, 0.11), (10, 0.10))
    ),
]

# Raffel et al. 2020 (C4), section 2.2, as in datatrove's C4QualityFilter; the Chinese marks end a line too
_C4_PHRASES = ["javascript", "terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies"]
_C4: list[Item] = [
    {"keep_lines": {"terminal": True, "min_words": 3, "max_word_length": 1000, "without": _C4_PHRASES}},
    {"phrases": {"phrases": ["lorem ipsum"], "max": 0}},
    {"braces": {"max": 0}},
    {"sentences": {"min": 5}},
]

# Penedo et al. 2024 (FineWeb), section 3.6
_FINEWEB: list[Item] = [
    {"terminal_lines": {"min": 0.12}},
    {"short_lines": {"max": 0.67}},
    {"duplicate_line_characters": {"max": 0.01}},
    {"line_breaks_per_word": {"max": 0.3}},
]

# Penedo et al. 2025 (FineWeb-2), configs/cmn_Hani.yml; n-grams here are of characters, there of jieba's words
_FINEWEB2_STOP_WORDS = "的 年 在 月 是 和 日 了 於 为 為 有 被 人 中 他 与 與 后 後 也 而 由".split()
_FINEWEB2_ZH: list[Item] = [
    {"language": {"in": ["zh"], "min": 0.692}},
    {"duplicate_lines": {"max": 0.287}},
    *({"top_ngram": {"n": n, "max": most}} for n, most in ((2, 0.256), (3, 0.201), (4, 0.171))),
    *(
        {"duplicate_ngrams": {"n": n, "max": most}}
        for n, most in ((5, 0.198), (6, 0.182), (7, 0.167), (8, 0.154), (9, 0.14), (10, 0.127))
    ),
    {"words": {"min": 50, "max": 100_000}},
    {"mean_word_length": {"min": 1, "max": 5}},
    {"alphabetic_words": {"min": 0.735}},
    {"stop_words": {"words": _FINEWEB2_STOP_WORDS, "min": 2}},
    {"terminal_lines": {"min": 0.106}},
    {"line_breaks_per_word": {"max": 0.178}},
    {"duplicate_line_characters": {"max": 0.1}},
]

# Zhang et al. 2024 (MAP-NEO, Matrix), filter/filter.py; words here are characters, there jieba's; its bounds on
# 【】 and on "read more" lines are left out, and digits are counted by characters where it counts words
_MATRIX_ZH: list[Item] = [
    {"keep_lines": {"terminal": True, "min_words": 3, "without": ["javascript", "lorem ipsum"]}},
    {"sentences": {"min": 2}},
    {"words": {"min": 50, "max": 10_000}},
    {"mean_word_length": {"max": 10}},
    {"hashes_per_word": {"max": 0.1}},
    {"ellipses_per_word": {"max": 0.1}},
    {"digit_share": {"max": 0.3}},
    {"bullet_lines": {"max": 0.9}},
    {"punctuation_share": {"min": 1e-9}},
    {"unique_words": {"min": 0.1}},
    {"word_entropy": {"min": 3}},
    {"language": {"in": ["zh"], "min": 0.4}},
    *({"top_ngram": {"n": n, "max": most}} for n, most in ((2, 0.20), (3, 0.18), (4, 0.16))),
    *({"duplicate_ngrams": {"n": n, "max": 0.6}} for n in range(5, 11)),
]

# Ours: loose enough for headlines, poems and posts in both languages; what it drops is no text at all, or says a thing again
_DEFAULT: list[Item] = [
    "repair_unicode",
    "html_to_text",
    "whitespace",
    "redact",
    {"characters": {"min": {"en": 20, "zh": 8}}},
    {"symbol_share": {"max": 0.15}},
    {"mixed_words": {"max": 0.25}},
    {"digit_share": {"max": 0.5}},
    {"alphabetic_words": {"min": 0.4}},
    {"mean_word_length": {"max": {"en": 15}}},
    {"phrases": {"phrases": ["lorem ipsum"], "max": 0}},
    {"duplicate_line_characters": {"max": 0.3}},
    {"duplicate_ngrams": {"n": 10, "max": 0.3}},
    "exact_duplicates",
    {"near_duplicates": {"similarity": 0.5, "ngram": 3}},
]

PRESETS: dict[str, list[Item]] = {
    "default": _DEFAULT,
    "gopher": _GOPHER,
    "c4": _C4,
    "fineweb": _FINEWEB,
    "fineweb2-zh": _FINEWEB2_ZH,
    "matrix-zh": _MATRIX_ZH,
}
"""The rules of each preset, as they would stand in a project file."""
