"""Losses of preferences, TRL's and ours, on the same batch and model: `python scripts/compare_trl.py`, where trl 1.16 is installed.

DPO and IPO are those of TRL's DPOTrainer, ORPO that of its ORPOTrainer. The trainers make the batch from texts, ours is made of the
same token ids. TRL's ORPO divides the chosen completions' nats by all tokens of a batch, where ours is the mean over pairs, and it
learns the prompts too: so ORPO is compared pair by pair, behind prompts of no token but the start.
"""

import logging
import sys
import tempfile
import warnings
from typing import Any

import numpy as np
import torch
from datasets import Dataset, disable_progress_bars
from transformers import PreTrainedModel
from trl import DPOConfig, DPOTrainer
from trl.experimental.orpo import ORPOConfig, ORPOTrainer

from aigc.core.batches.batch import Batch, collate
from aigc.core.batches.sample import IGNORED, Sample
from aigc.core.model import families
from aigc.core.model.learner import Learner
from aigc.core.model.preference import Kind, Preference, log_probabilities
from aigc.core.tokens.text import TextCodec
from aigc.core.tokens.training import train

BETA, CONTEXT, WITHIN = 0.3, 64, 1e-4
ROWS = [
    ("The river", " is high today.", " 春天来了。"),
    ("She opened", " the window and listened to the rain.", " it."),
    ("今天", "的天气很好，我们去公园散步吧。", "不知道。"),
    ("A small model", " learns a language, one token at a time.", " learns nothing at all from what it was given to read."),
]
Difference = tuple[str, float, float, float]  # what, TRL's loss, ours, the largest difference of a gradient


def main() -> int:
    """Print the losses; 1 where they differ."""
    warnings.simplefilter("ignore", FutureWarning)
    disable_progress_bars()
    logging.disable(logging.WARNING)
    codec = train([part for row in ROWS for part in row] * 8, kind="bpe", family="decoder", vocabulary=400, context=CONTEXT)
    found = [preferences("dpo", "sigmoid", codec), preferences("ipo", "ipo", codec), odds(codec)]
    print(f"{'':6}{'TRL':>12}{'ours':>12}{'difference':>12}{'of gradients':>14}")
    for name, theirs, ours, apart in found:
        print(f"{name:6}{theirs:12.6f}{ours:12.6f}{abs(theirs - ours):12.1e}{apart:14.1e}")
    return int(any(abs(theirs - ours) > WITHIN or apart > WITHIN for _, theirs, ours, apart in found))


def preferences(kind: Kind, theirs: str, codec: TextCodec) -> Difference:
    """DPO or IPO of four pairs, with another model for the reference."""
    model, reference = model_of(codec, 0), model_of(codec, 1)
    with tempfile.TemporaryDirectory() as folder:
        config = DPOConfig(beta=BETA, loss_type=theirs, per_device_train_batch_size=len(ROWS), **_plain(folder))
        trainer = DPOTrainer(model, reference, config, train_dataset=_table(), processing_class=codec.tokenizer)
        inputs = next(iter(trainer.get_train_dataloader()))
        loss = trainer._compute_loss(trainer.model, inputs, False)
        loss.backward()
    ids, learned = inputs["input_ids"], inputs["completion_mask"].bool()
    chosen, rejected = torch.arange(2 * len(ROWS)).chunk(2)  # TRL lays all chosen ones first
    order = torch.stack([chosen, rejected], 1).flatten().tolist()
    batch = batch_of([_sample(ids[row], learned[row], inputs["attention_mask"][row], row in rejected) for row in order], codec)
    batch = Batch(**vars(batch) | {"references": log_probabilities(reference, batch)})
    return kind, loss.item(), *ours(model, Preference(kind, BETA), batch)


def odds(codec: TextCodec) -> Difference:
    """ORPO, the mean over pairs."""
    model = model_of(codec, 0)
    with tempfile.TemporaryDirectory() as folder:
        config = ORPOConfig(beta=BETA, per_device_train_batch_size=1, max_length=CONTEXT, **_plain(folder))
        rows = [{"prompt": "", "chosen": chosen, "rejected": rejected} for _, chosen, rejected in ROWS]
        trainer = ORPOTrainer(model, config, train_dataset=Dataset.from_list(rows), processing_class=codec.tokenizer)
        losses, samples = [], []
        for inputs in trainer.get_train_dataloader():
            losses.append(trainer.get_batch_loss_metrics(trainer.model, inputs)[0])
            for name in ("chosen", "rejected"):
                learned, read = inputs[f"{name}_labels"][0] != IGNORED, inputs[f"{name}_attention_mask"][0]
                samples.append(_sample(inputs[f"{name}_input_ids"][0], learned, read, name == "rejected"))
        loss = torch.stack(losses).mean()
        loss.backward()
    return "orpo", loss.item(), *ours(model, Preference("orpo", BETA), batch_of(samples, codec))


def ours(model: PreTrainedModel, preference: Preference, batch: Batch) -> tuple[float, float]:
    """The loss, and how far a gradient is from the one that TRL has left in the model."""
    gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    losses = Learner(model, preference=preference)(batch, token_total=1.0, sequence_total=len(batch.documents))
    losses.loss.backward()
    apart = max((p.grad - gradients[name]).abs().max().item() for name, p in model.named_parameters() if p.grad is not None)
    return losses.loss.item(), apart


def model_of(codec: TextCodec, seed: int) -> PreTrainedModel:
    """A small GPT-2 whose probabilities are far apart, without dropout."""
    torch.manual_seed(seed)
    shape, ids = families.Shape(2, 32, 2), families.SpecialIds.of(codec)
    model = families.build("gpt2", shape=shape, vocabulary=codec.vocabulary, ids=ids, context=CONTEXT)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 3.0 if parameter.dim() >= 2 else 1.0
    return model


def batch_of(samples: list[Sample], codec: TextCodec) -> Batch:
    """All in one flat batch."""
    return collate(samples, places=sum(len(sample.input_ids) for sample in samples), pad=codec.pad)


def _sample(ids: torch.Tensor, learned: torch.Tensor, read: torch.Tensor, rejected: bool) -> Sample:
    """A row of TRL's batch, padding left out: each token says the next one where that is of the completion."""
    kept = read.bool()
    ids, learned = ids[kept], learned[kept]
    labels = torch.where(learned[1:], ids[1:], IGNORED)
    return Sample(0, ids[:-1].numpy().astype(np.int64), labels.numpy().astype(np.int64), target=float(not rejected), mate=rejected)


def _table() -> Dataset:
    return Dataset.from_list([{"prompt": prompt, "chosen": chosen, "rejected": other} for prompt, chosen, other in ROWS])


def _plain(folder: str) -> dict[str, Any]:
    return {"output_dir": folder, "report_to": "none", "use_cpu": True, "bf16": False, "gradient_checkpointing": False}


if __name__ == "__main__":
    sys.exit(main())
