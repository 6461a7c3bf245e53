"""The model card: what it says is in the files, data cannot break it, and the lines that load the model do."""

import hashlib
import json
import random
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt
from transformers import PreTrainedModel

from aigc.card import CardFacts, model_card, write_card
from aigc.card.facts import data_of
from aigc.core.model import adapters, checkpoints, families
from aigc.core.tokens import training as tokenizers
from aigc.schema import Project
from aigc.stages import clean, split

HOSTILE = "a|b\n---\n# x `y` <script>alert(1)</script> [z](http://z) *w*"
TITLES = ["How to load it", "Base model", "Data", "Licence", "Training", "Figures", "Ethics", "Limits", "Provenance"]
LICENCES = {"CC BY-NC 4.0": 30, "MIT": 20, "research | only": 5, None: 5}
CONTEXT = 48


def words(number: int) -> str:
    return " ".join(random.Random(number).choices("river stone cloud paper window garden letter market winter".split(), k=12))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder whose clean and split are real."""
    folder = tmp_path_factory.mktemp("card")
    licences = [name for name, count in LICENCES.items() for _ in range(count)]
    rows: list[dict[str, Any]] = [
        {"title": f"day {i}", "text": f"{words(i)}.", "license": name, "source": HOSTILE if i % 2 else "plain"}
        for i, name in enumerate(licences)
    ]
    rows.append({"title": "short", "text": "no", "license": "MIT", "source": "plain"})
    (folder / "a|b.jsonl").write_text("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows), "utf-8")
    sections = {
        "clean": {"input": str(folder / "a|b.jsonl"), "rules": [{"characters": {"min": 10}}]},
        "split": {"validation": 0.2, "test": 0.1, "similarity": None},
    }
    project = Project.model_validate({"name": "news", "runs": folder / "runs"} | sections)
    clean.run(project)
    split.run(project)
    return folder / "runs" / "news"


REPORT: dict[str, Any] = {
    "parameters": 12345,
    "trained_parameters": 678,
    "family": "gpt2",
    "objective": "causal",
    "precision": "fp32",
    "steps": 20,
    "stopped_early": None,
    "training": {"documents": 42, "tokens": 900, "truncated": 3, "dropped": 0, "label_share": 0.5, "bins": 2.0},
    "validation": {"documents": 9},
    "validation_losses": [
        {"step": 0, "loss": 5.0, "bits_per_byte": 2.5, "accuracy": 0.1, "sequence_loss": None},
        {"step": 10, "loss": 2.0, "bits_per_byte": 1.0, "accuracy": 0.4, "sequence_loss": None},
        {"step": 20, "loss": 3.0, "bits_per_byte": 1.5, "accuracy": 0.3, "sequence_loss": None},
    ],
}
SECTION = {"task": "instruct", "context": CONTEXT, "prompt": "{title}\n", "completion": "{text}", "learning_rate": 1e-4}


def facts_of(run: Path, **changes: Any) -> CardFacts:
    facts = CardFacts(run, "finetune", 7, SECTION, REPORT, start="HuggingFaceTB/SmolLM2-135M")
    return replace(facts, **changes)


def saved(folder: Path, family: str = "gpt2", **numbers: int) -> PreTrainedModel:
    """A tiny model and its tokenizer, as a stage saves them."""
    kind = families.FAMILIES[family].kind
    sentinels = 4 if family == "t5" else 0
    codec = tokenizers.train(
        [words(i) for i in range(50)], kind="bpe", vocabulary=320, context=CONTEXT, family=kind, infill=family == "gpt2",
        sentinels=sentinels,
    )  # fmt: skip
    torch.manual_seed(0)
    shape = families.Shape(layers=1, width=16, heads=2)
    ids = families.SpecialIds.of(codec)
    model = families.build(family, shape=shape, vocabulary=codec.vocabulary, ids=ids, context=CONTEXT, **numbers)
    model.config.decoder_start_token_id = codec.pad if model.config.is_encoder_decoder else None
    if model.config.is_encoder_decoder:
        assert model.generation_config is not None
        model.generation_config.decoder_start_token_id = codec.pad
    checkpoints.save(model, codec, folder)
    return model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "model"
    saved(folder)
    return folder


def headings(text: str) -> list[str]:
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(ModelCard(text).text)
    return [tokens[i + 1].content for i, token in enumerate(tokens) if token.type == "heading_open" and token.tag == "h2"]


def cells(text: str, column: str) -> list[list[str]]:
    """The rows of the table that has a column of this name, as a reader of Markdown sees them."""
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(ModelCard(text).text)
    rows: list[list[str]] = []
    for i, token in enumerate(tokens):
        if token.type == "table_open":
            rows = []
        elif token.type == "tr_open":
            rows.append([])
        elif token.type in ("td_open", "th_open"):
            rows[-1].append("".join(one.content for one in tokens[i + 1].children or ()))
        elif token.type == "table_close" and column in rows[0]:
            return rows[1:]
    raise AssertionError(f"no table with {column}")


def test_the_hub_reads_it(run: Path, model: Path) -> None:
    text, _ = model_card(model, facts_of(run))
    data = ModelCard(text).data
    assert data.license == "unknown"  # of some documents it is
    assert (data.library_name, data.pipeline_tag) == ("transformers", "text-generation")
    assert (data.base_model, data.base_model_relation) == ("HuggingFaceTB/SmolLM2-135M", "finetune")
    assert data.language == ["en"]
    assert data.tags == ["aigc", "finetune", "instruct"]
    (result,) = data.eval_results
    assert (result.metric_type, result.dataset_split) == ("perplexity", "validation")
    assert result.metric_value == pytest.approx(20.0855, abs=1e-3)  # of the last step, which is the result
    assert headings(text) == TITLES


def test_it_says_what_the_files_say(run: Path, model: Path) -> None:
    text, warned = model_card(model, facts_of(run))
    rows = cells(text, "licence")
    data = data_of(run / "split")
    assert sum(int(row[3]) for row in rows) == data.documents
    kinds = {row[1]: row[2] for row in rows}
    assert kinds == {
        "CC BY-NC 4.0": "non-commercial",
        "MIT": "permissive",
        "research | only": "research-only",
        "(not told)": "unknown",
    }
    assert cells(text, "changed") == [["characters", "61", "0", "1"]]
    counts = {kind: sum(count for one, count in data.licences.items() if one.kind == kind) for kind in set(kinds.values())}
    forbidden = counts["non-commercial"] + counts["research-only"]
    assert [line.split(" training documents")[0] for line in warned] == [
        f"licences of the data forbid commercial use: {forbidden} of {data.documents}",
        f"licences of the data are not known: {counts['unknown']} of {data.documents}",
        "the base model's licence is not known",
    ]
    assert all(line.split(" (")[0] in text for line in warned)
    assert "61 read, 60 kept, 1 dropped, 0 failed" in text
    assert "12,345 parameters, of which 678 were trained" in text
    assert "3 documents were longer, and their tails are not learned" in text
    assert hashlib.sha256((run / "split" / "manifest.json").read_bytes()).hexdigest() in text


def test_data_are_shown_and_not_obeyed(run: Path, model: Path) -> None:
    text, _ = model_card(model, facts_of(run, section=SECTION | {"prompt": "```\n---\n# {title}\n````\n", "completion": "\n---\n"}))
    assert headings(text) == TITLES
    sources = {row[0] for row in cells(text, "source")}
    assert sources == {"plain", " ".join(HOSTILE.split())}
    assert "<script>" not in MarkdownIt("commonmark").render(ModelCard(text).text)
    assert 'href="http://z"' not in MarkdownIt("commonmark").render(ModelCard(text).text)
    assert cells(text, "sha256")[0][0] == "a|b.jsonl"


def test_it_tells_nothing_of_the_machine(run: Path, model: Path, tmp_path: Path) -> None:
    start = tmp_path / "private" / "base"
    saved(start)
    section = SECTION | {
        "start": str(start),
        "penalise": [{"blocklist": {"files": [str(tmp_path / "l.txt")], "words": ["badword"]}}],
    }
    text, _ = model_card(model, facts_of(run, start=str(start), section=section))
    assert str(tmp_path) not in text and str(run.parents[1]) not in text and "badword" not in text
    assert "finetuned from base with aigc" in text
    assert ModelCard(text).data.base_model is None  # it is not on the hub


def test_the_same_files_give_the_same_bytes(run: Path, model: Path, tmp_path: Path) -> None:
    moved = tmp_path / "runs" / "news"
    shutil.copytree(run, moved)
    assert model_card(model, facts_of(run)) == model_card(model, facts_of(moved))


def test_writing_puts_it_beside_the_weights(run: Path, model: Path) -> None:
    warned = write_card(model, facts_of(run))
    assert ((model / "README.md").read_text("utf-8"), warned) == model_card(model, facts_of(run))


@pytest.mark.parametrize(
    ("front", "name", "warned"),
    [
        ("license: apache-2.0", "apache-2.0", ""),
        ("license: other\nlicense_name: research only", "research-only", " (research-only) forbids commercial use"),
        ("license: [mit, cc-by-nc-4.0]", "cc-by-nc-4.0", " (cc-by-nc-4.0) forbids commercial use"),
        ("license: other", "unknown", " is not known"),
        ("license: [", "unknown", " is not known"),
        ("- a list", "unknown", " is not known"),
    ],
)
def test_the_base_says_its_licence_itself(front: str, name: str, warned: str, run: Path, model: Path, tmp_path: Path) -> None:
    base = tmp_path / "base"
    base.mkdir()
    (base / "README.md").write_text(f"---\n{front}\n---\n# base\n", "utf-8")
    text, lines = model_card(model, facts_of(run, start=str(base)))
    assert f"licence: {name} (" in text
    assert [line for line in lines if "base model" in line] == ([f"the base model's licence{warned}"] if warned else [])


def test_a_base_of_this_run_has_the_licence_of_its_data(run: Path, model: Path, tmp_path: Path) -> None:
    own = tmp_path / "runs" / "news"
    shutil.copytree(run, own)
    shutil.copytree(model, own / "pretrain" / "model", ignore=shutil.ignore_patterns("README.md"))
    digest = hashlib.sha256((own / "split" / "manifest.json").read_bytes()).hexdigest()
    for manifest, licence in (
        (digest, "unknown (permissive, attribution, non-commercial, research-only, unknown)"),
        ("another", "unknown (unknown)"),
    ):
        (own / "pretrain" / "manifest.json").write_text(json.dumps({"upstream": [{"stage": "split", "manifest": manifest}]}))
        text, _ = model_card(model, facts_of(own, start=str(own / "pretrain" / "model")))
        assert "pretrain/model (the pretrain stage of the same project, on the same data)" in text
        assert f"licence: {licence}" in text


def test_a_model_from_nothing_has_no_base(run: Path, model: Path) -> None:
    text, warned = model_card(model, facts_of(run, stage="pretrain", start=None))
    assert "None: the weights began at random." in text and ModelCard(text).data.base_model is None
    assert not any("base" in line for line in warned)


def test_figures_are_of_the_weights_that_were_kept(run: Path, model: Path) -> None:
    def after(report: dict[str, Any]) -> str:
        return next(
            row[2] for row in cells(model_card(model, facts_of(run, report=REPORT | report))[0], "after") if "loss" in row[0]
        )

    assert after({}) == "3"
    assert after({"stopped_early": "no better validation loss in 1 evaluations"}) == "2"
    assert after({"result_step": 10}) == "2"


def test_test_figures_stand_there_once_they_are_known(run: Path, model: Path) -> None:
    without, _ = model_card(model, facts_of(run))
    assert "`aigc evaluate` had not been run" in without
    figures = [{"name": "rougeL", "value": 0.4, "low": 0.3, "high": 0.5, "baseline": 0.1}, {"name": "bleu", "value": None}]
    text, _ = model_card(model, facts_of(run, test={"split": "test", "documents": 6, "figures": figures}))
    assert ["ROUGE-L", "0.1", "0.4", "0.3 to 0.5"] in cells(text, "95 % interval")
    assert "had not been run" not in text
    found = {(one.metric_name, one.dataset_split): one.metric_value for one in ModelCard(text).data.eval_results}
    assert found[("rougeL", "test")] == 0.4


def test_penalties_and_probes(run: Path, model: Path) -> None:
    penalties = [
        {"rule": "blocklist", "by": "mask", "weight": 0.0, "documents": 4, "spans": 9, "characters": 80, "examples": ["ugly"]}
    ]
    report = REPORT | {
        "penalties": {"touched": 4, "documents": 42, "penalties": penalties},
        "probes": {"before": {"toxicity": {"mean": 0.25}}, "after": {"toxicity": {"mean": 0.125}}},
    }
    text, _ = model_card(
        model, facts_of(run, report=report, section=SECTION | {"penalise": [{"blocklist": "l.txt", "by": "mask"}]})
    )
    assert "Flagged in 4 of 42 documents" in text and "ugly" not in text
    assert ["toxicity, mean", "0.25", "0.125"] in cells(text.split("Probes on a fixed set of prompts")[1], "after")
    assert "were not probed" in model_card(model, facts_of(run))[0]


def code_of(text: str) -> str:
    (block,) = [
        token.content for token in MarkdownIt().parse(ModelCard(text).text) if token.type == "fence" and token.info == "python"
    ]
    return block


KINDS: dict[str, tuple[str, dict[str, int], dict[str, Any], dict[str, Any]]] = {  # family, its numbers, section and report
    "pretrained decoder": ("gpt2", {}, {"context": CONTEXT}, {}),
    "instruct": ("llama", {}, SECTION, {}),
    "fill in the middle": ("gpt2", {}, {"task": "infill", "context": CONTEXT}, {}),
    "control": ("gpt2", {}, {"task": "language_model", "context": CONTEXT, "control": {"safe": "<|safe|>"}}, {}),
    "masked": ("bert", {}, {"context": CONTEXT}, {"objective": "masked"}),
    "masked, pairs": ("bert", {"pairs": 1}, {"context": CONTEXT}, {"objective": "masked+next_sentence"}),
    "span corruption": ("t5", {}, {"context": CONTEXT}, {"objective": "span_corruption"}),
    "seq2seq": ("bart", {}, SECTION | {"task": "seq2seq"}, {}),
    "classify": ("bert", {"classes": 3}, {"task": "classify", "label": "topic", "context": CONTEXT}, {"classes": ["a", "b", "c"]}),
    "classify by a decoder": ("gpt2", {"classes": 3}, {"task": "classify", "label": "topic", "context": CONTEXT}, {}),
    "regress": ("bert", {"classes": 1}, {"task": "regress", "label": "score", "context": CONTEXT}, {}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_lines_that_load_it_run(
    kind: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    family, numbers, section, report = KINDS[kind]
    saved(tmp_path, family, **numbers)
    text, _ = model_card(tmp_path, facts_of(run, section=section, report=REPORT | report, start=None))
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(code_of(text), names)
    assert capsys.readouterr().out.strip() or family in ("t5", "gpt2", "llama", "bart")  # these may end at once
    assert type(names["model"]).__name__ == json.loads((tmp_path / "config.json").read_text())["architectures"][0]
    assert (
        f"pipeline_tag: {'text-classification' if 'classes' in numbers else 'fill-mask' if family == 'bert' else 'text-generation'}"
        in text
    )


def test_a_chat_is_asked_by_its_template(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved(tmp_path)
    (tmp_path / "chat_template.jinja").write_text("{% for one in messages %}<{{ one.role }}>{{ one.content }}{% endfor %}")
    text, _ = model_card(
        tmp_path, facts_of(run, section={"task": "instruct", "context": CONTEXT}, report=REPORT | {"chat": "the checkpoint"})
    )
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(code_of(text), names)
    assert "<user>" in names["tokenizer"].decode(names["inputs"]["input_ids"][0])


@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft asks transformers for it
def test_an_adapter_is_loaded_onto_its_base(classes: int, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base, folder = tmp_path / "base", tmp_path / "adapter"
    adapted = saved(base, **({"classes": classes} if classes else {}))
    adapters.add(adapted, adapters.Lora(rank=2), seed=0)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            parameter += 0.1 * ("lora_B" in name or "score" in name)
    adapters.save_adapter(adapted, folder, str(base))
    for path in base.glob("tokenizer*"):
        shutil.copy(path, folder)
    section = {"task": "classify", "label": "topic", "context": CONTEXT} if classes else SECTION
    report = REPORT | ({"classes": ["a", "b", "c"]} if classes else {})
    text, _ = model_card(folder, facts_of(run, section=section | {"lora": {"rank": 2}}, report=report, start=str(base)))
    data = ModelCard(text).data
    assert data.library_name == "peft" and "lora" in data.tags and "adapters (peft), which need the base model" in text
    assert "path/to/base" in code_of(text)
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {}
    exec(code_of(text).replace("path/to/base", str(base)), names)
    ids = torch.tensor([[5, 6, 7]])
    adapted.eval()
    torch.testing.assert_close(names["model"](ids).logits, adapted(ids).logits)
