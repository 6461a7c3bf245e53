"""A stepper over a causal model into the certainty that it computes what the model does by itself."""

import torch
from transformers import PreTrainedModel

from aigc.core.generation.stepper import Feed, Stepper
from aigc.core.model.attention import unpacked
from aigc.errors import AigcError

__all__ = ["verify"]

LENGTHS = (11, 6)  # tokens of the sequences
TOLERANCE = 1e-3  # of the largest logit, in fp32; 30 times that in half precision


@torch.inference_mode()
def verify(stepper: Stepper, model: PreTrainedModel) -> None:
    """Let it read two sequences side by side and in pieces, and hold its logits against those of the model's own forward.

    Attention that is not transformers' own, states that are no keys and values, and logits that are scaled would otherwise show
    only as texts without sense.

    Args:
        stepper: its first slots are used, and empty afterwards.
        model: what it runs.

    Raises:
        AigcError: they differ, or the model cannot be run so at all.
    """
    generator = torch.Generator().manual_seed(0)
    lengths = [min(length, stepper.context) for length in LENGTHS[: stepper.slots]]
    rows = [torch.randint(0, model.config.vocab_size, (length,), generator=generator).tolist() for length in lengths]
    found: list[list[torch.Tensor]] = [[] for _ in rows]
    name = model.config.model_type
    try:
        for slot in range(len(rows)):
            stepper.begin(slot)
        for begin, end in ((0, 4), (4, 5), (5, max(lengths))):
            feeds = [Feed(slot, ids[begin:end], len(ids[begin:end])) for slot, ids in enumerate(rows) if ids[begin:end]]
            if feeds:
                pieces = torch.split(stepper.step(feeds), [feed.wanted for feed in feeds])
                for feed, logits_NV in zip(feeds, pieces, strict=True):
                    found[feed.slot].append(logits_NV.clone())
        for ids, ours in zip(rows, found, strict=True):
            with unpacked(model):
                theirs_NV = model(input_ids=torch.tensor([ids], device=model.device), use_cache=False).logits[0]
            most = TOLERANCE * (1 if theirs_NV.dtype == torch.float32 else 30) * float(theirs_NV.abs().max())
            if not (away := float((torch.cat(ours) - theirs_NV).abs().max())) <= most:
                raise AigcError(
                    f"engine torch cannot run a {name} model: its logits are {away:.2g} away from those of the model's own "
                    f"forward (allowed: {most:.2g})"
                )
    except (TypeError, AttributeError, AssertionError, NotImplementedError) as error:
        raise AigcError(f"engine torch cannot run a {name} model: {error}") from error
    for slot in range(len(rows)):
        stepper.begin(slot)
