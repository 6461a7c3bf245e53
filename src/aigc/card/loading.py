"""A model folder into how it is loaded: its class, its task on the hub, and the lines of Python that use it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aigc.card.facts import Base, CardFacts, json_of
from aigc.card.markdown import plain
from aigc.core.documents.template import MissingField, fields_of, fill

__all__ = ["Use", "use_of"]

MOST_NEW = 100  # tokens of an example
MOST_CLASSES = 20  # whose names the example has
INFILLS = (  # of GPT-like tokenizers; the first that a tokenizer has is what training took
    ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),
    ("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
    ("▁<PRE>", "▁<SUF>", "▁<MID>"),
    ("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),
)


@dataclass(frozen=True)
class Use:
    """What one does with a model."""

    auto: str  # transformers' class that loads it
    pipeline: str  # the hub's name of the task
    adapter: bool  # whether the folder holds adapters, which need the base model
    code: str  # Python, to be run in the folder


def use_of(folder: Path, facts: CardFacts, base: Base | None) -> Use:
    """How the model in a folder is loaded with plain transformers, and peft where it is an adapter.

    Args:
        folder: with config.json or adapter_config.json, and the tokenizer.
    """
    adapter = json_of(folder / "adapter_config.json")
    config = json_of(folder / "config.json")
    if adapter and not config and facts.start is not None:
        config = json_of(Path(facts.start).expanduser() / "config.json")
    task = str(facts.section.get("task") or "")
    auto, pipeline = _class_of(config, task)
    names = [auto, "AutoTokenizer"]
    lines = [f"from transformers import {', '.join(sorted(names))}", ""]
    if adapter:
        lines = ["from peft import PeftModel", *lines]
    lines += ['folder = "."  # where this file lies', "tokenizer = AutoTokenizer.from_pretrained(folder)"]
    if adapter:
        where = base.hub if base is not None and base.hub else f"path/to/{plain(base.name) if base is not None else 'base'}"
        labels = f", num_labels={max(len(facts.report.get('classes') or ()), 1)}" if pipeline == "text-classification" else ""
        lines.append(f"base = {auto}.from_pretrained({where!r}{labels})")
        if facts.section.get("vocabulary") or facts.section.get("control"):
            lines.append("base.resize_token_embeddings(len(tokenizer))  # tokens were added")
        lines.append("model = PeftModel.from_pretrained(base, folder)")
    else:
        lines.append(f"model = {auto}.from_pretrained(folder)")
    lines += ["model.eval()", ""]
    context = int(facts.section.get("context") or 64)
    lines += _used(folder, facts, auto, config, context)
    return Use(auto, pipeline, bool(adapter), "\n".join(lines))


def _class_of(config: Mapping[str, Any], task: str) -> tuple[str, str]:
    name = str((config.get("architectures") or [""])[0])
    if task in ("classify", "regress") or name.endswith("ForSequenceClassification"):
        return "AutoModelForSequenceClassification", "text-classification"
    if config.get("is_encoder_decoder") or (not config and task == "seq2seq"):
        return "AutoModelForSeq2SeqLM", "text-generation"
    if name.endswith("ForMaskedLM"):
        return "AutoModelForMaskedLM", "fill-mask"
    if name.endswith("ForPreTraining"):
        return "AutoModelForPreTraining", "fill-mask"
    return "AutoModelForCausalLM", "text-generation"


def _used(folder: Path, facts: CardFacts, auto: str, config: Mapping[str, Any], context: int) -> list[str]:
    if auto == "AutoModelForSequenceClassification":
        return _classified(facts, config, context, (folder / "adapter_config.json").exists())
    if auto in ("AutoModelForMaskedLM", "AutoModelForPreTraining"):
        logits = "logits" if auto == "AutoModelForMaskedLM" else "prediction_logits"
        return [
            'inputs = tokenizer(f"One {tokenizer.mask_token} is missing.", return_tensors="pt")',
            'place = (inputs["input_ids"][0] == tokenizer.mask_token_id).nonzero()[0, 0]',
            f"print(tokenizer.decode(model(**inputs).{logits}[0, place].argmax()))",
        ]
    new = min(MOST_NEW, max(context // 2, 1))
    after = "" if auto == "AutoModelForSeq2SeqLM" else '[inputs["input_ids"].shape[1] :]'
    return [
        *_prompted(folder, facts, auto),
        f"output = model.generate(**inputs, max_new_tokens={new}, do_sample=True, top_p=0.95)",
        f"print(tokenizer.decode(output[0]{after}, skip_special_tokens=True))",
    ]


def _classified(facts: CardFacts, config: Mapping[str, Any], context: int, adapter: bool) -> list[str]:
    decoder = not str((config.get("architectures") or ["Bert"])[0]).startswith(("Bert", "Roberta", "Deberta", "Electra"))
    text = 'f"A text to judge.{tokenizer.eos_token}"' if decoder else '"A text to judge."'
    lines = [f'inputs = tokenizer({text}, return_tensors="pt", truncation=True, max_length={context})']
    if facts.section.get("task") == "regress":
        return [*lines, "print(model(**inputs).logits[0, 0].item())"]
    classes = [plain(one) for one in facts.report.get("classes") or ()]
    if adapter and 0 < len(classes) <= MOST_CLASSES:  # the base's config does not know them
        return [*lines, f"classes = {classes!r}", "print(classes[int(model(**inputs).logits.argmax())])"]
    found = "int(model(**inputs).logits.argmax())"
    return [*lines, f"print({found if adapter else f'model.config.id2label[{found}]'})"]


def _prompted(folder: Path, facts: CardFacts, auto: str) -> list[str]:
    """The lines that make `inputs` as training made them."""
    task, template = facts.section.get("task"), facts.section.get("prompt")
    asks = 'inputs = tokenizer(prompt, return_tensors="pt", return_token_type_ids=False)'
    if task == "infill" or facts.report.get("objective") == "fill_in_middle":
        vocabulary = _tokens(folder)
        before, behind, middle = next((names for names in INFILLS if vocabulary.issuperset(names)), INFILLS[0])
        return [f"prompt = {f'{before}It was{behind} cold.{middle}'!r}", asks]
    if facts.report.get("objective") == "span_corruption":
        return ['prompt = "It was <extra_id_0> cold."', asks]
    if facts.report.get("chat") and _chats(folder):
        return [
            'messages = [{"role": "user", "content": "A question."}]',
            'inputs = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)',
            'inputs.pop("token_type_ids", None)',
        ]
    control = facts.section.get("control")
    safe = str(control.get("safe") or "") if isinstance(control, Mapping) and auto == "AutoModelForCausalLM" else ""
    if not template:
        return [f"prompt = {f'{safe}Once'!r}", asks]
    names = fields_of(str(template))
    try:
        prompt = fill(str(template), {name: name.upper() for name in names})
    except MissingField:
        prompt = str(template)
    stands = ", ".join(f"{name.upper()}: your {name}" for name in names)
    return [f"prompt = {safe + prompt!r}" + (f"  # {plain(stands)}" if stands else ""), asks]


def _chats(folder: Path) -> bool:
    return (folder / "chat_template.jinja").exists() or bool(json_of(folder / "tokenizer_config.json").get("chat_template"))


def _tokens(folder: Path) -> frozenset[str]:
    added = json_of(folder / "tokenizer.json").get("added_tokens") or ()
    return frozenset(str(one.get("content")) for one in added if isinstance(one, Mapping))
