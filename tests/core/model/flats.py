"""Tiny models of every family, and flat batches of random tokens for them."""

import numpy as np
import torch
from transformers import PreTrainedModel

from aigc.core.batches.batch import Batch, collate
from aigc.core.batches.sample import Sample
from aigc.core.model import families

__all__ = ["CLASSIFIERS", "CONTEXT", "IDS", "LENGTHS", "NAMES", "VOCABULARY", "batch_of", "bounds_of", "model_of", "samples_of"]

VOCABULARY, CONTEXT = 101, 48
IDS = families.SpecialIds(start=0, end=1, pad=2)
LENGTHS = (5, 1, 11, 7)
NAMES = [*families.FAMILIES, "bert+pairs"]
CLASSIFIERS = ["bert+classes", "gpt2+classes", "llama+classes"]  # of three classes


def model_of(name: str, *, sharpen: float = 1.0, **numbers: float) -> PreTrainedModel:
    """2 layers of width 32; `sharpen` multiplies the matrices, so that positions and neighbours matter."""
    family, _, told = name.partition("+")
    torch.manual_seed(0)
    shape = families.Shape(**({"layers": 2, "width": 32, "heads": 2} | numbers))  # type: ignore[arg-type]
    classes = 3 if told == "classes" else None
    model = families.build(
        family, shape=shape, vocabulary=VOCABULARY, ids=IDS, context=CONTEXT, pairs=told == "pairs", classes=classes
    )
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() >= 2:
                parameter *= sharpen
    return model.eval()


def samples_of(name: str, lengths: tuple[int, ...] = LENGTHS, seed: int = 0) -> list[Sample]:
    """Random samples such as the family takes; of the labels, some are left out and some weigh less. Classifiers have none."""
    rng = np.random.default_rng(seed)
    paired = name in ("t5", "bart")
    made = []
    for number, length in enumerate(lengths):
        ids, labels = rng.integers(3, VOCABULARY, (2, length))
        labels[rng.random(length) < (1 if name in CLASSIFIERS else 0.3)] = -100
        made.append(
            Sample(
                number,
                ids,
                labels,
                source_ids=rng.integers(3, VOCABULARY, int(rng.integers(1, 12))) if paired else None,
                token_types=(np.arange(length) > length // 2).astype(np.int64) if name.startswith("bert") else None,
                target={"bert+pairs": number % 2, **dict.fromkeys(CLASSIFIERS, number % 3)}.get(name),
                weights=rng.random(length).astype(np.float32),
            )
        )
    return made


def batch_of(samples: list[Sample], *, spare: int = 3) -> Batch:
    """A flat batch with some places of padding, on both sides."""
    places = sum(len(sample.input_ids) for sample in samples) + spare
    source = sum(len(sample.source_ids) for sample in samples if sample.source_ids is not None)
    return collate(samples, places=places, source_places=source + spare if source else 0, pad=IDS.pad)


def bounds_of(lengths: list[int], places: int, entries: int) -> torch.Tensor:
    """Bounds as a batch has them: what is left over is `places`."""
    ends = np.cumsum([0, *lengths])
    bounds = np.full(entries + 1, places, np.int32)
    bounds[: len(ends)] = ends
    return torch.from_numpy(bounds)
