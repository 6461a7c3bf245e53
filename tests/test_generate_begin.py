"""Texts of `aigc generate` that begin with given words: what the model is asked, what the row says, and what stays as it was."""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from aigc.core.generation.gaps import Gapped
from aigc.core.generation.request import Decoding, Drawn, Request, Watch
from aigc.errors import AigcError
from aigc.production import production
from aigc.production.drawing import engine_of
from aigc.production.rowfile import RowFile
from aigc.production.sampling import seed_of
from aigc.schema import Generate, Project
from aigc.stages import generate
from scripted import Scripted

Run = Callable[..., "Continuer"]


class Continuer(Scripted):
    """An engine whose texts its seeds decide, and that tells them in two pieces."""

    quality = ""

    def __init__(self) -> None:
        super().__init__(lambda prompt, seed: f"说了{seed % 1000}句话。", context=300)

    def draw(self, requests: Iterable[Request], decoding: Decoding, watch: Watch | None = None) -> Iterator[tuple[Request, Drawn]]:
        for request, drawn in super().draw(requests, decoding):
            if watch is not None:
                watch(request, drawn.text[:2])
                watch(request, drawn.text[2:])
            yield request, drawn

    def prompts(self) -> list[str]:
        """What was asked, sorted."""
        return sorted("".join(map(chr, request.prompt_ids)) for request in self.requests)


class Filler(Continuer):
    """Takes every prompt for one with a gap."""

    def request(self, text: str, *, seed: int, key: int = 0) -> Request:
        return Gapped([1], seed, key, (text, ""))


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Generate in the test's folder; the engine that was asked last. Keys of the section are given by name."""
    monkeypatch.chdir(tmp_path)

    def call(kind: type[Continuer] = Continuer, *, stream: bool = False, **keys: Any) -> Continuer:
        engine = kind()
        monkeypatch.setattr(production, "engine_of", lambda project, *, slots=None: engine)
        section = {"checkpoint": "c", "prompt": "写{topic}:", "output": "o.jsonl", "batch_size": 2} | keys
        generate.run(Project.model_validate({"name": "p", "seed": 4, "generate": section}), stream=stream)
        return engine

    return call


