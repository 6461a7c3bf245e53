"""`aigc generate` over news items with facts: texts that keep them are published, the others rejected with the fact that failed."""

import importlib
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from aigc import config
from aigc.core.documents.files import expand
from aigc.core.documents.reading import rows_of
from aigc.core.documents.template import fill
from aigc.core.rules.apply import Seen, apply
from aigc.core.rules.table import name_of
from aigc.production import production
from aigc.schema import Project
from aigc.stages import generate
from scripted import Scripted

sys.path.insert(0, str(Path(__file__).parent.parent / "scripts"))  # scripts are no package
score_facts = importlib.import_module("score_facts")

CONFIGS = Path(__file__).parents[1] / "configs"
FACTS = score_facts.FACTS
MORE = {
    "zh": "现场的人说，天气很好，大家都来了，街坊们也早早等在门口，还带来了自家做的点心和热茶。"
    "不少人表示，这样的事盼了很久，希望以后能常有，也愿意出一份力。临近黄昏，人群才慢慢散去。",
    "en": " People on the spot said that it had been a long day, and that the weather had been kind to them. Many had come early, "
    "with bread and tea for those who worked. They hope that it will not be the last time, and most of them offered to help again.",
}
Row = dict[str, Any]
Generate = Callable[..., tuple[dict[str, Row], list[Row]]]


