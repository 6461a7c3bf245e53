"""Presets have the bounds that were published, drop a text for exactly the rule that should, and the default keeps good text."""

from typing import Any

import polars as pl
import pytest
from pydantic import TypeAdapter

from aigc.core.rules.apply import Outcome, Seen, apply
from aigc.core.rules.presets import PRESETS
from aigc.core.rules.rule import Measure, Rule
from aigc.core.rules.table import RULES, Rules, name_of

_READ: TypeAdapter[list[Rule]] = TypeAdapter(Rules)

Bounds = dict[str, tuple[float | None, float | None]]


def preset(name: str) -> list[Rule]:
    return _READ.validate_python([{"preset": name}])


def bounds_of(name: str) -> dict[str, Any]:
    return {name_of(rule): (rule.min, rule.max) for rule in preset(name) if isinstance(rule, Measure)}


def tops(*most: float) -> Bounds:
    return {f"top_ngram {n}": (None, one) for n, one in zip((2, 3, 4), most, strict=True)}


def repeats(*most: float) -> Bounds:
    return {f"duplicate_ngrams {n}": (None, one) for n, one in zip(range(5, 11), most, strict=True)}


# the numbers as published, written out a second time
PUBLISHED: dict[str, Bounds] = {
    "gopher": {
        "words": (50, 100_000), "mean_word_length": (3, 10), "hashes_per_word": (None, 0.1), "ellipses_per_word": (None, 0.1),
        "bullet_lines": (None, 0.9), "ellipsis_lines": (None, 0.3), "alphabetic_words": (0.8, None), "stop_words": (2, None),
        "duplicate_lines": (None, 0.30), "duplicate_paragraphs": (None, 0.30),
        "duplicate_line_characters": (None, 0.20), "duplicate_paragraph_characters": (None, 0.20),
        **tops(0.20, 0.18, 0.16), **repeats(0.15, 0.14, 0.13, 0.12, 0.11, 0.10),
    },
    "c4": {"phrases": (None, 0), "braces": (None, 0), "sentences": (5, None)},
    "fineweb": {
        "terminal_lines": (0.12, None), "short_lines": (None, 0.67),
        "duplicate_line_characters": (None, 0.01), "line_breaks_per_word": (None, 0.3),
    },
    "fineweb2-zh": {
        "language": (0.692, None), "words": (50, 100_000), "mean_word_length": (1, 5), "alphabetic_words": (0.735, None),
        "stop_words": (2, None), "terminal_lines": (0.106, None), "line_breaks_per_word": (None, 0.178),
        "duplicate_lines": (None, 0.287), "duplicate_line_characters": (None, 0.1),
        **tops(0.256, 0.201, 0.171), **repeats(0.198, 0.182, 0.167, 0.154, 0.14, 0.127),
    },
    "matrix-zh": {
        "language": (0.4, None), "sentences": (2, None), "words": (50, 10_000), "hashes_per_word": (None, 0.1),
        "mean_word_length": (None, 10),  # from 1.3 there, in words of jieba; a word here is one character
        "ellipses_per_word": (None, 0.1), "digit_share": (None, 0.3), "bullet_lines": (None, 0.9),
        "punctuation_share": (1e-9, None), "unique_words": (0.1, None), "word_entropy": (3, None),
        **tops(0.20, 0.18, 0.16), **repeats(0.60, 0.60, 0.60, 0.60, 0.60, 0.60),
    },
}  # fmt: skip


@pytest.mark.parametrize("name", [name for name in PRESETS if name != "default"])
def test_the_bounds_are_those_that_were_published(name: str) -> None:
    assert bounds_of(name) == PUBLISHED[name]


def parameters(name: str, rule: str) -> Any:
    (found,) = [item[rule] for item in PRESETS[name] if isinstance(item, dict) and rule in item]
    return found


def test_the_lists_of_words_and_phrases_are_those_that_were_published() -> None:
    assert set(parameters("gopher", "stop_words")["words"]) == set("the be to of and that have with".split())
    published = "的 年 在 月 是 和 日 了 於 為 有 被 人 中 为 他 與 後 也 而 由".split()  # '·' left out: it is no word
    assert set(published) <= set(parameters("fineweb2-zh", "stop_words")["words"])
    assert parameters("c4", "phrases")["phrases"] == ["lorem ipsum"]
    lines = parameters("c4", "keep_lines")
    assert (lines["terminal"], lines["min_words"], lines["max_word_length"]) == (True, 3, 1000)
    assert {"javascript", "privacy policy", "cookie policy", "terms of use"} <= set(lines["without"])
    assert parameters("matrix-zh", "keep_lines")["terminal"]
    assert {"javascript", "lorem ipsum"} <= set(parameters("matrix-zh", "keep_lines")["without"])


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_unfolds_into_rules_of_the_table_that_name_it(name: str) -> None:
    rules = preset(name)
    assert [rule.preset for rule in rules] == [name] * len(PRESETS[name])
    assert {name_of(rule).split()[0] for rule in rules} <= set(RULES)
    assert len({name_of(rule) for rule in rules}) == len(rules), "two rules of one name cannot be told apart in the ledger"


