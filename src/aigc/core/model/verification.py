"""A model of the hub into the certainty that it computes by sample what it computes by itself."""

from itertools import pairwise

import torch
from transformers import PreTrainedModel

from aigc.core.batches.batch import Batch, collate
from aigc.core.batches.sample import Sample
from aigc.core.model.attention import unpacked
from aigc.core.model.bodies import hidden_states
from aigc.core.model.head import head, sequence_scores
from aigc.errors import AigcError

__all__ = ["verify"]

LENGTHS = (9, 4, 17)
TOLERANCE = 1e-3  # of the largest logit, in fp32; 30 times that in half precision


@torch.no_grad()
def verify(model: PreTrainedModel, *, context: int) -> None:
    """Compare logits, or scores, of random samples in one flat batch with those of the model's own forward on each of them.

    Args:
        context: the longest sample that will be trained on.

    Raises:
        AigcError: they differ, or the model does not see as far as the context.
    """
    name = model.config.model_type
    _window(model, context)
    lengths = [min(length, context) for length in LENGTHS]
    training = model.training
    model.eval()
    try:
        batch = _random(model, lengths)
        hidden = hidden_states(model, batch)
        whole = model.get_output_embeddings() is None  # it tells of whole samples
        logits = sequence_scores(model, hidden, batch) if whole else head(model, hidden).logits()
        bounds = batch.bounds[: len(LENGTHS) + 1].tolist()
        for sample, (begin, end) in enumerate(pairwise(bounds)):
            _compare(name, logits[sample] if whole else logits[begin:end], _own(model, batch, begin, end))
    except (TypeError, AssertionError, NotImplementedError) as error:
        raise AigcError(f"a {name} model cannot be trained on packed samples: {error}") from error
    finally:
        model.train(training)


def _window(model: PreTrainedModel, context: int) -> None:
    window = getattr(model.config, "sliding_window", None)
    used = getattr(model.config, "use_sliding_window", True)
    if window is not None and used and window < context:
        raise AigcError(f"the model sees {window:,} tokens back only: lower context from {context:,} to that")


def _random(model: PreTrainedModel, lengths: list[int]) -> Batch:
    generator = torch.Generator().manual_seed(0)
    paired = model.config.is_encoder_decoder
    samples = []
    for number, length in enumerate(lengths):
        read, source = (torch.randint(0, model.config.vocab_size, (n,), generator=generator).numpy() for n in (length, length + 2))
        samples.append(Sample(number, read, read, source_ids=source if paired else None))
    places = sum(lengths) + 2
    batch = collate(samples, places=places, source_places=places + 2 * len(lengths) if paired else 0, pad=0)
    return batch.to(model.device)


def _own(model: PreTrainedModel, batch: Batch, begin: int, end: int) -> torch.Tensor:
    ids = batch.input_ids[None, begin:end]
    with unpacked(model):
        if batch.source_ids is None or batch.source_bounds is None:
            logits: torch.Tensor = model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False).logits
            return logits[0]
        sample = int((batch.bounds == begin).nonzero()[0])
        source = batch.source_ids[None, batch.source_bounds[sample] : batch.source_bounds[sample + 1]]
        logits = model(input_ids=source, decoder_input_ids=ids, attention_mask=torch.ones_like(source), use_cache=False).logits
        return logits[0]


def _compare(name: str, ours: torch.Tensor, theirs: torch.Tensor) -> None:
    most = TOLERANCE * (1 if theirs.dtype == torch.float32 else 30) * float(theirs.abs().max())
    if (away := float((ours - theirs).abs().max())) > most:
        raise AigcError(
            f"a {name} model cannot be trained on packed samples: its logits are {away:.2g} away from those of its own forward "
            f"(allowed: {most:.2g})"
        )