def _rows(name: str = "o.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(name).read_text("utf-8").split("\n") if line]


ROWS = [{"topic": "雨", "who": "李秋禾"}, {"topic": "rain", "who": "Anna"}]


def test_the_model_goes_on_from_the_begin_which_is_part_of_the_text(run: Run) -> None:
    engine = run(prompts=ROWS, begin="{who} said ")
    assert engine.prompts() == ["写rain:Anna said ", "写雨:李秋禾 said "]
    rows = {row["id"]: row for row in _rows()}
    for number, given in enumerate(ROWS):
        row = rows[f"00000{number}-0"]
        seed = seed_of(4, row["id"], 0)
        assert list(row)[:5] == ["id", "prompt", "begin", "text", "tokens"]
        assert (row["prompt"], row["begin"], row["seed"]) == (f"写{given['topic']}:", f"{given['who']} said ", seed)
        assert row["text"] == f"{given['who']} said 说了{seed % 1000}句话。"
        assert row["tokens"] == len(row["text"]) - len(row["begin"])


def test_without_it_all_is_as_if_the_begin_stood_in_the_prompt(run: Run) -> None:
    asked = run(prompts=ROWS, begin="{who}:").requests
    texts = {row["id"]: row["text"].removeprefix(row["begin"]) for row in _rows()}
    Path("o.jsonl").unlink()
    assert run(prompts=ROWS, prompt="写{topic}:{who}:").requests == asked
    assert {row["id"]: row["text"] for row in _rows()} == texts
    assert all("begin" not in row for row in _rows())


def test_a_row_may_have_none(run: Run) -> None:
    engine = run(prompts=[{"topic": "a", "lead": "In May, "}, {"topic": "b"}, {"topic": "c", "lead": None}], begin="{lead|}\n")
    assert engine.prompts() == ["写a:In May, \n", "写b:", "写c:"]
    assert sorted((row["prompt"], row.get("begin")) for row in _rows()) == [
        ("写a:", "In May, \n"),
        ("写b:", None),
        ("写c:", None),
    ]


def test_the_rules_see_the_whole_text_and_raw_is_whole(run: Run) -> None:
    rules = [{"missing_facts": "who"}, "spacing", {"characters": {"max": 40}}]
    run(prompts=[*ROWS, {"topic": "x", "who": "y" * 40}], begin="{who}", rules=rules)
    said = {f"00000{number}-0": f"说了{seed_of(4, f'00000{number}-0', 0) % 1000}句话。" for number in range(2)}
    assert {row["id"]: row["raw"] for row in _rows()} == {
        "000000-0": "李秋禾" + said["000000-0"],
        "000001-0": "Anna" + said["000001-0"],
    }
    assert all(row["text"] != row["raw"] == row["text"].replace(" ", "") for row in _rows())
    [row] = _rows("o.rejected.jsonl")
    assert row["rule"] == "characters" and row["text"].startswith("y" * 40)


def test_prompts_without_its_field_fail_once_whatever_their_windows(run: Run) -> None:
    prompts = [{"topic": "a"}, *ROWS, {"topic": "b" * 300, "who": "x"}, {"topic": "c"}]
    for _ in range(2):
        with pytest.raises(AigcError, match="3 of 5 prompts could not be used"):
            run(prompts=prompts, begin="{who}", count=30)
        reasons = {row["id"]: row["reason"] for row in _rows("o.rejected.jsonl")}
        assert reasons == {
            "000000": "generate.begin: the template needs the field 'who'; fields found: topic",
            "000003": "303 tokens leave no room in the model's context",
            "000004": "generate.begin: the template needs the field 'who'; fields found: topic",
        }
        assert len(_rows("o.rejected.jsonl")) == 3 and len(_rows()) == 60


def test_begin_counts_in_the_context(run: Run) -> None:
    with pytest.raises(AigcError, match="1 of 1 prompts"):
        run(prompts=[{"topic": "x", "who": "y" * 300}], begin="{who}")
    assert "303 tokens leave no room" in _rows("o.rejected.jsonl")[0]["reason"]


def test_killed_at_any_row_and_run_again_gives_the_same_bytes(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    keys: dict[str, Any] = {"prompts": [{"topic": str(n), "who": f"N{n % 3}"} for n in range(20)], "begin": "{who|}", "retries": 1}
    keys |= {"rules": [{"phrases": {"phrases": ["1", "2", "3"], "max": 0}}, "exact_duplicates"], "count": 2}
    run(**keys)
    whole = {name: Path(name).read_bytes() for name in ("o.jsonl", "o.rejected.jsonl")}
    written = sum(data.count(b"\n") for data in whole.values())
    assert all(data.count(b"\n") > 5 for data in whole.values())
    add = RowFile.add
    for last in range(0, written, 7):
        for name in whole:
            Path(name).unlink()
        left = last

        def dying(self: RowFile, row: dict[str, Any]) -> None:
            nonlocal left
            if not left:
                raise KeyError("killed")
            left -= 1
            add(self, row)

        with monkeypatch.context() as patch:
            patch.setattr(RowFile, "add", dying)
            with pytest.raises(KeyError):
                run(**keys)
        run(**keys)
        assert {name: Path(name).read_bytes() for name in whole} == whole
    assert run(**keys).calls == []


def test_rows_with_another_begin_are_not_taken_for_these(run: Run) -> None:
    run(prompts=ROWS, begin="{who}")
    before = Path("o.jsonl").read_bytes()
    with pytest.raises(AigcError, match="row 000001-0 was written for another prompt"):
        run(prompts=[ROWS[0], {"topic": "rain", "who": "Bea"}], begin="{who}")
    with pytest.raises(AigcError, match="another config"):
        run(prompts=ROWS, begin="{who} ")
    assert Path("o.jsonl").read_bytes() == before


def test_stream_shows_it_before_what_is_drawn(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run(prompts=ROWS, begin="{who}:", stream=True, batch_size=1)
    told = capsys.readouterr().out
    assert sorted(told.rstrip("\n").split("\n\n")) == sorted(row["prompt"] + row["text"] for row in _rows())


def test_candidates_have_it_too(run: Run) -> None:
    engine = run(prompts=ROWS[:1], begin="{who}", best_of={"candidates": 3, "by": {"characters": 1}})
    assert engine.prompts() == ["写雨:李秋禾"] * 3
    [row] = _rows()
    texts = [one["text"] for one in row["candidates"]]
    assert row["text"] in texts and len(set(texts)) == 3 and all(text.startswith("李秋禾说了") for text in texts)
    for pair in _rows("o.preferences.jsonl"):
        assert pair["prompt"] == "写雨:" and {pair["chosen"], pair["rejected"]} <= set(texts)


def test_what_cannot_begin_so_is_refused(run: Run) -> None:
    with pytest.raises(AigcError, match="1 of 2 prompts"):
        run(Filler, prompts=[{"topic": "[MASK]", "who": "x"}, {"topic": "[MASK]"}], begin="{who|}")
    assert "a text with a gap has its first words already" in _rows("o.rejected.jsonl")[0]["reason"]
    with pytest.raises(ValidationError, match="leave out begin"):
        Generate.model_validate({"plan": {}, "begin": "x"})
    with pytest.raises(ValidationError, match="constrain is the form of a whole text"):
        Generate.model_validate({"constrain": {"regex": "a+"}, "begin": "x"})


@pytest.mark.parametrize("family", ["t5", "bert"])
def test_what_does_not_go_on_from_a_text_is_refused(family: str, bases: dict[str, Path]) -> None:
    project = Project.model_validate({"name": "p", "generate": {"checkpoint": str(bases[family]), "begin": "x", "engine": "torch"}})
    with pytest.raises(AigcError, match="begin is for causal checkpoints"):
        engine_of(project)
