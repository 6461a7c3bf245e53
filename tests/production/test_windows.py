"""Windows of samples into judged rows: in which order, how often, and with what seeds."""

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigc.core.generation.prompts import BadPrompt, Prompt
from aigc.core.generation.request import Decoding
from aigc.production.asking import continuing
from aigc.production.judge import Judge
from aigc.production.sampling import Judged, Sample, Sampler, in_order, seed_of, windows
from aigc.production.writers import single
from aigc.schema import Project
from generating import StandIn

BAD = BadPrompt("x", "a:1", "no")
RULES = ["whitespace", {"characters": {"min": 15}}, {"near_duplicates": {"similarity": 0.3, "ngram": 1}}, "exact_duplicates"]


def _prompts(count: int) -> list[Prompt]:
    return [Prompt(f"p{number}", f"写{number}") for number in range(count)]


def _samples(count: int) -> list[Sample]:
    return [Sample(prompt, 0) for prompt in _prompts(count)]


def _judge(*rules: object) -> Judge:
    project = Project.model_validate({"name": "p", "generate": {"prompt": "x", "rules": list(rules)}})
    assert project.generate is not None
    return Judge(project.generate.rules)


def _sampler(engine: StandIn, judge: Judge, *, retries: int = 0, ordered: bool = False) -> Sampler:
    return Sampler(single(engine, Decoding(9), seed=3, ask=continuing(engine)), judge, 3, {"model": "m"}, retries, ordered)


def _ids(judged: Sequence[Judged]) -> list[str]:
    return [one.sample.id for one in judged]


def test_windows_are_full_whatever_the_count() -> None:
    cut = list(windows(_prompts(5), count=3, size=4))
    assert [len(one.samples) for one in cut] == [4, 4, 4, 3]
    assert [sample.id for one in cut for sample in one.samples] == [f"p{prompt}-{n}" for prompt in range(5) for n in range(3)]


def test_a_pause_closes_a_window_and_bad_prompts_come_with_the_next_one() -> None:
    first, second, third = _prompts(3)
    cut = list(windows([first, BAD, None, None, second, third, BAD], count=1, size=2))
    assert [([s.prompt for s in one.samples], list(one.bad)) for one in cut] == [
        ([first], [BAD]),
        ([second, third], []),
        ([], [BAD]),
    ]

    def arriving() -> Iterator[Prompt | None]:
        yield from (first, None)
        pytest.fail("what follows a pause was waited for")

    assert next(windows(arriving(), count=1, size=2)).samples[0].prompt is first


def test_seeds_depend_on_project_sample_and_try_alone() -> None:
    seeds = {
        seed_of(project, name, attempt) for project in (0, 1) for name in ("a-0", "a-1", "a-10", "雨-0") for attempt in range(3)
    }
    assert len(seeds) == 24
    assert all(0 <= seed < 2**32 for seed in seeds)
    assert seed_of(7, "000000-0", 0) == seed_of(7, "000000-0", 0)


def test_rows_come_as_they_are_finished_or_in_order() -> None:
    samples = _samples(12)
    free = list(_sampler(StandIn(4), _judge()).rows(samples))
    ordered = list(_sampler(StandIn(4), _judge(), ordered=True).rows(samples))
    assert _ids(ordered) == [sample.id for sample in samples] != _ids(free)
    assert sorted(one.row["text"] for one in free) == sorted(one.row["text"] for one in ordered)
    assert list(free[0].row) == ["id", "prompt", "text", "tokens", "finish", "seed", "model"]


def test_the_first_row_is_there_before_the_last_is_drawn() -> None:
    engine = StandIn(2)
    next(_sampler(engine, _judge("whitespace")).rows(_samples(50)))
    assert len(engine.asked) < 10


