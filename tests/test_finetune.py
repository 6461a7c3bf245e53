"""Every task of `aigc finetune`, from a tiny checkpoint to a folder that plain transformers loads."""

import json
from pathlib import Path

import polars as pl
import pytest
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)

from aigc import runs
from aigc.errors import AigcError
from aigc.stages import evaluate, finetune
from projects import NOUNS
from tuning import LONGER, losses, project_of, rewritten, tuned


@pytest.mark.parametrize("family", ["gpt2", "bert", "t5"])
def test_whole_documents_are_learned_by_every_family(family: str, tmp_path: Path, tabled: Path, bases: dict[str, Path]) -> None:
    folder, report = tuned(tmp_path, tabled, start=str(bases[family]), document="{text}")
    assert losses(report)[-1] < losses(report)[0] - 0.5
    assert report["objective"] == {"gpt2": "causal", "bert": "masked", "t5": "span_corruption"}[family]
    assert (folder / "model" / "model.safetensors").exists() and (folder / "report.html").exists()


@pytest.mark.parametrize(
    "section",
    [
        {"chat": "chatml"},
        {"prompt": "{prompt}\n", "completion": "{chosen}"},
        {"chat": "plain"},
    ],
    ids=["chatml", "templates", "plain"],
)
def test_instructions_are_learned_and_answers_measured(
    section: dict[str, str], tmp_path: Path, tabled: Path, bases: dict[str, Path]
) -> None:
    if section.get("chat") == "chatml":
        with pytest.raises(AigcError, match="chatml needs the tokens"):
            tuned(tmp_path / "without", tabled, start=str(bases["gpt2"]), task="instruct", **section)
        return
    folder, report = tuned(tmp_path, tabled, start=str(bases["gpt2"]), task="instruct", **section)
    assert losses(report)[-1] < losses(report)[0] - 0.5
    assert 0 < report["training"]["label_share"] < 0.8, "the prompt is not learned"
    assert all(0 <= value <= 1 for value in losses(report, "rougeL"))
    samples = [json.loads(line) for line in (folder / "samples.jsonl").read_text("utf-8").splitlines()]
    assert {"step", "prompt", "text", "reference"} <= set(samples[0])
    assert samples[0]["reference"].startswith("The ")
    model, tokenizer = (kind.from_pretrained(folder / "model") for kind in (AutoModelForCausalLM, AutoTokenizer))
    assert model.config.vocab_size == len(tokenizer)


def test_topics_are_told_and_evaluated_against_the_start(tmp_path: Path, tabled: Path, bases: dict[str, Path]) -> None:
    section = {"task": "classify", "label": "topic", "start": str(bases["bert"]), "class_weights": "balanced"} | LONGER
    project = project_of(tmp_path, tabled, **section)
    finetune.run(project)
    folder = runs.stage_folder(project, "finetune")
    report = json.loads((folder / "report.json").read_text("utf-8"))
    assert report["classes"] == sorted(NOUNS[:4])
    assert max(losses(report, "macro_f1")) > 0.9 > losses(report, "macro_f1")[0]
    model, tokenizer = (kind.from_pretrained(folder / "model") for kind in (AutoModelForSequenceClassification, AutoTokenizer))
    said = model(**tokenizer("The river and the stone were there.", return_tensors="pt")).logits
    assert model.config.id2label[int(said.argmax())] in report["classes"]
    evaluate.run(project)
    told = json.loads((runs.stage_folder(project, "evaluate") / "report.json").read_text("utf-8"))
    figures = {figure["name"]: figure for figure in told["figures"]}
    assert figures["macro_f1"]["value"] > 0.9 and figures["macro_f1"]["difference_low"] > 0
    assert sum(map(sum, told["classes"]["confusion"])) == told["documents"]
    lines = (runs.stage_folder(project, "evaluate") / "predictions.jsonl").read_text("utf-8").splitlines()
    assert len(lines) == told["documents"]
    assert sum(line["label"] == line["predicted"] for line in map(json.loads, lines)) / len(lines) == figures["accuracy"]["value"]


def test_a_decoder_tells_topics_too_with_adapters(tmp_path: Path, tabled: Path, bases: dict[str, Path]) -> None:
    section = {"task": "classify", "label": "topic", "start": str(bases["gpt2"]), "lora": {"rank": 8}} | LONGER
    folder, report = tuned(tmp_path, tabled, **section)
    assert max(losses(report, "macro_f1")) > 0.8
    assert (folder / "model" / "adapter_model.safetensors").exists() and not (folder / "model" / "model.safetensors").exists()
    assert report["trained_parameters"] < report["parameters"] / 2


