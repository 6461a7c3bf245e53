"""The facts of a model into the front matter of its card: what the Hugging Face hub sorts models by."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from aigc.card.facts import Base, CardFacts
from aigc.card.loading import Use
from aigc.licences import Licence

__all__ = ["Result", "front_matter", "languages_of", "result_of"]

HUB_METRICS = {  # ours into the ids of https://hf.co/metrics
    "accuracy": "accuracy",
    "macro_f1": "f1",
    "perplexity": "perplexity",
    "exact_match": "exact_match",
    "rouge1": "rouge",
    "rouge2": "rouge",
    "rougeL": "rouge",
    "bleu": "bleu",
    "chrf": "chrf",
    "mae": "mae",
    "r2": "r_squared",
    "pearson": "pearsonr",
    "spearman": "spearmanr",
}
LEAST_LANGUAGE = 0.01  # share of the documents from which on a language counts as the model's


@dataclass(frozen=True)
class Result:
    """The figures of the weights that were kept, and of those that training began with."""

    step: int
    start: Mapping[str, float]  # by metric, on the validation split
    end: Mapping[str, float]


def result_of(report: Mapping[str, Any]) -> Result | None:
    """The first evaluation and that of the result; None where nothing was evaluated.

    The result is the last step, or the best one where training stopped early; `result_step` in the report says it outright.
    """
    found = [one for one in report.get("validation_losses") or () if isinstance(one, Mapping) and "step" in one]
    if not found:
        return None
    wanted = report.get("result_step")
    lowest = min(found, key=lambda one: one.get("loss", math.inf))
    last = next((one for one in found if one["step"] == wanted), lowest if report.get("stopped_early") else found[-1])
    return Result(int(last["step"]), _numbers(found[0]), _numbers(last))


def _numbers(entry: Mapping[str, Any]) -> dict[str, float]:
    kept = {
        name: float(value)
        for name, value in entry.items()
        if name != "step" and isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }
    if "bits_per_byte" in kept and "loss" in kept and kept["loss"] < 50:
        kept["perplexity"] = math.exp(kept["loss"])
    return kept


def languages_of(clean: Mapping[str, Any]) -> dict[str, int]:
    """Documents that cleaning kept, by the language that it took them for."""
    found = {str(name): int(one.get("kept", 0)) for name, one in (clean.get("languages") or {}).items()}
    return dict(sorted(((name, kept) for name, kept in found.items() if kept), key=lambda item: (-item[1], item[0])))


def front_matter(
    facts: CardFacts, use: Use, *, base: Base | None, licence: Licence, clean: Mapping[str, Any], inputs: Sequence[str]
) -> str:
    """YAML between two lines of hyphens.

    Args:
        clean: the clean stage's report.
        inputs: what it read, as its manifest names it.
    """
    hub, named = licence.hub
    languages = languages_of(clean)
    whole = sum(languages.values())
    spoken = [name for name, kept in languages.items() if re.fullmatch("[a-z]{2,3}", name) and kept >= LEAST_LANGUAGE * whole]
    task = str(facts.section.get("task") or facts.report.get("objective") or "")
    tags = ["aigc", facts.stage, *([task.replace("_", "-")] if task else []), *(["lora"] if facts.section.get("lora") else [])]
    values: dict[str, Any] = {
        "language": spoken,
        "license": hub,
        "license_name": named,
        "library_name": "peft" if use.adapter else "transformers",
        "pipeline_tag": use.pipeline,
        "base_model": base.hub if base is not None else None,
        "base_model_relation": ("adapter" if use.adapter else "finetune") if base is not None and base.hub else None,
        "datasets": _datasets(inputs),
        "tags": tags,
    }
    results = [*_validated(facts, use), *_tested(facts, use)]
    if results:
        values["metrics"] = sorted({metric["type"] for one in results for metric in one["metrics"]})
        values["model-index"] = [{"name": f"{facts.run.name}-{facts.stage}", "results": results}]
    kept = {name: value for name, value in values.items() if value not in (None, [])}
    written = yaml.safe_dump(kept, allow_unicode=True, sort_keys=False, width=10_000)
    return f"---\n{written}---\n"


def _datasets(inputs: Sequence[str]) -> list[str]:
    """Data sets of the hub among the inputs: hub:owner/name[/config][:split]."""
    found = [re.fullmatch(r"hub:([\w.-]+/[\w.-]+)(?:[/:].*)?", one) for one in inputs]
    return list(dict.fromkeys(one[1] for one in found if one))


def _of(facts: CardFacts, use: Use, part: str, metrics: Sequence[tuple[str, float]]) -> list[dict[str, Any]]:
    known = [
        name for name in HUB_METRICS if name != "accuracy" or use.pipeline == "text-classification"
    ]  # that of tokens is another
    told = [{"type": HUB_METRICS[name], "name": name, "value": round(value, 6)} for name, value in metrics if name in known]
    if not told:
        return []
    data = {"type": facts.run.name, "name": f"{facts.run.name}, its own {part} split", "split": part}
    return [{"task": {"type": use.pipeline}, "dataset": data, "metrics": told}]


def _validated(facts: CardFacts, use: Use) -> list[dict[str, Any]]:
    result = result_of(facts.report)
    return _of(facts, use, "validation", sorted(result.end.items())) if result else []


def _tested(facts: CardFacts, use: Use) -> list[dict[str, Any]]:
    test = facts.test or {}
    figures = [(str(one["name"]), float(one["value"])) for one in test.get("figures") or () if one.get("value") is not None]
    return _of(facts, use, str(test.get("split") or "test"), figures)