def test_what_was_rejected_is_drawn_again_with_the_next_seed() -> None:
    engine = StandIn(4)
    samples = _samples(20)
    found = list(_sampler(engine, _judge({"characters": {"min": 25}}), retries=2).rows(samples))
    tries = {name: [one for one in found if one.sample.id == name] for name in _ids(found)}
    assert len(tries) == 20 and {len(one) for one in tries.values()} == {1, 2, 3}
    for name, some in tries.items():
        assert [one.row.get("try", 0) for one in some] == list(range(len(some)))
        assert [one.row["seed"] for one in some] == [seed_of(3, name, attempt) for attempt in range(len(some))]
        assert [one.final for one in some] == [False] * (len(some) - 1) + [True]
        assert all(one.reason for one in some[:-1])
    attempts = [one.row.get("try", 0) for one in found]
    assert attempts == sorted(attempts)  # all of a window together, behind it
    assert len(engine.windows) == 3


def test_order_is_kept_behind_tries() -> None:
    samples = _samples(20)
    sampler = _sampler(StandIn(4), _judge({"characters": {"min": 25}}), retries=2, ordered=True)
    written = list(in_order(sampler.rows(samples), samples))
    accepted = [one.sample.id for one in written if one.reason is None]
    assert accepted == [sample.id for sample in samples if sample.id in accepted]
    assert {one.row.get("try", 0) for one in written if one.reason is None} == {0, 1, 2}
    assert len(accepted) + len([one for one in written if one.reason and one.final]) == 20


def test_an_edit_keeps_what_was_drawn_beside_the_text() -> None:
    [one] = _sampler(StandIn(1), _judge("whitespace")).rows(_samples(1))
    assert one.row["raw"] == one.row["text"] + " "
    assert list(one.row)[:4] == ["id", "prompt", "text", "raw"]


def test_what_each_edit_did_is_told_each_time_that_it_stands_in_the_list() -> None:
    text = "Write to a@b.org, or call 13812345678."
    rules = [{"redact": {"kinds": ["email"]}}, {"redact": {"kinds": ["phone"]}}]
    [(row, _)] = _judge(*rules)([{"id": "1", "text": text}], [{}])
    assert [(name, len(changes)) for name, changes in row["edits"].items()] == [("redact", 1), ("redact 2", 1)]


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.integers(0, 40))
def test_verdicts_depend_neither_on_how_many_are_judged_at_once_nor_on_a_stop(cuts: list[int], stop: int) -> None:
    rows = [one.row for one in _sampler(StandIn(4), _judge()).rows(_samples(40))]
    none: list[dict[str, object]] = [{}] * 40
    at_once = _judge(*RULES)(rows, none)
    assert {reason["rule"] for _, reason in at_once if reason} >= {"characters", "near_duplicates"}
    piecewise, judge, left = [], _judge(*RULES), rows
    for cut in [*cuts, 40]:
        piecewise += judge(left[:cut], none[: len(left[:cut])]) if left[:cut] else []
        left = left[cut:]
    assert piecewise == at_once
    later = _judge(*RULES)
    later.remember([(row, {}) for row, _ in at_once[:stop]])
    assert stop == 40 or later(rows[stop:], none[stop:]) == at_once[stop:]


def test_rules_read_the_fields_of_the_prompt_whatever_their_kind_and_company() -> None:
    fields: list[dict[str, object]] = [{"n": 12, "who": "Li"}, {"n": 12.0, "who": ["Li", "Wu"]}, {"n": "12", "who": None}]
    rows = [{"id": str(number), "text": text} for number, text in enumerate(["Li has 12.", "Li has 12.", "13 here"])]
    rule = {"missing_facts": ["n", "who"]}
    together = _judge(rule)(rows, fields)
    alone = [_judge(rule)([row], [one])[0] for row, one in zip(rows, fields, strict=True)]
    assert together == alone
    assert [reason and reason["detail"] for _, reason in together] == [None, "who: Wu", "n: 12"]


@pytest.mark.parametrize("retries", [0, 2])
def test_every_sample_has_one_final_row(retries: int) -> None:
    found = list(_sampler(StandIn(3), _judge(*RULES), retries=retries).rows(_samples(30)))
    assert sorted(one.sample.id for one in found if one.final) == sorted(sample.id for sample in _samples(30))
