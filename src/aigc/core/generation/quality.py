"""An engine and the model it stands for into figures of how near it comes, on bundled texts, and a verdict."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
import torch
from transformers import PreTrainedModel

from aigc.core.generation.stepper import Feed, Stepper
from aigc.core.model.attention import unpacked
from aigc.core.tokens.text import TextCodec

__all__ = ["Quality", "measure"]

LANGUAGES = ("en", "zh")
WINDOWS = 4  # of each language
WINDOW = 192  # tokens


@dataclass(frozen=True)
class Quality:
    """Perplexities by language and how often the likeliest token is the same."""

    perplexity: Mapping[str, float]  # exp of the mean nats of a token
    reference: Mapping[str, float]  # of the model itself in fp32
    agreement: float  # 0 to 1

    @property
    def deviation(self) -> float:
        """The largest relative difference of a perplexity."""
        found = (abs(self.perplexity[language] / self.reference[language] - 1.0) for language in self.reference)
        return max(one if np.isfinite(one) else float("inf") for one in found)

    def __str__(self) -> str:
        parts = [f"{name} {self.perplexity[name]:.3f} (fp32 {self.reference[name]:.3f})" for name in self.reference]
        return f"perplexity {', '.join(parts)}, {self.agreement:.1%} of likeliest tokens the same"


def measure(stepper: Stepper, model: PreTrainedModel, codec: TextCodec) -> Quality:
    """Let both read the same texts; the stepper in two pieces each, so that what it remembers is measured with it.

    Args:
        stepper: its first slot is used.
        model: in fp32.
    """
    training = model.training
    model.eval()
    ours: dict[str, list[torch.Tensor]] = {}
    theirs: dict[str, list[torch.Tensor]] = {}
    same: list[torch.Tensor] = []
    for language in LANGUAGES:
        for ids in _windows(language, codec, min(WINDOW, stepper.context)):
            half = max(1, len(ids) // 2)
            stepper.begin(0)
            pieces = [ids[:half], ids[half:]]
            logits_NV = torch.cat([stepper.step([Feed(0, piece, len(piece))]).clone() for piece in pieces])
            with unpacked(model), torch.inference_mode():
                read = torch.tensor([ids], device=model.device)
                reference_NV = model(input_ids=read, use_cache=False).logits[0].float().cpu()
            following = torch.tensor(ids[1:])
            for found, one_NV in ((ours, logits_NV), (theirs, reference_NV)):
                found.setdefault(language, []).append(torch.nn.functional.cross_entropy(one_NV[:-1], following, reduction="none"))
            same.append(logits_NV.argmax(-1) == reference_NV.argmax(-1))
    model.train(training)
    return Quality(
        {language: float(torch.cat(nats).double().mean().exp()) for language, nats in ours.items()},
        {language: float(torch.cat(nats).double().mean().exp()) for language, nats in theirs.items()},
        float(torch.cat(same).double().mean()),
    )


def _windows(language: str, codec: TextCodec, length: int) -> list[list[int]]:
    """The beginnings of the longest stories of the bundled corpus that have no fault."""
    folder = files("aigc") / "samples"
    faults = json.loads((folder / "key" / "faults.json").read_text("utf-8"))
    rows = [json.loads(line) for line in (folder / "stories.jsonl").read_bytes().splitlines()]
    texts = [row["text"] for row in rows if row["language"] == language and faults[row["id"]]["fault"] == "none"]
    longest = sorted(texts, key=len, reverse=True)[:WINDOWS]
    return [[*codec.start, *ids][:length] for ids in codec.encode(longest)]
