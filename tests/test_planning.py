"""`aigc check` says what training would do: before there is a split, after, and with the time that it takes."""

import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from aigc import planning, runs
from aigc.errors import AigcError
from aigc.schema import Project
from aigc.stages import check, pretrain
from projects import SMALL, tiny_project

CUT = {"task": "instruct", "prompt": "{title}\n", "context": 64, "batch_size": 2, "steps": 3, "max_truncated": "50%"}


def planned(
    project: Project, name: str = "pretrain", *, sample: pl.DataFrame | None = None, measure: bool = False
) -> dict[str, str]:
    return dict(planning.plan(project, name, sample, measure=measure))


def unsplit(folder: Path, split_runs: Path, **sections: Any) -> Project:
    """A project of which nothing was run."""
    project = tiny_project(folder, split_runs, **sections)
    return project.model_copy(update={"runs": folder / "none"})


def said(project: Project, capfd: pytest.CaptureFixture[str], *, measure: bool = False) -> str:
    check.run(project, measure=measure)
    out, err = capfd.readouterr()
    assert out == ""
    return err


@pytest.mark.parametrize("split", [True, False])
def test_check_prints_the_plan_and_writes_nothing(
    split: bool, tmp_path: Path, split_runs: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    sections = {"pretrain": SMALL, "finetune": CUT}
    project = tiny_project(tmp_path, split_runs, **sections) if split else unsplit(tmp_path, split_runs, **sections)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    text = said(project, capfd)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    assert re.search(r"model\W+gpt2, [\d,]+ parameters, (fp32|bf16)", text)
    assert re.search(r"memory\W+about 0\.\d GB: weights 0\.\d\d, gradients", text)
    assert re.search(r"steps\W+2 of 128 places", text)
    assert "finetune: the plan" in text
    assert "that of pretrain, which was not run yet" in text
    assert "nothing stands in the way" in text
    assert ("split" in text.split("state of")[1]) and ("up to date" in text.split("state of")[1]) == split


def test_the_plan_is_what_training_then_does(tmp_path: Path, split_runs: Path) -> None:
    project = tiny_project(tmp_path, split_runs, pretrain=SMALL | {"steps": None, "epochs": 2, "accumulate": 2})
    lines = planned(project)
    pretrain.run(project)
    folder = runs.stage_folder(project, "pretrain")
    report = pl.read_json(folder / "report.json").row(0, named=True)
    assert f"{report['parameters']:,} parameters" in lines["model"]
    assert lines["steps"].startswith(f"{report['steps']} of 256 places")
    training = report["training"]
    assert re.match(rf"{training['documents']} of \d+ / \d+ / \d+ tokens", lines["documents"])
    assert lines["tokens"].startswith(f"{training['tokens']:,}, of which {training['label_share']:.0%} are learned")
    assert lines["longer than the context"].startswith(
        f"{training['cut']} of {training['documents']} documents: {training['cut']} cut"
    )


def test_a_finetune_is_planned_when_its_model_is_there(tmp_path: Path, split_runs: Path) -> None:
    project = tiny_project(tmp_path, split_runs, pretrain=SMALL, finetune=CUT)
    assert planned(project, "finetune") == {"model": "that of pretrain, which was not run yet"}
    pretrain.run(project)
    lines = planned(project, "finetune")
    assert "gpt2" in lines["model"]
    assert lines["steps"] == "3 of 128 places"
    assert not lines["tokens"].split("of which ")[1].startswith("100%")


@pytest.mark.parametrize("family", ["gpt2", "bert", "t5"])
def test_measured_time_is_told(family: str, tmp_path: Path, split_runs: Path) -> None:
    section = SMALL | {"model": {**SMALL["model"], "family": family}}  # type: ignore[dict-item]
    lines = planned(tiny_project(tmp_path, split_runs, pretrain=section), measure=True)
    assert re.fullmatch(r"[\d,]+ tokens/s; \d+\.\d\d s a step, \d+ s to get going", lines["speed"])
    assert re.fullmatch(r"about \d+ min \d\d s", lines["time to the end"])


def test_before_clean_there_may_be_nothing_to_look_at(tmp_path: Path, split_runs: Path) -> None:
    project = unsplit(tmp_path, split_runs, pretrain=SMALL)
    for sample in (None, pl.DataFrame({"id": ["a"], "text": ["one"]})):
        assert planned(project, sample=sample) == {"documents": "none to look at before clean and split were run"}


def test_a_large_split_is_planned_from_a_part_of_it(tmp_path: Path, split_runs: Path) -> None:
    project = tiny_project(tmp_path, split_runs, pretrain=SMALL | {"steps": None, "epochs": 1})
    whole = planned(project)
    split = runs.stage_folder(project, "split")
    for path in split.glob("train-*.parquet"):
        frame = pl.read_parquet(path)
        pl.concat([frame] * 40).write_parquet(path)  # 3,200 documents or so
    lines = planned(project)
    documents = int(re.match(r"about ([\d,]+) of", lines["documents"])[1].replace(",", ""))  # type: ignore[index]
    tokens, before = (int(re.search(r"([\d,]+), of which", one["tokens"])[1].replace(",", "")) for one in (lines, whole))  # type: ignore[index]
    steps, once = (int(one["steps"].split(" of ")[0].replace(",", "")) for one in (lines, whole))
    assert documents == pytest.approx(40 * int(whole["documents"].split(" of ")[0]), rel=0.01)
    assert tokens == pytest.approx(40 * before, rel=0.02)
    assert steps == pytest.approx(40 * once, rel=0.1)


def test_classes_that_the_sample_happens_not_to_have_are_no_mistake(tmp_path: Path, split_runs: Path) -> None:
    mixture = {"mixture": {"by": "source", "weights": {"en": 1, "zh": 2}}}
    project = tiny_project(tmp_path, split_runs, pretrain=SMALL | mixture)
    split = runs.stage_folder(project, "split")
    for path in split.glob("train-*.parquet"):
        frame = pl.read_parquet(path)
        english = pl.concat([frame.filter(source="en")] * 60)  # more than are looked at, and all before the others
        pl.concat([english, frame.filter(source="zh")]).write_parquet(path)
    assert "gpt2" in planned(project)["model"]
    sample = pl.DataFrame([{"id": str(i), "text": f"The river number {i}.", "source": "en"} for i in range(planning.SAMPLE)])
    assert "gpt2" in planned(unsplit(tmp_path / "again", split_runs, pretrain=SMALL | mixture), sample=sample)["model"]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"en": 1}, "mixture: 'zh' is in the documents, but has no weight"),
        ({"en": 1, "zh": 1, "ch": 1}, "mixture: 'ch' has a weight, but no documents"),
    ],
)
def test_a_mixture_that_does_not_fit_is_told_before_training(
    weights: dict[str, float], message: str, tmp_path: Path, split_runs: Path
) -> None:
    mixture = {"mixture": {"by": "source", "weights": weights}}
    with pytest.raises(AigcError, match=message):
        planned(tiny_project(tmp_path, split_runs, pretrain=SMALL | mixture))


