"""Articles are written part by part, all briefs together, each as if it were alone; faulty sections are drawn again."""

import pytest
import torch
from transformers import PreTrainedModel

from aigc.core.generation.engine import local
from aigc.core.generation.gaps import GAP
from aigc.core.generation.request import Decoding, Request
from aigc.core.model import families
from aigc.core.rules.structure import lints
from aigc.core.tokens.text import TextCodec
from aigc.core.tokens.training import train
from aigc.errors import AigcError
from aigc.production.long_form import Article, Brief, lacking, written
from aigc.schema.decoding import Plan
from scripted import Scripted

PLAN = Plan(
    title="主题 {topic} 标题：",
    outline="{title} 大纲：",
    section="{title}|{outline}|{summary}|{heading}|{written}",
    section_tokens=58,
    sections=3,
)
DECODING = Decoding(max_tokens=16, temperature=0.0)
HEADINGS = {"雨": "1. 早市\n2. 屋檐\n3. 归途", "snow": "- Morning\n- Evening"}


def answer(prompt: str, seed: int) -> str:
    """Titles, outlines and sections that tell what they were asked with."""
    topic = "雨" if "雨" in prompt else "snow"
    if prompt.endswith("标题："):
        return "《雨天》" if topic == "雨" else "Snow"
    if prompt.endswith("大纲："):
        return HEADINGS[topic]
    heading = prompt.split("|")[3]
    return f"{heading}来了。人们都说好。" if topic == "雨" else f"It was {heading} at last. All was well."


def articles(engine: Scripted, *topics: str, plan: Plan = PLAN) -> list[Article]:
    briefs = [Brief({"topic": topic, "prompt": topic}, seed=number, key=number) for number, topic in enumerate(topics)]
    found = list(written(engine, briefs, plan, DECODING))  # type: ignore[arg-type]
    return sorted(found, key=lambda one: one.brief.key)


def test_an_article_in_either_language() -> None:
    chinese, english = articles(Scripted(answer), "雨", "snow")
    assert chinese.text == (
        "# 雨天\n\n## 早市\n\n早市来了。人们都说好。\n\n## 屋檐\n\n屋檐来了。人们都说好。\n\n## 归途\n\n归途来了。人们都说好。"
    )
    assert english.text.startswith("# Snow\n\n## Morning\n\nIt was Morning at last. All was well.\n\n## Evening\n\n")
    assert (chinese.outline, chinese.title, chinese.lints, chinese.finish) == (("早市", "屋檐", "归途"), "雨天", (), "end")
    assert [(part.heading, part.faults, part.attempts) for part in english.parts] == [("Morning", (), 1), ("Evening", (), 1)]
    assert english.tokens == len("Snow") + len(HEADINGS["snow"]) + sum(part.tokens for part in english.parts)
    assert english.row == {
        "title": "Snow",
        "outline": ["Morning", "Evening"],
        "parts": [{"heading": name, "tokens": n, "finish": "end", "attempts": 1} for name, n in (("Morning", 37), ("Evening", 37))],
        "faults": [],
    }


def test_all_briefs_take_a_step_together_and_the_shorter_is_done_first() -> None:
    engine = Scripted(answer)
    briefs = [Brief({"topic": topic}, seed=1) for topic in ("雨", "snow", "雨")]
    done = [article.brief.fields["topic"] for article in written(engine, briefs, PLAN, DECODING)]  # type: ignore[arg-type]
    assert [len(call) for call in engine.calls] == [3, 3, 3, 3, 2]
    assert done == ["snow", "雨", "雨"]


def test_a_section_is_told_what_was_written() -> None:
    engine = Scripted(answer)
    articles(engine, "雨")
    third = engine.calls[-1][0].split("|")
    assert third[:2] == ["雨天", "1. 早市\n2. 屋檐\n3. 归途"]
    assert "早市来了。" in third[2] and "屋檐来了。" in third[2]
    assert third[3:] == ["归途", "早市\n早市来了。人们都说好。\n\n屋檐\n屋檐来了。人们都说好。"]


