"""The toxicity rule gives each text one probability, whatever stands beside it, and leaves neutral sentences about people alone."""

import re
import tracemalloc
from importlib import resources

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigc.core.rules.apply import apply
from aigc.core.rules.measures import toxicity
from aigc.core.rules.measures.toxicity import BITS, BLOCK, ORDER, WINDOW, Model, Toxicity, folded, ngram_buckets, window_logits

BOUND = 0.9  # the one that the rule's docs name


def probabilities(*texts: str) -> list[float]:
    frame = pl.DataFrame({"text": list(texts)}, schema={"text": pl.String})
    return frame.select(value=Toxicity().value())["value"].to_list()


PIECES = [
    "你好，",
    "笨蛋",
    "the cat ",
    "IDIOT",
    "ａｂｃ",
    " ",
    "\n",
    "\0",
    "é",
    "🙂",
    "\u200b",
    "一二三四五六七八九十" * 12,
    "word " * 50,
]
TEXTS = st.lists(st.lists(st.sampled_from(PIECES) | st.text(max_size=8), max_size=5).map("".join), max_size=6)


@settings(max_examples=60, deadline=None)
@given(texts=TEXTS, data=st.data())
def test_a_value_is_the_texts_own(texts: list[str], data: st.DataObject) -> None:
    """Bit for bit the same alone, in any order and among any others: sums are of whole numbers and no n-gram reads two texts."""
    alone = [probabilities(text)[0] for text in texts]
    assert all(0 <= value <= 1 for value in alone)
    order = data.draw(st.permutations(range(len(texts))))
    assert probabilities(*(texts[i] for i in order)) == [alone[i] for i in order]