def run(name: str, *texts: str) -> Outcome:
    documents = pl.DataFrame({"id": [str(i) for i in range(len(texts))], "text": list(texts)})
    return apply(documents, preset(name), Seen())


def reason(name: str, text: str) -> tuple[str, str | None] | None:
    """The rule that drops a text and the bound that it breaks; None where it stays."""
    dropped = run(name, text).ledger.filter(verdict="dropped").select("rule", "bound").rows()
    assert len(dropped) <= 1
    return dropped[0] if dropped else None


SYLLABLES = [a + b for a in "bdfgklmnprst" for b in "aeiou"]


def words(count: int, start: int = 0) -> list[str]:
    """Words of six letters, no two the same."""
    return [SYLLABLES[i % 60] + SYLLABLES[(7 * i + 3) % 60] + SYLLABLES[i // 60] for i in range(start, start + count)]


BASE = ["the", "of", *words(60)]
PLAIN = " ".join(BASE)


def spread(runs: list[list[str]], between: int) -> str:
    """Runs of words, none next to the same word twice, among so many other words."""
    rest = ["the", "of", *words(between)]
    out = []
    for run in runs:
        out += [rest.pop(), *run]
    return " ".join(out + rest)


def twice(n: int, bound: float) -> str:
    """Two runs of n words, each twice, so that their repeats take just more than the bound."""
    runs = [words(n, 1000), words(n, 1100)] * 2
    return spread(runs, round((12 * n / (bound + 0.005) - 24 * n - 5) / 6))


LINES = [" ".join(BASE[i : i + 13]) for i in range(0, len(BASE), 13)]
GOPHER: list[tuple[str, str | None, str]] = [
    (PLAIN, None, ""),
    ("\n".join(LINES), None, ""),
    (" ".join(BASE[:49]), "words", "min 50"),
    (" ".join(BASE[:50]), None, ""),
    ("one more " * 50_001, "words", "max 100000"),
    (" ".join(word[:2] for word in BASE), "mean_word_length", "min 3"),
    (" ".join(a + b for a, b in zip(words(60), words(60, 60), strict=True)), "mean_word_length", "max 10"),
    (PLAIN + " #" * 7, "hashes_per_word", "max 0.1"),
    (PLAIN + " #" * 6, None, ""),
    ("... ".join(BASE[:8]) + " " + " ".join(BASE[8:]), "ellipses_per_word", "max 0.1"),
    ("- " + "\n- ".join(LINES), "bullet_lines", "max 0.9"),
    ("- " + "\n- ".join(LINES) + "\nend", None, ""),
    ("...\n".join(LINES[:3]) + "\n" + "\n".join(LINES[3:]), "ellipsis_lines", "max 0.3"),
    (PLAIN + "".join(f" {i:06d}" for i in range(16)), "alphabetic_words", "min 0.8"),
    (PLAIN + "".join(f" {i:06d}" for i in range(15)), None, ""),
    (PLAIN.removeprefix("the "), "stop_words", "min 2"),
    (PLAIN + "\nok\nok", "duplicate_lines", "max 0.3"),
    ("\n".join(LINES) + "\n\nok\n\nok", "duplicate_paragraphs", "max 0.3"),
    ("\n".join([" ".join(BASE[:40]), *LINES[-2:], " ".join(BASE[:40])]), "duplicate_line_characters", "max 0.2"),
    (spread([words(2, 1000)] * 8, 60), "top_ngram 2", "max 0.2"),
    (spread([words(2, 1000)] * 7, 60), None, ""),
    (spread([words(3, 1000)] * 5, 60), "top_ngram 3", "max 0.18"),
    (spread([words(4, 1000)] * 3, 60), "top_ngram 4", "max 0.16"),
    *(
        (twice(n, bound), f"duplicate_ngrams {n}", f"max {bound:g}")
        for n, bound in ((5, 0.15), (6, 0.14), (7, 0.13), (8, 0.12), (9, 0.11), (10, 0.10))
    ),
    (twice(10, 0.09), None, ""),
]


@pytest.mark.parametrize(("text", "rule", "bound"), GOPHER, ids=lambda value: value[:20] if isinstance(value, str) else "-")
def test_gopher_drops_a_text_for_the_rule_that_it_breaks(text: str, rule: str | None, bound: str) -> None:
    assert reason("gopher", text) == (None if rule is None else (rule, bound))


def test_every_rule_of_gopher_is_a_reason_but_one() -> None:
    """A paragraph that repeats is lines that repeat, so the lines' characters always break the same bound before."""
    assert {name_of(rule) for rule in preset("gopher")} - {rule for _, rule, _ in GOPHER} == {"duplicate_paragraph_characters"}


NEWS = (
    "The river had risen during the night, and by morning the lower fields lay under brown water. Farmers moved their cattle to "
    "higher ground with the help of neighbours, while volunteers from nearby villages filled sacks of sand along the wall. "
    "Nobody was hurt! Will the water fall tomorrow? Officials expect so. The schools have closed until Friday at least."
)
NEWS_ZH = (
    "昨夜上游连降大雨，河水漫过堤岸，下游的农田被淹。村民们在邻居的帮助下把牛羊赶到高处，附近的志愿者沿着旧石墙装填沙袋。"
    "目前没有人员伤亡。专家预计，明天水位将会下降，但学校至少停课到周五。当地政府已经为无家可归的人准备了帐篷和食物！"
)


@pytest.mark.parametrize("name", PRESETS)
def test_good_news_is_kept(name: str) -> None:
    good = [NEWS] * (not name.endswith("zh")) + [NEWS_ZH] * (name != "gopher")  # whose words of 3 letters are English
    assert run(name, *good).kept["text"].to_list() == good, "neither dropped nor cut short"


@pytest.mark.parametrize(
    ("name", "text", "rule"),
    [
        ("c4", f"{NEWS} Lorem ipsum dolor sit amet.", "phrases"),
        ("c4", f"{NEWS} function() {{ }}.", "braces"),
        ("c4", "Two sentences stand here. That is not enough.", "sentences"),
        ("c4", f"{NEWS_ZH[:60]}。", "sentences"),
        ("fineweb", NEWS.replace(".", "\n").replace("!", "\n").replace("?", "\n"), "terminal_lines"),
        ("fineweb", NEWS_ZH.replace("。", "\n").replace("！", "\n"), "terminal_lines"),
        ("fineweb", NEWS + "\nYes.\nNo.\nWell.", "short_lines"),
        ("fineweb", f"{NEWS}\n{NEWS}", "duplicate_line_characters"),
        ("fineweb2-zh", NEWS, "language"),
        ("fineweb2-zh", NEWS_ZH[:48] + "。", "words"),
        ("fineweb2-zh", f"{NEWS_ZH}\n{NEWS_ZH}", "duplicate_lines"),
        ("fineweb2-zh", NEWS_ZH.replace("。", "\n").replace("，", "\n").replace("！", ""), "terminal_lines"),
        ("matrix-zh", f"{NEWS_ZH[:20]}。", "sentences"),
        ("matrix-zh", NEWS, "language"),
        ("matrix-zh", "好。" * 60, "unique_words"),
    ],
)
def test_other_presets_drop_for_the_rule_that_is_broken(name: str, text: str, rule: str) -> None:
    found = reason(name, text)
    assert found is not None
    assert found[0] == rule


def test_c4_takes_out_lines_that_are_no_prose() -> None:
    good = [*NEWS.replace("! ", ". ").split(". ")[:3], *NEWS_ZH.split("。")[:2]]
    prose = [f"{line}。" if line[0] > "z" else f"{line}." for line in good]
    menu = ["Home | About | Contact", "Please enable JavaScript to go on.", "首页 新闻 体育", "好。", "Read on..."]
    mixed = [line for pair in zip(prose, menu, strict=True) for line in pair]
    assert run("c4", "\n".join(mixed)).kept["text"].to_list() == ["\n".join(prose)]


GOOD = {
    "headline": "Heavy rain closes schools across the north",
    "headline, zh": "暴雨致北部多地学校停课",
    "classical poem": "小楼一夜听风雨，深巷明朝卖杏花。\n矮纸斜行闲作草，晴窗细乳戏分茶。",
    "short classical poem": "白日依山尽，黄河入海流。\n欲穷千里目，更上一层楼。",
    "poem": "I left a lantern by the gate,\nin case the boats came home too late.\nThe tide forgot, the wind did not,\n"
    "and so I wait.",
    "modern poem": "我把灯留在门口\n怕船回来得太晚\n\n潮水忘了\n风没有忘\n于是我还在等",
    "song with a refrain": "Down by the mill the water runs slow,\nwhere has the summer gone, I don't know.\nOh, carry me home.\n\n"
    "Leaves on the road and frost on the stone,\neveryone left and I walk alone.\nOh, carry me home.",
    "post": "First time baking bread today and it actually rose! So proud of this loaf.",
    "post, zh": "今天第一次自己烤面包，居然成功了！太开心了，明天再试试全麦的。",
    "mixed post": "周末用Python写了个小工具，自动整理照片，朋友都说好用。",
    "news": NEWS,
    "news, zh": NEWS_ZH,
    "dialogue, zh": "“你去哪儿？”\n“去看海。”\n“这么冷的天？”\n“冷的时候，海边没有人。”",
    "traditional": "昨夜風雨大作，庭前落花滿地，晨起掃之，忽覺春將盡矣。",
}


@pytest.mark.parametrize("kind", GOOD)
def test_the_default_keeps_good_text(kind: str) -> None:
    assert reason("default", GOOD[kind]) is None


def test_the_default_keeps_them_all_together_as_they_were() -> None:
    texts = list(GOOD.values())
    assert run("default", *texts).kept["text"].to_list() == texts


BAD: list[tuple[str, str, str]] = [
    ("too short", "Click here", "characters"),
    ("too short, zh", "点击查看", "characters"),
    ("line noise", "x#@$ %^&* ~~|| <<>> ==++ \\\\ q^^ z%% [[]] ~#", "symbol_share"),
    ("stars, zh", "★★★☆☆【好】★★★★★推荐★★☆☆☆", "symbol_share"),
    ("table", "2021 34.5 12.8 99.1\n2022 33.9 11.7 98.4\n2023 31.2 10.5 97.3\n2024 30.8 10.1 96.9", "digit_share"),
    ("table, zh", "年份 2021 2022 2023 2024\n产量 3450 3390 3120 3080", "digit_share"),
    ("words without spaces", "Loremipsumdolorsitametconsecteturadipiscing elitseddoeiusmodtemporincididunt", "mean_word_length"),
    ("encoded data", "dGhpcyBpcyBub3QgdGV4dA" * 6, "mixed_words"),
    ("filler text", "Lorem ipsum dolor sit amet, consectetur adipiscing elit.", "phrases"),
    ("one line again and again", "Subscribe to our newsletter today!\n" * 6, "duplicate_line_characters"),
    ("one line again and again, zh", "点击关注我们的公众号，获取更多资讯。\n" * 6, "duplicate_line_characters"),
    ("a loop in one line", "and then he said that we should all go home now " * 8, "duplicate_ngrams 10"),
    ("a loop in one line, zh", "我们都应该努力学习，" * 12, "duplicate_ngrams 10"),
]


@pytest.mark.parametrize(("text", "rule"), [pytest.param(text, rule, id=kind) for kind, text, rule in BAD])
def test_the_default_drops_what_is_no_text(text: str, rule: str) -> None:
    found = reason("default", text)
    assert found is not None
    assert found[0] == rule


def test_the_default_drops_a_copy_and_names_the_first() -> None:
    near = NEWS.replace("brown water", "muddy water")
    dropped = run("default", NEWS, NEWS_ZH, NEWS, near).ledger.filter(verdict="dropped")
    assert dropped.select("id", "rule", "keeper").rows() == [("2", "exact_duplicates", "0"), ("3", "near_duplicates", "0")]


@pytest.mark.parametrize(
    "text",
    [
        "2024年12月31日，北京GDP增长5.2%",  # digit_share 0.43
        "比分3:2，第89分钟进球，全场45000名观众起立",  # digit_share
        "Stocks rise 3.2% as tech leads: Nasdaq +4.1%, S&P 500 +2.7%",  # symbol_share 0.12
        "#周末去哪儿# 今天去爬山，风景很好！",  # symbol_share 0.11
        "今天的晚霞太美了😍😍 随手拍",  # symbol_share 0.14
    ],
)
def test_the_default_keeps_headlines_with_figures_and_posts_with_tags(text: str) -> None:
    assert reason("default", text) is None
