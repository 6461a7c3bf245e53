"""The project files of the domains fit the rows that they show, and their rules tell good texts from bad ones, zh and en."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from aigc import config
from aigc.core.documents.template import fields_of
from aigc.core.generation.prompts import Prompt, read_prompts
from aigc.core.rules.apply import Outcome, Seen, apply, language_of
from aigc.core.rules.copies.rules import with_index
from aigc.core.rules.rule import Measure
from aigc.core.rules.table import name_of
from aigc.production.long_form import lacking
from aigc.schema import Generate

CONFIGS = Path(__file__).parents[1] / "configs"
DOMAINS = ["news", "story", "social"]


def generate_of(name: str) -> Generate:
    section = config.load(CONFIGS / f"{name}.yaml").generate
    assert section is not None
    return section


def prompts_of(section: Generate) -> list[Prompt]:
    found = list(read_prompts(section.prompts, section.prompt))
    assert all(isinstance(one, Prompt) for one in found), found
    return [one for one in found if isinstance(one, Prompt)]


@pytest.mark.parametrize("name", DOMAINS)
def test_each_prompt_is_filled_from_its_row(name: str) -> None:
    section = generate_of(name)
    for prompt in prompts_of(section):
        assert "{" not in prompt.text
        read = [column for rule in section.rules if isinstance(rule, Measure) for column in rule.columns()]
        assert set(read) <= set(prompt.fields), "what a rule reads is in the row"
        if section.plan is not None:
            assert lacking(section.plan, {**prompt.fields, "prompt": prompt.text}) is None


@pytest.mark.parametrize("name", DOMAINS)
def test_each_domain_is_in_both_languages(name: str) -> None:
    texts = pl.Series(["".join(map(str, prompt.fields.values())) for prompt in prompts_of(generate_of(name))])
    assert set(language_of(texts)) == {"zh", "en"}


@pytest.mark.parametrize("name", DOMAINS)
def test_half_a_character_is_rejected(name: str) -> None:
    fields = {field: None for rule in generate_of(name).rules if isinstance(rule, Measure) for field in rule.columns()}
    text = "The first snow fell tonight, and the whole street went out to look at it \ufffd in the light of the lamps. " * 12
    dropped = judged(name, text, **fields).ledger.filter(verdict="dropped")
    assert dropped["rule"].to_list() == ["phrases"]


def test_a_tone_has_a_default() -> None:
    section = generate_of("social")
    assert "tone" in fields_of(section.prompt)
    texts = [prompt.text for prompt in prompts_of(section)]
    assert sum("\n- 轻松\n" in text for text in texts) == 1
    assert any("\n- playful\n" in text for text in texts)


def judged(name: str, text: str, **fields: Any) -> Outcome:
    rules, left_out = with_index(generate_of(name).rules, None)
    assert list(map(name_of, left_out)) == ["copied_run"], "a model from the hub has no index"
    rules = [rule for rule in rules if name_of(rule) not in ("near_duplicates", "exact_duplicates")]
    frame = pl.DataFrame({"id": ["0"], "text": [text], **{key: [value] for key, value in fields.items()}})
    return apply(frame, rules, Seen())


ZH_FACTS = {"title": "志愿者清理湿地垃圾", "who": "李秋禾", "when": "2026年4月18日", "where": "沅北湿地", "amount": "1,350公斤"}
ZH_NEWS = (
    "2026年4月18日，一群志愿者来到沅北湿地，从清晨一直忙到黄昏，把岸边和芦苇丛里的垃圾一袋袋装上小船。"
    "组织者李秋禾介绍，这一天共清理垃圾1,350公斤，其中大半是塑料瓶和旧渔网。附近的村民也带来了竹筏和热茶。"
    "湿地管理站表示，今后每逢春秋两季都会举行这样的活动，欢迎市民报名参加。"
)
EN_FACTS = {"title": "Council approves hall", "who": "Anna Lindqvist", "when": "3 November 2026", "where": "Elverstad"}
EN_FACTS |= {"amount": "2.4 million crowns"}
EN_NEWS = (
    "The council of Elverstad approved a new market hall on 3 November 2026, after a long debate. "
    "It will cost 2.4 million crowns and is to stand where the old fish market was. Its architect, Anna Lindqvist, said that "
    "the roof would let in the light, and that the traders had asked for no more than dry feet. Work begins in the spring."
)


@pytest.mark.parametrize(("text", "facts"), [(ZH_NEWS, ZH_FACTS), (EN_NEWS, EN_FACTS)], ids=["zh", "en"])
def test_news_carries_its_facts(text: str, facts: dict[str, str]) -> None:
    assert len(judged("news", text, **facts).kept) == 1
    for name in ("who", "when", "where"):
        changed = judged("news", text.replace(facts[name], "某" if text is ZH_NEWS else "someone"), **facts).ledger
        assert changed.filter(verdict="dropped").select("rule", "detail").rows() == [("missing_facts", f"{name}: {facts[name]}")]
    more = text + ("共有58人参加。" if text is ZH_NEWS else " More than 58 traders came.")
    assert judged("news", more, **facts).ledger.filter(verdict="dropped").select("rule", "detail").rows() == [
        ("invented_numbers", "58")
    ]


@pytest.mark.parametrize(
    ("text", "hashtag", "rule"),
    [
        ("今天的早市下着雨，卖菜的阿姨多送了我一把葱。#早市", "#早市", None),
        ("今天的早市下着雨，卖菜的阿姨多送了我一把葱。", "#早市", "missing_facts"),
        ("今天的早市下着雨，卖菜的阿姨多送了我一把葱。", None, None),
        ("雨。#早市", "#早市", "characters"),
        ("今天的早市下着雨。" * 20 + "#早市", "#早市", "characters"),
        ("今天的早市下着雨，卖菜的阿姨说：“多送你一把葱。#早市", "#早市", "structure_faults"),
        ("想要更多粉丝的朋友们，请加微信，名额不多。#早市", "#早市", "blocklist"),
        ("The first snow fell tonight and the whole street went out to look. #FirstSnow", "#FirstSnow", None),
        ("The first snow fell tonight and the whole street went out to look. #Snow", "#FirstSnow", "missing_facts"),
    ],
)
def test_posts(text: str, hashtag: str | None, rule: str | None) -> None:
    assert judged("social", text, hashtag=hashtag).ledger.filter(verdict="dropped")["rule"].to_list() == ([rule] if rule else [])