@settings(max_examples=30, deadline=None)
@given(texts=TEXTS.filter(len), group=st.integers(1, 200), chunk=st.integers(1, 200))
def test_the_size_of_a_group_or_chunk_changes_nothing(texts: list[str], group: int, chunk: int) -> None:
    whole = probabilities(*texts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(toxicity, "_GROUP", group)
        patch.setattr(toxicity, "_CHUNK", chunk)
        assert probabilities(*texts) == whole


@settings(max_examples=40, deadline=None)
@given(text=st.text(alphabet="ab 你好", max_size=3 * WINDOW))
def test_the_windows_are_those_of_a_plain_loop(text: str) -> None:
    """The vectorised sums against the definition: every n-gram that starts in a window, over the root of the window's length."""
    weights = np.random.default_rng(0).integers(-900, 900, 1 << BITS).astype(np.int16)
    model = Model(weights, unit=0.01, bias=-1.0)
    assert window_logits([text], model=model)[0] == pytest.approx(_by_definition(text, model), abs=1e-9)


def _by_definition(text: str, model: Model) -> float:
    codes = np.array([*map(ord, text), *[0] * (ORDER - 1)], np.uint32)
    each = [sum(int(model.weights[bucket[i]]) for bucket in ngram_buckets(codes)) for i in range(len(text))]
    last = max(-(-len(text) // BLOCK) * BLOCK - WINDOW, 0)
    windows = [each[start : start + WINDOW] for start in range(0, last + 1, BLOCK)] if text else []
    return max((model.bias + model.unit * sum(w) / len(w) ** 0.5 for w in windows), default=-np.inf)


def test_a_text_of_nothing_has_no_toxicity() -> None:
    assert probabilities("", "  \n", "\u200b") == [0.0, 0.0, 0.0]
    assert probabilities() == []


def test_odd_characters_are_no_error() -> None:
    assert all(0 <= value <= 1 for value in probabilities("\u0301\u0301", "\U0010ffff", "\0\0", "﷽" * 9))


def test_width_case_and_white_space_do_not_hide_an_insult() -> None:
    plain, *disguised = probabilities(
        "shut up, you idiot",
        "ＳＨＵＴ ＵＰ， ＹＯＵ ＩＤＩＯＴ",
        "Shut\n\n up,\tyou　idiot ",
        "shut up, you id\u200biot",
        "shut up, you id\u00adiot",
    )
    assert disguised == [plain] * 4
    assert probabilities("你这个笨蛋！") == probabilities("你这个笨蛋!") == probabilities("你这个笨\u2060蛋！")


def test_folding_keeps_traditional_and_simplified_apart() -> None:
    """Known and said in the docs: script is the business of an edit, not of this measure."""
    frame = pl.DataFrame({"text": ["詩　ＡＢＣ"]})
    assert frame.select(folded(pl.col("text"))).item() == "詩 abc"


@pytest.mark.parametrize(
    ("offensive", "harmless"),
    [
        ("You are a worthless idiot and everybody hates you", "You are a patient teacher and everybody likes you"),
        ("shut up you stupid bastard", "speak up, my dear friend"),
        ("go to hell, you pathetic loser", "go to bed, you must be tired"),
        ("你这个蠢货，给我滚出去", "你这个朋友，给我写封信"),
        ("这些人都是垃圾，看着就恶心", "这些人都是邻居，见面就问好"),
        ("一群没用的废物，去死吧", "一群可爱的学生，回家吧"),
    ],
)
def test_an_insult_is_far_above_a_friendly_sentence_of_the_same_shape(offensive: str, harmless: str) -> None:
    high, low = probabilities(offensive, harmless)
    assert high > 0.5
    assert high - low > 0.3
    assert low < BOUND, "a friendly sentence stays"


def test_an_insult_inside_an_article_is_found() -> None:
    """A long document is judged by its worst window: in the mean of all windows the insult would drown."""
    articles = (
        "The council opened a new bridge over the river on Monday. Trams will run every ten minutes. ",
        "市政府周一宣布，新的大桥已经通车，电车每十分钟一班。",
    )
    insults = ("Go to hell, you stupid piece of shit, nobody likes you. ", "你这个蠢货，恶心的垃圾，给我滚出去，去死吧！")
    for article, insult in zip(articles, insults, strict=True):
        clean, planted = probabilities(article * 40, article * 20 + insult + article * 20)
        assert clean < 0.25
        assert planted > 0.7


TERMS = {
    "zh": "黑人|白人|亚洲人|犹太人|汉族人|藏族人|维吾尔族人|中国人|美国人|日本人|非洲人|东北人|河南人|上海人|广东人|新疆人"
    "|外地人|本地人|男人|女人|男性|女性|男生|女生|老人|穆斯林|基督徒|佛教徒|同性恋者|异性恋者|跨性别者|残疾人|盲人|聋人|艾滋病患者|农民工|医生|保安|教师",
    "en": "black people|white people|asian people|jewish people|immigrants|refugees|americans|mexicans|chinese people|nigerians"
    "|southerners|men|women|girls|boys|old people|muslims|christians|jews|atheists|gay people|lesbians|straight people"
    "|transgender people|disabled people|blind people|deaf people|autistic people|doctors|nurses|farmers|cleaners|police officers",
}
NEUTRAL = {  # not the templates that the model was trained on
    "zh": "{}每年春天都回家看望父母。|村里的{}种了一片苹果树。|他采访过一位{}，并写成了文章。|周末{}一起去看了展览。"
    "|听说新来的同事是{}。|{}正在排队买票。|请问{}可以参加这个课程吗？|{}对这个问题有不同的看法。",
    "en": "{} visit their parents every spring.|The village school was built by {}.|An article about {} won the prize."
    "|At the weekend {} went to see the exhibition.|I heard that the new colleagues are {}.|{} were waiting in line for tickets."
    "|Can {} take part in this course?|{} have different views on this question.",
}


@pytest.mark.parametrize("language", ["zh", "en"])
def test_no_term_for_people_is_offensive_by_itself(language: str) -> None:
    """Identity bias: learned from posts alone, neutral sentences with some terms had a mean of 0.45, with others 0.04."""
    templates = NEUTRAL[language].split("|")
    means = {
        term: float(np.mean(probabilities(*(template.replace("{}", term) for template in templates))))
        for term in TERMS[language].split("|")
    }
    assert max(means.values()) < 0.15, sorted(means.items(), key=lambda item: -item[1])[:5]


def test_a_bound_drops_and_the_ledger_says_why() -> None:
    documents = pl.DataFrame({"id": ["a", "b"], "text": ["今天天气很好，我们去公园散步。", "去死吧，你们这些恶心的垃圾，滚！"]})
    outcome = apply(documents, [Toxicity(max=BOUND)])
    assert outcome.kept["id"].to_list() == ["a"]
    assert outcome.ledger.select("id", "bound").rows() == [("b", "max 0.9")]


def test_a_text_of_5_megabytes_needs_bounded_memory() -> None:
    text = "A long line without an end, 一行很长的字。" * 110_000
    size = len(text.encode())
    assert size > 5_000_000
    probabilities("warm")
    tracemalloc.start()
    (value,) = probabilities(text)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 0 <= value <= 1
    assert peak < 200e6, f"{peak / 1e6:.0f} MB"


def test_the_model_holds_numbers_and_no_text() -> None:
    path = resources.files(toxicity.__package__ or "") / "toxicity.npz"
    assert path.is_file()
    assert len(path.read_bytes()) < 1_500_000
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        assert {name: (arrays[name].shape, arrays[name].dtype.kind) for name in arrays.files} == {
            "weights": ((1 << BITS,), "i"),
            "unit": ((), "f"),
            "bias": ((), "f"),
        }


def test_the_docs_say_what_it_is_not() -> None:
    assert re.search("a screen, not a judge", Toxicity.__doc__ or "")