def test_an_empty_validation_split_is_told_by_check(tmp_path: Path, split_runs: Path) -> None:
    project = tiny_project(tmp_path, split_runs, pretrain=SMALL)
    for path in runs.stage_folder(project, "split").glob("validation-*.parquet"):
        pl.read_parquet(path).clear().write_parquet(path)
    with pytest.raises(AigcError, match="nothing of the validation split can be learned"):
        check.run(project)


def test_too_many_truncated_documents_are_told_by_check(tmp_path: Path, split_runs: Path) -> None:
    project = tiny_project(tmp_path, split_runs, pretrain=SMALL, finetune=CUT | {"context": 16, "max_truncated": "1%"})
    pretrain.run(project)
    with pytest.raises(AigcError, match=r"finetune: \d+ of \d+ training documents .* finetune\.max_truncated \(1\.0%\) allows"):
        check.run(project)


def test_a_template_without_its_column_is_told_once(tmp_path: Path, split_runs: Path) -> None:
    project = tiny_project(tmp_path, split_runs, pretrain=SMALL | {"document": "{headline}"})
    with pytest.raises(AigcError) as caught:
        check.run(project)
    assert str(caught.value).startswith("pretrain: its template needs the column 'headline'; columns found: ")
    assert len(str(caught.value).splitlines()) == 1


def test_a_class_that_only_the_held_out_part_of_a_sample_has_is_no_mistake(tmp_path: Path) -> None:
    pl.DataFrame({"topic": ["sea", "sky", "sea"]}).write_parquet(tmp_path / "train-00000.parquet")
    pl.DataFrame({"topic": ["sky", "comet", "sea"]}).write_parquet(tmp_path / "validation-00000.parquet")
    for label in (None, "genre", "topic"):
        planning._without_unseen(label, tmp_path)
        left = pl.read_parquet(tmp_path / "validation-00000.parquet")["topic"].to_list()
        assert left == (["sky", "sea"] if label == "topic" else ["sky", "comet", "sea"])