def test_a_number_is_told(tmp_path: Path, tabled: Path, bases: dict[str, Path]) -> None:
    _, report = tuned(tmp_path, tabled, task="regress", label="length", start=str(bases["bert"]), steps=30)
    assert losses(report, "rmse")[-1] < losses(report, "rmse")[0]
    assert losses(report)[-1] == pytest.approx(losses(report, "rmse")[-1] ** 2, rel=1e-3)


def test_a_sequence_is_turned_into_another(tmp_path: Path, tabled: Path, bases: dict[str, Path]) -> None:
    section = {"task": "seq2seq", "start": str(bases["t5"]), "prompt": "{text}", "completion": "{topic}", "steps": 40}
    project = project_of(tmp_path, tabled, **section)
    finetune.run(project)
    report = json.loads((runs.stage_folder(project, "finetune") / "report.json").read_text("utf-8"))
    assert losses(report)[-1] < losses(report)[0] - 0.5
    model = AutoModelForSeq2SeqLM.from_pretrained(runs.stage_folder(project, "finetune") / "model")
    tokenizer = AutoTokenizer.from_pretrained(runs.stage_folder(project, "finetune") / "model")
    assert model.generate(**tokenizer("The river", return_tensors="pt"), max_new_tokens=4).shape[1] <= 5
    evaluate.run(project)
    told = json.loads((runs.stage_folder(project, "evaluate") / "report.json").read_text("utf-8"))
    assert {"loss", "perplexity", "bits_per_byte", "token_accuracy", "rougeL", "chrf", "exact_match"} <= {
        figure["name"] for figure in told["figures"]
    }


@pytest.mark.parametrize("loss", ["dpo", "ipo", "orpo"])
def test_what_is_chosen_becomes_likelier_than_what_is_rejected(
    loss: str, tmp_path: Path, tabled: Path, bases: dict[str, Path]
) -> None:
    section = {"task": "preference", "preference": loss, "start": str(bases["gpt2"]), "steps": 20, "learning_rate": 3e-3}
    project = project_of(tmp_path, tabled, **section)
    finetune.run(project)
    report = json.loads((runs.stage_folder(project, "finetune") / "report.json").read_text("utf-8"))
    assert losses(report)[-1] < losses(report)[0]
    assert losses(report, "sequence_accuracy")[-1] > 0.9
    assert losses(report, "reward_margin")[-1] > losses(report, "reward_margin")[0]
    if loss == "dpo":
        assert losses(report)[0] == pytest.approx(0.6931, abs=1e-3), "the start is its own reference"
        evaluate.run(project)
        told = json.loads((runs.stage_folder(project, "evaluate") / "report.json").read_text("utf-8"))
        assert next(one["value"] for one in told["figures"] if one["name"] == "win_rate") > 0.9


def test_single_completions_are_learned_by_whether_they_are_wanted(tmp_path: Path, tabled: Path, bases: dict[str, Path]) -> None:
    wanted = pl.int_range(pl.len()) % 2 == 0
    columns = {"completion": pl.when(wanted).then("chosen").otherwise("rejected"), "label": wanted}
    data = rewritten(tabled, tmp_path / "data", "*", **columns)
    for path in (data / "runs" / "p" / "split").glob("*.parquet"):
        pl.read_parquet(path).drop("chosen", "rejected").write_parquet(path)
    section = {"task": "preference", "preference": "kto", "start": str(bases["gpt2"]), "steps": 40, "learning_rate": 3e-3}
    project = project_of(tmp_path / "run", data, **section)
    finetune.run(project)
    report = json.loads((runs.stage_folder(project, "finetune") / "report.json").read_text("utf-8"))
    assert report["format"] == "prompt, completion and label"
    assert losses(report)[-1] < losses(report)[0]
    assert losses(report, "reward_margin")[-1] > losses(report, "reward_margin")[0]
    evaluate.run(project)
    told = json.loads((runs.stage_folder(project, "evaluate") / "report.json").read_text("utf-8"))
    [figure] = told["figures"]
    assert figure["name"] == "win_rate" and figure["value"] > 0.8


def test_documents_are_learned_with_their_middle_at_the_end(tmp_path: Path, tabled: Path, bases: dict[str, Path]) -> None:
    folder, report = tuned(tmp_path, tabled, task="infill", start=str(bases["gpt2"]))
    assert report["objective"] == "fill_in_middle" and losses(report)[-1] < losses(report)[0]
    assert "<|fim_middle|>" in AutoTokenizer.from_pretrained(folder / "model").get_vocab()