class Reporter(Scripted):
    """An engine as a stage wants it."""

    quality = ""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generate:
    """Generate in the test's folder, by an engine that answers so; accepted rows by id, and rejected ones. Keys by name."""
    monkeypatch.chdir(tmp_path)

    def call(
        answer: Callable[[str, int], str], prompts: list[Row], *, name: str = "p", **keys: Any
    ) -> tuple[dict[str, Row], list[Row]]:
        monkeypatch.setattr(production, "engine_of", lambda project, *, slots=None: Reporter(answer))
        Path("facts.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in prompts), "utf-8")
        section = {"checkpoint": "c", "prompts": "facts.jsonl", "max_tokens": 9999, "rules": score_facts.RULES} | keys
        generate.run(Project.model_validate({"name": name, "generate": section}))
        folder = Path("runs") / name / "generate"
        return {row["id"]: row for row in rows_in(folder / "samples.jsonl")}, rows_in(folder / "rejected.jsonl")

    return call


def rows_in(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]


def bundled() -> dict[str, Row]:
    [path] = expand([score_facts.BUNDLED])
    return {row["id"]: row for _, row in rows_of(path) if isinstance(row, dict)}


ITEMS = bundled()


def text_of(item: Mapping[str, Any], **other: str) -> str:
    """A report that states the item's facts, some of them otherwise."""
    return fill(score_facts.BEGINS[item["language"]], {**item, **other}) + MORE[item["language"]]


def test_the_items_are_half_chinese_half_english_and_no_two_alike() -> None:
    assert Counter(item["language"] for item in ITEMS.values()) == {"zh": 25, "en": 25}
    for name in ("title", "who", "when", "where", "measure", "amount"):
        assert len({item[name] for item in ITEMS.values()}) == 50 or name == "measure"
        assert all(item[name].strip() == item[name] != "" for item in ITEMS.values())


def kept(item: Row) -> Iterator[str]:
    """The same facts: as they are, in another width, with other spaces."""
    plain = text_of(item)
    wide = {ord(digit): chr(ord(digit) + 0xFEE0) for digit in "0123456789"}
    yield plain
    yield plain.translate(wide)
    yield re.sub(r"(?<=[\u4e00-\u9fff])(?=\d)|(?<=\d)(?=[\u4e00-\u9fff])", " ", plain)
    yield plain.replace("'", "’").replace(item["who"], item["who"].replace(" ", "\n"))


def altered(value: str) -> Iterator[str]:
    """A value with one digit changed, a letter or Chinese character changed, or one left out."""
    for at, one in enumerate(value):
        if one.isdigit():
            yield value[:at] + str((int(one) + 1) % 10) + value[at + 1 :]
        elif one.isalpha():
            yield value[:at] + ("某" if one > "\u3000" else chr(ord(one) ^ 1)) + value[at + 1 :]
            yield value[:at] + value[at + 1 :]


def otherwise(value: str) -> Iterator[str]:
    """A date or a number in another form."""
    if match := re.fullmatch(r"(\d+)年(\d+)月(\d+)日", value):
        yield f"{match[1]}-{match[2]:>02}-{match[3]:>02}"
        yield f"{match[2]}月{match[3]}日"
        yield f"{match[1][2:]}年{match[2]}月{match[3]}日"
    if match := re.fullmatch(r"(\d+) (\w+) (\d+)", value):
        yield f"{match[2]} {match[1]}, {match[3]}"
        yield f"{match[1]} {match[2][:3]} {match[3]}"
        yield f"{match[1]}th {match[2]} {match[3]}"
    if "," in value and re.search(r"\d,\d", value):
        yield value.replace(",", "")
    if re.search("[0-9]万", value):
        yield value.replace("万", "亿")


def cases(name: str) -> dict[str, tuple[Row, str, str]]:
    """By id: an item, its report with another value of this fact, and that value."""
    changed = {
        f"{key}/{number}": (item, other)
        for key, item in ITEMS.items()
        for number, other in enumerate(dict.fromkeys([*altered(item[name]), *otherwise(item[name]), ""]))
        if other != item[name]  # May has no shorter form
    }
    return {key: (item, text_of(item, **{name: other}), other) for key, (item, other) in changed.items()}


def test_texts_that_keep_the_facts_are_published(run: Generate) -> None:
    rows = [
        {**item, "id": f"{key}/{number}", "says": text} for key, item in ITEMS.items() for number, text in enumerate(kept(item))
    ]
    accepted, rejected = run(lambda prompt, _: prompt, rows, prompt="{says}")
    assert rejected == []
    assert {row["id"] + "-0" for row in rows} == accepted.keys()
    assert [fault for key, row in accepted.items() for fault in score_facts.faults(ITEMS[key.partition("/")[0]], row)] == []


@pytest.mark.parametrize("name", FACTS)
def test_a_fact_that_is_changed_or_left_out_is_named(name: str, run: Generate) -> None:
    found = cases(name)
    assert len(found) > 300
    rows = [{**item, "id": key, "says": text} for key, (item, text, _) in found.items()]
    accepted, rejected = run(lambda prompt, _: prompt, rows, prompt="{says}")
    assert accepted == {}
    assert {row["id"].removesuffix("-0"): (row["rule"], row["value"], row["detail"]) for row in rejected} == {
        key: ("missing_facts", 1.0, f"{name}: {item[name]}") for key, (item, _, _) in found.items()
    }


def test_all_facts_that_fail_are_named_and_numbers_that_nobody_gave(run: Generate) -> None:
    zh, en = ITEMS["zh-fact-01"], ITEMS["en-fact-02"]
    rows = [
        zh | {"id": "none", "says": "图书馆说，今后开放的时间会更长。"},
        en | {"id": "two", "says": text_of(en, who="Someone", when="2026")},
        zh | {"id": "more", "says": text_of(zh) + "共有三百人和58条狗到场。"},
        en | {"id": "again", "says": text_of(en) + " There were 1,170 of them, or 12 % more."},
        zh | {"id": "part", "says": text_of(zh, amount="112小时")},
        zh | {"id": "same", "says": text_of(zh) + "从11月3日起，每日12小时。"},
    ]
    accepted, rejected = run(lambda prompt, _: prompt, rows, prompt="{says}")
    assert list(accepted) == ["same-0"]
    assert {row["id"]: (row["rule"], row["detail"]) for row in rejected} == {
        "none-0": ("missing_facts", "who: 沈明远; when: 2026年11月3日; where: 梧溪区; amount: 12小时"),
        "two-0": ("missing_facts", "who: Oriel Marsh; when: 14 March 2026"),
        "more-0": ("invented_numbers", "三百; 58"),
        "again-0": ("invented_numbers", "1,170; 12"),
        "part-0": ("missing_facts", "amount: 12小时"),
    }


def test_what_loses_a_fact_is_drawn_again_and_every_try_is_told(run: Generate) -> None:
    tries = Counter[str]()

    def answer(prompt: str, seed: int) -> str:
        item = ITEMS[prompt]
        tries[prompt] += 1
        late = sorted(ITEMS).index(prompt) % 4  # the first try that keeps the facts; 3: none does
        name = FACTS[tries[prompt] % 4]
        return text_of(item) if tries[prompt] > late else text_of(item, **{name: "X"})

    accepted, rejected = run(answer, list(ITEMS.values()), prompt="{id}", retries=2)
    places = {f"{key}-0": place % 4 for place, key in enumerate(sorted(ITEMS))}
    assert {key: row.get("try", 0) for key, row in accepted.items()} == {key: late for key, late in places.items() if late < 3}
    assert Counter(row["id"] for row in rejected) == {key: late for key, late in places.items() if late}
    for row in rejected:
        name = FACTS[(row.get("try", 0) + 1) % 4]
        assert row["detail"] == f"{name}: {ITEMS[row['id'].removesuffix('-0')][name]}"
    report = json.loads(Path("runs/p/generate/report.json").read_text("utf-8"))
    assert report["samples"] == 50 == report["accepted"] + report["rejected"]
    found = score_facts.tally(Path("runs/p/generate"), ITEMS, count=1, retries=2)
    assert (found.faults, found.accepted, found.samples) == ([], len(accepted), 50)
    assert found.facts.total() == len(rejected) == found.rules["missing_facts"]


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_text_that_begins_with_the_facts_has_them_all(language: str, run: Generate) -> None:
    items = {key: item for key, item in ITEMS.items() if item["language"] == language}
    keys = {"prompt": score_facts.PROMPTS[language], "begin": score_facts.BEGINS[language]}
    accepted, rejected = run(lambda prompt, _: MORE[language] + " And then", list(items.values()), **keys)
    assert rejected == []
    assert {key.removesuffix("-0") for key in accepted} == items.keys()
    for key, row in accepted.items():
        item = items[key.removesuffix("-0")]
        assert row["raw"] == text_of(item) + " And then"
        assert row["begin"] == text_of(item).removesuffix(MORE[language])
        assert score_facts.absent(item, row["text"]) == []
        assert score_facts.fold(row["text"]) == score_facts.fold(text_of(item))
    later = " The day before, 77 came." if language == "en" else "前一天来了77人。"
    accepted, rejected = run(lambda prompt, _: later, list(items.values()), name="later", **keys)
    assert accepted == {}
    assert {(row["rule"], row["detail"]) for row in rejected} == {("invented_numbers", "77")}


def test_the_leads_of_the_project_file_for_news_state_all_facts_and_no_other_number() -> None:
    section = config.load(CONFIGS / "news.yaml").generate
    assert section is not None and isinstance(section.prompts, list)
    rules = [rule for rule in section.rules if name_of(rule) in ("missing_facts", "invented_numbers")]
    rows = [row for row in section.prompts if isinstance(row, dict)]
    found = pl.DataFrame([{**row, "id": row["title"], "text": fill(section.begin, row)} for row in rows])
    leads = found.filter(pl.col("text") != "")
    assert (len(rules), len(leads), len(found)) == (2, 2, 4)
    assert len(apply(leads, rules, Seen()).kept) == 2
    assert len(apply(found, rules, Seen()).kept) == 2


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ({"text": "沈明远说，梧溪区的开放时长为12小时。"}, "published without when: 2026年11月3日"),
        ({"rule": "missing_facts", "text": "无", "detail": "who: 沈明远; where: 梧溪区; amount: 12小时"}, "not for when"),
        ({"rule": "missing_facts", "text": text_of(ITEMS["zh-fact-01"]), "detail": "who: 沈明达"}, "which was not given"),
        ({"rule": "invented_numbers", "text": text_of(ITEMS["zh-fact-01"]), "detail": "12"}, "'12', which was given"),
        ({"rule": "invented_numbers", "text": text_of(ITEMS["zh-fact-01"]), "detail": "77"}, "'77', which is not in the text"),
        ({"rule": "invented_numbers", "text": "1人", "detail": "1"}, "but who: 沈明远 is missing"),
        ({"rule": "words", "text": "李秋禾"}, "too short, but who: 沈明远 is missing"),
        ({"rule": "lines", "text": "无"}, "which is none of the rules"),
    ],
)
def test_the_script_sees_a_verdict_that_is_wrong(row: Row, fault: str) -> None:
    assert any(fault in one for one in score_facts.faults(ITEMS["zh-fact-01"], row))


def test_the_script_sees_a_sample_that_is_gone(tmp_path: Path) -> None:
    item = ITEMS["zh-fact-01"]
    (tmp_path / "samples.jsonl").write_text(json.dumps({"id": "zh-fact-01-0", "text": text_of(item)}) + "\n", "utf-8")
    row = {"id": "zh-fact-01-1", "text": text_of(item, who="某"), "rule": "missing_facts", "detail": "who: 沈明远"}
    (tmp_path / "rejected.jsonl").write_text(json.dumps(row) + "\n", "utf-8")
    found = score_facts.tally(tmp_path, {"zh-fact-01": item}, count=3, retries=1)
    assert found.faults == [
        "zh-fact-01-2: no row tells what became of it",
        "zh-fact-01-1: neither accepted nor rejected 2 times",
    ]
