"""The facts of a model into the sections of its card."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import yaml

from aigc import __version__, runs
from aigc.card import markdown as md
from aigc.card.corpus import corpus
from aigc.card.facts import Base, CardFacts, Data
from aigc.card.front import result_of
from aigc.card.loading import Use
from aigc.licences import Licence

__all__ = ["Known", "sections"]

SHOWN = 20  # rows of a table that data make long
TASKS = {
    "language_model": "continues text",
    "instruct": "answers a prompt",
    "classify": "tells the class of a text",
    "regress": "tells a number of a text",
    "seq2seq": "turns one text into another",
    "preference": "answers a prompt as people preferred it",
    "infill": "fills in what is missing in a text",
    "causal": "continues text",
    "masked": "tells words that are hidden",
    "masked+next_sentence": "tells words that are hidden, and whether one text follows another",
    "masked+sentence_order": "tells words that are hidden, and whether two texts stand in their order",
    "span_corruption": "fills in spans that are hidden; it is meant to be finetuned",
    "denoising": "repairs a damaged text; it is meant to be finetuned",
    "next_segment": "continues text",
    "fill_in_middle": "continues text, and fills in what is missing in it",
}
METRICS = {
    "bits_per_byte": "bits per byte",
    "sequence_loss": "loss per document",
    "sequence_accuracy": "documents told right",
    "token_accuracy": "tokens told right",
    "reward_margin": "reward margin (nats)",
    "pushed_down": "log-probability of what is pushed down (nats)",
    "macro_f1": "macro-F1",
    "rouge1": "ROUGE-1",
    "rouge2": "ROUGE-2",
    "rougeL": "ROUGE-L",
    "bleu": "BLEU",
    "chrf": "chrF",
    "rmse": "RMSE",
}


@dataclass(frozen=True)
class Known:
    """All that the sections tell of."""

    facts: CardFacts
    use: Use
    data: Data
    base: Base | None
    licence: Licence  # of the result
    cautions: Sequence[str]
    clean: Mapping[str, Any]  # reports of the stages
    split: Mapping[str, Any]


def sections(known: Known) -> str:
    """The card below its front matter."""
    facts = known.facts
    parts = [f"# {md.inline(facts.run.name)}: {md.inline(facts.stage)}"]
    if known.cautions:
        parts.append("\n".join(["> [!WARNING]", *(f"> - {md.inline(line, 1000)}" for line in known.cautions)]))
    parts.append(_what(known))
    bodies = {
        "How to load it": md.block(known.use.code, "python"),
        "Base model": _base(known),
        "Data": corpus(known.data, known.clean, known.split, known.facts.report),
        "Licence": _licence(known),
        "Training": _training(known),
        "Figures": _figures(known),
        "Ethics": _ethics(known),
        "Limits": _limits(known),
        "Provenance": _provenance(known),
    }
    return "\n\n".join([*parts, *(f"## {title}\n\n{body}" for title, body in bodies.items() if body)]) + "\n"


def _what(known: Known) -> str:
    facts, report = known.facts, known.facts.report
    task = str(facts.section.get("task") or "")
    if task in ("", "language_model"):  # what its family is pretrained on
        task = str(report.get("objective") or task)
    does = TASKS.get(task) or f"was trained for {md.inline(task)}"
    size = f"{md.number(report['parameters'])} parameters" if "parameters" in report else "parameters not counted"
    trained = report.get("trained_parameters")
    if trained is not None and trained != report.get("parameters"):
        size += f", of which {md.number(trained)} were trained"
    form = "adapters (peft), which need the base model" if known.use.adapter else "a plain checkpoint"
    if facts.section.get("merge"):
        form += " with the adapters added in"
    begun = "trained from nothing" if known.base is None else f"finetuned from {md.inline(known.base.name)}"
    family = md.inline(report.get("family") or "Transformer")
    lines = [f"A {family} model that {does}: {size}; {form}; {begun} with aigc."]
    classes = [str(one) for one in report.get("classes") or ()]
    if classes:
        names = ", ".join(md.inline(one) for one in classes[:SHOWN])
        lines.append(f"Classes: {names}" + (f" and {len(classes) - SHOWN:,} more." if len(classes) > SHOWN else "."))
    return "\n\n".join(lines)


def _base(known: Known) -> str:
    base = known.base
    if base is None:
        return "None: the weights began at random."
    name = f"[{md.inline(base.name)}](https://huggingface.co/{base.hub})" if base.hub else md.inline(base.name)
    where = " (the pretrain stage of the same project, on the same data)" if base.trained_here else ""
    lines = [f"{name}{where}", f"licence: {md.inline(base.licence.name)} ({', '.join(base.licence.kinds)})"]
    lines += [f"sha256 of {md.inline(file)}: `{value}`" for file, value in list(base.hashes.items())[:SHOWN]]
    return md.items(lines)


def _licence(known: Known) -> str:
    licence = known.licence
    kinds = ", ".join(licence.kinds)
    lines = [
        f"The strictest of what is known of the data{' and the base model' if known.base is not None else ''}: "
        f"**{md.inline(licence.name)}** ({kinds}).",
        "It is put together from what the documents and the base model say of themselves, unchecked, and is no legal advice.",
    ]
    if licence.note:
        lines.insert(1, f"Note: {md.inline(licence.note, 400)}.")
    return " ".join(lines)


def _training(known: Known) -> str:
    report, section = known.facts.report, _public(known.facts.section)
    facts = {
        "steps": report.get("steps"),
        "precision": report.get("precision"),
        "processes": report.get("processes"),
        "stopped early": report.get("stopped_early"),
        "chat template": report.get("chat"),
        "data format": report.get("format"),
    }
    told = ", ".join(f"{name}: {md.inline(value)}" for name, value in facts.items() if isinstance(value, str | int | float))
    written = yaml.safe_dump({known.facts.stage: section}, allow_unicode=True, sort_keys=False, width=120)
    return f"{told}\n\n{md.block(written, 'yaml')}".strip()


def _public(value: Any) -> Any:
    """The same value without what a card does not tell: the way to a file, and the terms of a blocklist."""
    if isinstance(value, Mapping):
        kept = {str(key): one for key, one in value.items() if one is not None and one != [] and one != {}}
        hidden = {key: f"{len(one)} terms" for key, one in kept.items() if key in ("words", "allow") and isinstance(one, list)}
        return {key: hidden[key] if key in hidden else _public(one) for key, one in kept.items()}
    if isinstance(value, list | tuple):
        return [_public(one) for one in value]
    if isinstance(value, str) and value.startswith(("/", "~", "./", "../")) and "\n" not in value:
        return PurePath(value).name
    return value


def _figures(known: Known) -> str:
    parts = []
    result = result_of(known.facts.report)
    if result is not None:
        names = [name for name in result.end if name in result.start] + [name for name in result.end if name not in result.start]
        of_tokens = "bits_per_byte" in result.end
        titles = METRICS | ({"accuracy": "tokens told right", "loss": "loss (nats per token)"} if of_tokens else {})
        rows = [
            (titles.get(name, name.replace("_", " ")), _shown(result.start.get(name)), _shown(result.end[name])) for name in names
        ]
        before = "random weights" if known.base is None else "base model"
        documents = (known.facts.report.get("validation") or {}).get("documents")
        size = f", {documents:,} documents" if isinstance(documents, int) else ""
        parts.append(f"On the validation split{size}: before training, and with the weights that are here (step {result.step:,}).")
        parts.append(md.table(["", f"before ({before})", "after"], rows))
    test = known.facts.test
    if test and test.get("figures"):
        parts.append(_test(test))
    else:
        parts.append("The test split was not read: `aigc evaluate` had not been run when this was written.")
    return "\n\n".join(parts)


def _test(test: Mapping[str, Any]) -> str:
    rows = []
    for one in test["figures"]:
        ends = f"{_shown(one.get('low'))} to {_shown(one.get('high'))}" if one.get("low") is not None else "-"
        name = str(one.get("name"))
        rows.append((METRICS.get(name, name.replace("_", " ")), _shown(one.get("baseline")), _shown(one.get("value")), ends))
    count = test.get("documents")
    size = f", {count:,} documents" if isinstance(count, int) else ""
    split = md.inline(test.get("split") or "test")
    return f"On the {split} split{size}:\n\n" + md.table(["", "before", "after", "95 % interval"], rows)


def _shown(value: Any) -> str:
    return md.number(float(value)) if isinstance(value, int | float) else "-"


def _ethics(known: Known) -> str:
    section, report = known.facts.section, known.facts.report
    parts = []
    for name, title in (("penalise", "Learned less, not at all, or pushed down"), ("control", "Control tokens")):
        if section.get(name):
            written = yaml.safe_dump(_public(section[name]), allow_unicode=True, sort_keys=False, width=120)
            parts.append(f"{title}:\n\n{md.block(written, 'yaml')}")
    flagged = report.get("penalties") or {}
    if flagged.get("penalties"):
        columns = ("rule", "by", "weight", "documents", "spans", "characters")
        rows = [tuple(one.get(name, "-") for name in columns) for one in flagged["penalties"]]
        touched, documents = int(flagged.get("touched") or 0), int(flagged.get("documents") or 0)
        parts.append(f"Flagged in {touched:,} of {documents:,} documents:\n\n" + md.table(columns, rows))
    marked = _flat(report.get("control") or {})
    if marked:
        parts.append(md.table(["control token", "documents"], [(name, int(count)) for name, count in marked.items()]))
    probes = report.get("probes") or {}
    before, after = (_flat(probes.get(name) or {}) for name in ("before", "after"))
    if before or after:
        rows = [(name, _shown(before.get(name)), _shown(after.get(name))) for name in dict.fromkeys([*before, *after])]
        parts.append("Probes on a fixed set of prompts:\n\n" + md.table(["", "before", "after"], rows))
    else:
        parts.append("Toxicity and fairness were not probed: nothing is known of them.")
    return "\n\n".join(parts)


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """Numbers of nested mappings, by the path to each."""
    found: dict[str, float] = {}
    for key, one in value.items():
        if isinstance(one, Mapping):
            found |= _flat(one, f"{prefix}{key}, ")
        elif isinstance(one, int | float) and not isinstance(one, bool):
            found[f"{prefix}{key}"] = one
    return found


def _limits(known: Known) -> str:
    facts, report = known.facts, known.facts.report
    lines = []
    size = report.get("parameters")
    if isinstance(size, int) and size < 1_000_000_000:
        lines.append(f"It is small: {size:,} parameters. Expect mistakes, and less knowledge than of large models.")
    lines.append(
        f"It has seen {known.data.documents:,} documents in training of this stage; what is unlike them, it was not tested on."
    )
    lines.append(f"It was trained on at most {int(facts.section.get('context') or 0):,} tokens at once.")
    told = report.get("training") or {}
    for name, what in (("truncated", "were longer, and their tails are not learned"), ("dropped", "could not be learned at all")):
        if told.get(name):
            lines.append(f"{int(told[name]):,} documents {what}.")
    if not facts.test:
        lines.append("Settings and weights may have been chosen by the validation split: its figures then flatter them.")
    if known.use.pipeline == "text-generation":
        lines.append(
            "What it writes may be wrong, harmful or a copy of training text: none of this was measured unless it stands above."
        )
    return md.items(lines)


def _provenance(known: Known) -> str:
    facts = known.facts
    lines = [f"made by `aigc {facts.stage}`, aigc {__version__}, seed {facts.seed}"]
    for stage in ("clean", "split"):
        path = facts.run / stage / "manifest.json"
        if path.exists():
            lines.append(f"sha256 of {stage}/manifest.json: `{runs.sha256(path)}`")
    inputs = (runs.manifest_of(facts.run / "clean") or {}).get("inputs") or []
    rows = [(_called(str(one.get("path"))), one.get("size") or "-", str(one.get("sha256") or "-")) for one in inputs[:SHOWN]]
    more = f"\n\nAnd {len(inputs) - SHOWN:,} more." if len(inputs) > SHOWN else ""
    return md.items(lines) + (f"\n\n{md.table(['input', 'bytes', 'sha256'], rows)}{more}" if rows else "")


def _called(path: str) -> str:
    return path if path.startswith("hub:") or path == "-" else Path(path).name
