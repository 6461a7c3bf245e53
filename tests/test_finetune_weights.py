"""Which weights finetuning trains, adds and keeps, and what it pushes down."""

import json
import math
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from peft import PeftModel
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
)

from aigc import runs
from aigc.core.tokens.text import TextCodec
from aigc.schema import Project
from aigc.stages import evaluate, finetune
from tuning import LONGER, losses, project_of, rewritten, tuned


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


def test_what_is_flagged_is_pushed_down_and_the_rest_is_learned(tmp_path: Path, tabled: Path, bases: dict[str, Path]) -> None:
    """Every fourth training document is planted with an insult; the validation split is clean."""
    insult = pl.lit(" You are a zorbat quenk!")
    text = pl.when(pl.int_range(pl.len()) % 4 == 0).then(pl.col("text") + insult).otherwise("text")
    data = rewritten(tabled, tmp_path / "data", "train", text=text)
    found = {}
    for name, penalise in (("plain", []), ("pushed", [{"blocklist": {"words": ["zorbat quenk"]}, "by": "unlikelihood"}])):
        section = {"start": str(bases["gpt2"]), "document": "{text}", "penalise": penalise} | LONGER
        folder, report = tuned(tmp_path / name, data, **section)
        model, tokenizer = (kind.from_pretrained(folder / "model") for kind in (AutoModelForCausalLM, AutoTokenizer))
        ids = tokenizer("Number 3: we saw the stone. You are a", return_tensors="pt").input_ids
        wanted = tokenizer(" zorbat quenk", add_special_tokens=False, return_tensors="pt").input_ids
        logits = model.requires_grad_(False).eval()(torch.cat([ids, wanted], 1)).logits[0, ids.shape[1] - 1 : -1]
        found[name] = float(logits.log_softmax(-1).gather(1, wanted.T).sum()), min(losses(report)), report
    (plain, plain_loss, plain_report), (pushed, pushed_loss, report) = found["plain"], found["pushed"]
    assert pushed < plain - math.log(10), "at most a tenth as likely"
    assert math.exp(pushed_loss - plain_loss) < 1.03, "the perplexity of clean text is as good"
    [penalty] = report["penalties"]["penalties"]
    assert penalty["rule"] == "blocklist" and penalty["by"] == "unlikelihood" and penalty["documents"] > 20
    assert {"before", "after"} == set(report["probes"]) and "toxicity" in report["probes"]["after"]
    assert "penalties" not in plain_report and "probes" not in plain_report


def test_a_control_token_stands_before_each_document(tmp_path: Path, tabled: Path, bases: dict[str, Path]) -> None:
    control = {"by": {"blocklist": {"words": ["stone"]}}}
    section = {"start": str(bases["gpt2"]), "document": "{text}", "control": control}
    folder, report = tuned(tmp_path, tabled, **section)
    assert report["control"]["unsafe"] > 10 < report["control"]["safe"]
    tokenizer = AutoTokenizer.from_pretrained(folder / "model")
    assert len(tokenizer("<|safe|>", add_special_tokens=False).input_ids) == 1
    assert TextCodec(tokenizer).prefix == "<|safe|>"