def test_an_article_does_not_depend_on_the_others() -> None:
    def seeded(prompt: str, seed: int) -> str:
        return answer(prompt, seed) + ("" if "大纲" in prompt[-3:] else f"{seed % 97}号。")

    both = articles(Scripted(seeded), "雨", "snow")
    alone = list(written(Scripted(seeded), [Brief({"topic": "snow", "prompt": "snow"}, 1, 1)], PLAN, DECODING))  # type: ignore[arg-type]
    assert alone == both[1:]
    engine = Scripted(seeded)
    articles(engine, "雨")
    seeds = [request.seed for request in engine.requests]
    assert len(set(seeds)) == len(seeds) == 5, "each draw has a seed of its own"


def test_a_faulty_section_is_drawn_again_and_the_best_is_kept() -> None:
    tries: list[str] = []

    def faulty(prompt: str, seed: int) -> str:
        if "|屋檐|" not in prompt:
            return answer(prompt, seed)
        tries.append(prompt)
        return ["（雨还在下，「好", "（雨还在下。", "", "（雨停了。「好。"][len(tries) - 1]

    engine = Scripted(faulty)
    (article,) = articles(engine, "雨", plan=PLAN.model_copy(update={"retries": 3}))
    part = article.parts[1]
    assert (part.text, part.attempts, part.faults) == ("（雨还在下。", 4, ("（ is not closed",))
    assert len(set(tries)) == 1, "it is asked the same"
    assert [one.kind for one in article.lints] == ["unclosed"]
    (once,) = articles(
        Scripted(lambda p, s: "雨停了。" if "|屋檐|" in p else answer(p, s)), "雨", plan=PLAN.model_copy(update={"retries": 3})
    )
    assert {part.attempts for part in once.parts} == {1}


def test_a_section_that_was_cut_off_ends_with_its_last_whole_sentence() -> None:
    (article,) = articles(Scripted(lambda p, s: answer(p, s) * (30 if "|屋檐|" in p else 1)), "雨")
    assert article.parts[1].text.endswith("。")
    assert (article.parts[1].finish, article.parts[1].tokens, article.finish) == ("length", 58, "length")
    assert len(article.parts[1].text) < 58


def test_what_bounds_a_whole_text_does_not_bound_its_parts() -> None:
    engine = Scripted(answer)
    decoding = Decoding(max_tokens=1, min_tokens=9, max_characters=3, max_sentences=1, stop_strings=("终",), temperature=0.5)
    (article,) = written(engine, [Brief({"topic": "雨"}, 0)], PLAN, decoding)  # type: ignore[arg-type]
    assert article.parts[0].text == "早市来了。人们都说好。"
    assert {one.temperature for one in engine.decodings} == {0.5}
    assert all(one.stop_strings[0] == "终" and one.max_characters is None and one.min_tokens == 0 for one in engine.decodings)


@pytest.mark.parametrize("outline", ["", "\n\n", "---"])
def test_without_an_outline_there_is_one_section(outline: str) -> None:
    def bare(prompt: str, seed: int) -> str:
        return outline if prompt.endswith("大纲：") else "下雨了。" if "|" in prompt else ""

    (article,) = articles(Scripted(bare), "雨")
    assert (article.title, article.outline, article.text) == ("", (), "下雨了。")


def test_a_title_that_is_given_is_not_asked_for() -> None:
    engine = Scripted(answer)
    plan = PLAN.model_copy(update={"title": None})
    (article,) = written(engine, [Brief({"title": "雨夜"}, 0)], plan, DECODING)  # type: ignore[arg-type]
    assert article.text.startswith("# 雨夜\n\n## 早市")
    assert engine.calls[0] == ["雨夜 大纲："]


@pytest.mark.parametrize(
    ("changes", "fields", "said"),
    [
        ({}, {"topic": "雨"}, None),
        ({}, {"prompt": "雨"}, "plan.title: the template needs the field 'topic'; fields found: prompt"),
        ({"title": None}, {"topic": "雨"}, "the plan asks for no title, so the row needs the field 'title'"),
        ({"title": None}, {"title": "雨"}, None),
        ({"outline": "{heading}"}, {"topic": "雨"}, "plan.outline: the template needs the field 'heading'; fields found: topic"),
        (
            {"section": "{tone|calm} {who}"},
            {"topic": "雨"},
            "plan.section: the template needs the field 'who'; fields found: topic",
        ),
    ],
)
def test_what_a_row_lacks(changes: dict[str, str | None], fields: dict[str, str], said: str | None) -> None:
    assert lacking(PLAN.model_copy(update=changes), fields) == said


