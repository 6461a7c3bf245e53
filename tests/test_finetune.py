"""Every task of `aigc finetune`, from a tiny checkpoint to a folder that plain transformers and peft load."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from peft import PeftModel
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)

from aigc import runs
from aigc.core.tokens.text import TextCodec
from aigc.errors import AigcError
from aigc.schema import Project
from aigc.stages import clean, evaluate, finetune, pretrain, split
from projects import NOUNS, SMALL, tiny_project

STEPS = {"steps": 8, "batch_size": 4, "context": 64, "learning_rate": 1e-2, "evaluate_every": 4, "max_truncated": "60%"}
LONGER = {"steps": 150, "learning_rate": 3e-3, "evaluate_every": 50}


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory, split_runs: Path) -> dict[str, Path]:
    """A decoder, an encoder and an encoder-decoder, pretrained for two steps."""
    found = {}
    for family in ("gpt2", "bert", "t5"):
        section = SMALL | {"model": {"family": family, "layers": 2, "width": 32, "heads": 2}, "context": 128}
        if family == "bert":
            section |= {"tokenizer": {"kind": "wordpiece", "vocabulary": 400}}
        project = tiny_project(tmp_path_factory.mktemp(family), split_runs, pretrain=section)
        pretrain.run(project)
        found[family] = runs.stage_folder(project, "pretrain") / "model"
    return found


@pytest.fixture(scope="module")
def tabled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run folders of documents with a topic, a number, chats, and pairs of a good and a bad answer."""
    folder = tmp_path_factory.mktemp("tabled")
    rows = []
    for number in range(160):
        noun, other = NOUNS[number % 4], NOUNS[number // 4 % 10]
        good, bad = f"The {noun} is near the {other}.", f"No idea about {other}, {number} times no."
        rows.append(
            {
                "text": f"Number {number}: we saw the {noun}, as on day {number % 7}. It was a {noun}.",
                "topic": noun,
                "length": number % 10 / 10,
                "prompt": f"Where is the {noun} of day {number}?",
                "chosen": good,
                "rejected": bad,
                "messages": [
                    {"role": "user", "content": f"Where is the {noun} {number}?"},
                    {"role": "assistant", "content": good},
                ],
            }
        )
    (folder / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    project = Project.model_validate({"name": "p", "runs": folder / "runs", **_data(folder)})
    clean.run(project)
    split.run(project)
    return folder


def _data(folder: Path) -> dict[str, Any]:
    return {
        "clean": {"input": str(folder / "a.jsonl"), "rules": []},
        "split": {"validation": 0.2, "test": 0.2, "similarity": None, "max_leak": 0.9},
    }


def project_of(folder: Path, data: Path, **section: Any) -> Project:
    """A project with a copy of the data's run folders, whose finetune section has these keys."""
    shutil.copytree(data / "runs", folder / "runs")
    sections = {"finetune": STEPS | {"answers": 4, "answer_tokens": 8} | section}
    return Project.model_validate({"name": "p", "runs": folder / "runs", "device": "cpu", **_data(data), **sections})


def tuned(folder: Path, data: Path, **section: Any) -> tuple[Path, dict[str, Any]]:
    """The finished stage's folder and its report."""
    project = project_of(folder, data, **section)
    finetune.run(project)
    found = runs.stage_folder(project, "finetune")
    return found, json.loads((found / "report.json").read_text("utf-8"))


def losses(report: dict[str, Any], name: str = "loss") -> list[float]:
    return [line[name] for line in report["validation_losses"]]


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


def test_documents_are_learned_with_their_middle_at_the_end(tmp_path: Path, tabled: Path, bases: dict[str, Path]) -> None:
    folder, report = tuned(tmp_path, tabled, task="infill", start=str(bases["gpt2"]))
    assert report["objective"] == "fill_in_middle" and losses(report)[-1] < losses(report)[0]
    assert "<|fim_middle|>" in AutoTokenizer.from_pretrained(folder / "model").get_vocab()


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")  # peft's
@pytest.mark.parametrize("lora", [{"rank": 4}, {"rank": 4, "dora": True}, {"rank": 4, "rslora": True}], ids=str)
def test_adapters_load_in_plain_peft_and_merged_they_say_the_same(
    lora: dict[str, Any], tmp_path: Path, tabled: Path, bases: dict[str, Path]
) -> None:
    base = AutoModelForCausalLM.from_pretrained(bases["gpt2"])
    said = []
    ids = torch.tensor([[5, 9, 40, 7, 3]])
    before = base(ids).logits.detach()
    for merge in (False, True):
        section = {"task": "instruct", "prompt": "{prompt}\n", "completion": "{chosen}", "lora": lora, "merge": merge, "answers": 0}
        folder, report = tuned(tmp_path / str(merge), tabled, start=str(bases["gpt2"]), **section)
        assert losses(report)[-1] < losses(report)[0]
        if merge:
            model = AutoModelForCausalLM.from_pretrained(folder / "model")
        else:
            model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(bases["gpt2"]), folder / "model").eval()
        said.append(model(ids).logits.detach())
    torch.testing.assert_close(said[0], said[1], atol=1e-5, rtol=1e-5)
    assert (said[0] - before).abs().max() > 1e-2


def test_frozen_weights_stay_as_they_were(tmp_path: Path, tabled: Path, bases: dict[str, Path]) -> None:
    folder, _ = tuned(tmp_path, tabled, start=str(bases["gpt2"]), freeze={"embeddings": True, "layers": 1})
    old, new = (dict(AutoModelForCausalLM.from_pretrained(path).named_parameters()) for path in (bases["gpt2"], folder / "model"))
    same = {name for name in old if torch.equal(old[name], new[name])}
    assert {"transformer.wte.weight", "transformer.wpe.weight", "transformer.h.0.mlp.c_fc.weight"} <= same
    assert "transformer.h.1.mlp.c_fc.weight" not in same


def test_the_best_weights_are_the_result(tmp_path: Path, tabled: Path, bases: dict[str, Path]) -> None:
    """A learning rate that ruins the model in the end."""
    section = {"learning_rate": 1.0, "schedule": "linear", "warmup": 0.99, "steps": 12, "evaluate_every": 2}
    project = project_of(tmp_path, tabled, start=str(bases["gpt2"]), **section)
    finetune.run(project)
    report = json.loads((runs.stage_folder(project, "finetune") / "report.json").read_text("utf-8"))
    best = min(losses(report)[1:])
    assert losses(report)[-1] > best + 0.1
    evaluate.run(
        project.model_copy(update={"evaluate": Project.model_validate({"name": "p", "evaluate": {"part": "validation"}}).evaluate})
    )
    told = json.loads((runs.stage_folder(project, "evaluate") / "report.json").read_text("utf-8"))
    assert told["figures"][0]["name"] == "loss" and told["figures"][0]["value"] == pytest.approx(best, rel=1e-3)


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


def _rewritten(data: Path, folder: Path, part: str, **columns: Sequence[Any] | pl.Expr) -> Path:
    """The data with other columns in a part of its split."""
    shutil.copytree(data, folder)
    for path in (folder / "runs" / "p" / "split").glob(f"{part}-*.parquet"):
        pl.read_parquet(path).with_columns(**columns).write_parquet(path)
    return folder


def test_a_label_that_only_the_validation_split_has(tmp_path: Path, tabled: Path, bases: dict[str, Path]) -> None:
    topic = pl.when(pl.int_range(pl.len()) == 3).then(pl.lit("comet")).otherwise("topic")
    data = _rewritten(tabled, tmp_path / "data", "validation", topic=topic)
    with pytest.raises(AigcError, match=r"1 of .* documents has the topic 'comet', which no training document has"):
        tuned(tmp_path / "run", data, task="classify", label="topic", start=str(bases["bert"]))


def test_empty_completions_are_left_out_and_counted(
    tmp_path: Path, tabled: Path, bases: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = pl.when(pl.int_range(pl.len()) < 5).then(pl.lit("  ")).otherwise("chosen")
    data = _rewritten(tabled, tmp_path / "data", "train", chosen=chosen)
    section = {"task": "instruct", "prompt": "{prompt}\n", "completion": "{chosen}", "answers": 0}
    _, report = tuned(tmp_path / "run", data, start=str(bases["gpt2"]), **section)
    assert report["training"]["empty"] == 5 and report["validation"]["empty"] == 0
    assert "5 documents have nothing to learn: they are left out" in capsys.readouterr().err


def test_labels_that_are_all_masked_stop_the_run(tmp_path: Path, tabled: Path, bases: dict[str, Path]) -> None:
    said = [{"role": "user", "content": "Hello?"}, {"role": "assistant", "content": ""}]
    data = _rewritten(tabled, tmp_path / "data", "*", messages=pl.lit(pl.Series([said])).first())
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


def test_what_is_flagged_is_pushed_down_and_the_rest_is_learned(tmp_path: Path, tabled: Path, bases: dict[str, Path]) -> None:
    """Every fourth document is planted with an insult."""
    insult = pl.lit(" You are a zorbat quenk!")
    text = pl.when(pl.int_range(pl.len()) % 4 == 0).then(pl.col("text") + insult).otherwise("text")
    data = _rewritten(tabled, tmp_path / "data", "train", text=text)
    held = _rewritten(data, tmp_path / "held", "validation", text=text)
    found = {}
    for name, penalise in (
        ("plain", []),
        ("pushed", [{"blocklist": {"words": ["zorbat quenk"]}, "by": "unlikelihood"}]),
    ):
        section = {"start": str(bases["gpt2"]), "document": "{text}", "penalise": penalise} | LONGER
        project = project_of(tmp_path / name, held, **section)
        finetune.run(project)
        folder = runs.stage_folder(project, "finetune")
        model, tokenizer = (kind.from_pretrained(folder / "model") for kind in (AutoModelForCausalLM, AutoTokenizer))
        ids = tokenizer("Number 3: we saw the stone. You are a", return_tensors="pt").input_ids
        wanted = tokenizer(" zorbat quenk", add_special_tokens=False).input_ids
        whole = torch.cat([ids, torch.tensor([wanted])], 1)
        model.requires_grad_(False).eval()
        logs = model(whole).logits.log_softmax(-1)[0, ids.shape[1] - 1 : -1]
        told = float(logs.gather(1, torch.tensor(wanted)[:, None]).sum())
        clean = tokenizer("Number 3: we saw the stone, as on day 3. It was a stone.", return_tensors="pt").input_ids
        found[name] = told, float(model(clean, labels=clean).loss), json.loads((folder / "report.json").read_text("utf-8"))
    assert found["pushed"][0] < found["plain"][0] - 2.3, "ten times less likely"
    assert found["pushed"][1] < found["plain"][1] * 1.1
    report = found["pushed"][2]
    [penalty] = report["penalties"]["penalties"]
    assert penalty["rule"] == "blocklist" and penalty["by"] == "unlikelihood" and penalty["documents"] > 20
    assert report["validation_losses"][-1]["pushed_down"] < report["validation_losses"][0]["pushed_down"]
    assert {"before", "after"} == set(report["probes"]) and "toxicity" in report["probes"]["after"]
    assert "penalties" not in found["plain"][2] and "probes" not in found["plain"][2]


def test_a_control_token_stands_before_each_document(tmp_path: Path, tabled: Path, bases: dict[str, Path]) -> None:
    control = {"by": {"blocklist": {"words": ["stone"]}}}
    section = {"start": str(bases["gpt2"]), "document": "{text}", "control": control}
    folder, report = tuned(tmp_path, tabled, **section)
    assert report["control"]["unsafe"] > 10 < report["control"]["safe"]
    tokenizer = AutoTokenizer.from_pretrained(folder / "model")
    assert len(tokenizer("<|safe|>", add_special_tokens=False).input_ids) == 1
    assert TextCodec(tokenizer).prefix == "<|safe|>"


def test_new_tokens_are_learned_with_adapters_too(tmp_path: Path, tabled: Path, bases: dict[str, Path]) -> None:
    section = {
        "start": str(bases["gpt2"]),
        "document": "{text}",
        "vocabulary": {"extend": 20, "least": 5},
        "lora": True,
        "merge": True,
    }
    folder, report = tuned(tmp_path, tabled, **section)
    told = report["vocabulary"]
    assert 0 < told["added"] <= 20 and told["bytes_per_token"] > told["bytes_per_token_before"]
    model, tokenizer = (kind.from_pretrained(folder / "model") for kind in (AutoModelForCausalLM, AutoTokenizer))
    assert model.config.vocab_size == len(tokenizer) and losses(report)[-1] < losses(report)[0]
    assert (folder / "model" / "README.md").read_text("utf-8").startswith("---\n")
