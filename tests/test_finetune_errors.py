"""What finetuning cannot do is one clear line, and what it leaves out is counted."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from aigc import runs
from aigc.errors import AigcError
from aigc.schema import Evaluate
from aigc.stages import evaluate, finetune
from tuning import project_of, rewritten, tuned


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"task": "instruct", "prompt": "{question}"}, r"finetune\.prompt: columns found: .*; columns needed: question"),
        ({"task": "classify", "label": "genre"}, r"columns found: .*topic.*; columns needed: genre"),
        ({"task": "regress", "label": "topic"}, "a topic that is no number"),
        ({"task": "seq2seq", "prompt": "{text}"}, "a gpt2 model of the kind decoder, and this needs a encoder-decoder"),
        ({"lora": {"rank": 2, "targets": ["nothing"]}}, "nothing"),
        ({"freeze": {"layers": 9}}, "9"),
        ({"start": "/nowhere/model"}, "/nowhere/model: no such checkpoint folder"),
        ({"task": "instruct", "chat": "chatmll"}, "there is no template 'chatmll'; did you mean chatml"),
    ],
    ids=str,
)
def test_what_cannot_be_is_told_in_a_line(
    section: dict[str, Any], message: str, tmp_path: Path, tabled: Path, bases: dict[str, Path]
) -> None:
    with pytest.raises(AigcError, match=message) as caught:
        tuned(tmp_path, tabled, **{"start": str(bases["gpt2"])} | section)
    assert len(str(caught.value).splitlines()) == 1


def test_a_label_that_only_the_validation_split_has(tmp_path: Path, tabled: Path, bases: dict[str, Path]) -> None:
    topic = pl.when(pl.int_range(pl.len()) == 3).then(pl.lit("comet")).otherwise("topic")
    data = rewritten(tabled, tmp_path / "data", "validation", topic=topic)
    with pytest.raises(AigcError, match=r"1 of .* documents has the topic 'comet', which no training document has"):
        tuned(tmp_path / "run", data, task="classify", label="topic", start=str(bases["bert"]))


def test_what_evaluation_cannot_read_whole_is_told(
    tmp_path: Path, tabled: Path, bases: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = pl.when(pl.int_range(pl.len()) < 3).then(pl.lit("")).otherwise("chosen")
    data = rewritten(tabled, tmp_path / "data", "test", chosen=chosen)
    section = {"task": "instruct", "prompt": "{prompt}\n", "completion": "{chosen}", "answers": 0, "context": 24}
    project = project_of(tmp_path / "run", data, start=str(bases["gpt2"]), **section | {"max_truncated": "100%"})
    finetune.run(project)
    evaluate.run(project.model_copy(update={"evaluate": Evaluate(answers=0)}))
    account = json.loads((runs.stage_folder(project, "evaluate") / "report.json").read_text("utf-8"))["accounting"]
    said = capsys.readouterr().err
    assert account["empty"] == 3 and "evaluate: 3 of" in said and "have nothing to tell" in said
    assert account["truncated"] and f"evaluate: {account['truncated']} of" in said


def test_empty_completions_are_left_out_and_counted(
    tmp_path: Path, tabled: Path, bases: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = pl.when(pl.int_range(pl.len()) < 5).then(pl.lit("  ")).otherwise("chosen")
    data = rewritten(tabled, tmp_path / "data", "train", chosen=chosen)
    section = {"task": "instruct", "prompt": "{prompt}\n", "completion": "{chosen}", "answers": 0}
    _, report = tuned(tmp_path / "run", data, start=str(bases["gpt2"]), **section)
    assert report["training"]["empty"] == 5 and report["validation"]["empty"] == 0
    assert "5 documents have nothing to learn: they are left out" in capsys.readouterr().err


def test_labels_that_are_all_masked_stop_the_run(tmp_path: Path, tabled: Path, bases: dict[str, Path]) -> None:
    said = [{"role": "user", "content": "Hello?"}, {"role": "assistant", "content": ""}]
    data = rewritten(tabled, tmp_path / "data", "*", messages=pl.lit(pl.Series([said])).first())
    with pytest.raises(AigcError, match="nothing of the training split can be learned"):
        tuned(tmp_path / "run", data, task="instruct", start=str(bases["gpt2"]))


def test_an_adapter_of_another_base_is_refused(tmp_path: Path, tabled: Path, bases: dict[str, Path]) -> None:
    folder, _ = tuned(tmp_path, tabled, start=str(bases["gpt2"]), lora={"rank": 2})
    config = json.loads((folder / "model" / "adapter_config.json").read_text("utf-8"))
    config["base_model_name_or_path"] = str(bases["bert"])
    (folder / "model" / "adapter_config.json").write_text(json.dumps(config), "utf-8")
    with pytest.raises(AigcError) as caught:
        tuned(tmp_path / "other", tabled, start=str(folder / "model"))
    assert str(bases["bert"]) in str(caught.value) or "bert" in str(caught.value)