def test_a_small_context_is_never_left() -> None:
    def long(prompt: str, seed: int) -> str:
        return "1. 雨\n2. 雪\n3. 风" if prompt.endswith("大纲：") else "灯塔亮了。海边下雨。" * 40

    engine = Scripted(long, context=150)
    (article,) = articles(engine, "雨" * 400)
    assert len(article.parts) == 3
    assert max(len(request.prompt_ids) for request in engine.requests) < 150


def test_pieces_are_told_by_the_key_of_their_brief() -> None:
    said: dict[int, str] = {}

    def watch(request: Request, piece: str, /) -> None:
        said[request.key] = said.get(request.key, "") + piece

    briefs = [Brief({"topic": topic}, seed=1, key=key) for key, topic in ((5, "snow"), (7, "雨"))]  # the first is done early
    list(written(Scripted(answer), briefs, PLAN, DECODING, watch=watch))  # type: ignore[arg-type]
    assert said.keys() == {5, 7}
    assert "归途来了。" in said[7] and "归途" not in said[5]


class Gapless(Scripted):
    """Knows no gaps, as a causal checkpoint that was not trained for them."""

    def request(self, text: str, *, seed: int, key: int = 0) -> Request:
        if GAP in text:
            raise AigcError("the prompt has a gap")
        return super().request(text, seed=seed, key=key)


def test_a_gap_that_the_model_wrote_is_not_asked_of_it_and_that_of_a_row_is_told() -> None:
    def gapped(prompt: str, seed: int) -> str:
        return answer(prompt, seed) + ("" if prompt.endswith("大纲：") else "[MASK]")

    (article,) = articles(Gapless(gapped), "雨")
    assert article.text.count("[MASK]") >= 3, "what it wrote stays"
    fields = {"topic": "雨", "who": "a [MASK]"}
    assert lacking(PLAN, fields) is None
    told = "plan.section: the field 'who' has a gap ([MASK]), and a plan fills in none"
    assert lacking(PLAN.model_copy(update={"section": "{who}"}), fields) == told


TEXTS = ["春天来了，花园里的花都开了。", "今天的天气很好，我们去公园散步吧。", "The quick brown fox jumps over the lazy dog."]


@pytest.fixture(scope="module")
def codec() -> TextCodec:
    return train(TEXTS * 8, kind="bpe", family="decoder", vocabulary=400, context=64)


@pytest.fixture(scope="module")
def model(codec: TextCodec) -> PreTrainedModel:
    torch.manual_seed(0)
    shape = families.Shape(layers=2, width=32, heads=2, dropout=0.0)
    ids = families.SpecialIds.of(codec)
    return families.build("gpt2", shape=shape, vocabulary=codec.vocabulary, ids=ids, context=64).eval()


@pytest.mark.parametrize("seed", [0, 1])
def test_a_real_model_writes_too(seed: int, codec: TextCodec, model: PreTrainedModel) -> None:
    decoding = Decoding(max_tokens=8, temperature=1.0, top_k=20)
    plan = Plan(title="{topic}:", sections=2, section_tokens=12, retries=1)
    with local(model, codec, slots=3) as engine:
        briefs = [Brief({"topic": topic, "prompt": topic}, seed=seed + number, key=number) for number, topic in enumerate(TEXTS)]
        found = {one.brief.key: one for one in written(engine, briefs, plan, decoding)}
        again = {one.brief.key: one for one in written(engine, briefs, plan, decoding)}
    assert found == again and sorted(found) == [0, 1, 2]
    for article in found.values():
        assert 1 <= len(article.parts) <= 2
        assert article.lints == tuple(lints(article.text))
        assert article.tokens >= sum(part.tokens for part in article.parts) >= 0
