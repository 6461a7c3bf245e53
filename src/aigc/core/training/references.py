"""What a model says of every completion before it is trained: the log-probabilities that a preference is measured from."""

from pathlib import Path

import numpy as np
import torch

from aigc.core.batches.shards import write_references
from aigc.core.batches.stream import Stream
from aigc.core.model.learner import Learner
from aigc.core.model.preference import log_probabilities

__all__ = ["refer"]


@torch.no_grad()
def refer(learner: Learner, stream: Stream, folder: Path) -> None:
    """Write the log-probabilities of a stream's completions beside its tokens, for whoever opens these next.

    They are measured once, before the first step, so that no second model is held in memory and no step has to run one.

    Args:
        stream: of one corpus, whose tokens lie in `folder`.
    """
    learner.eval()
    device = next(learner.parameters()).device
    [corpus] = stream.corpora
    values_N2 = np.full((corpus.pieces.shards.documents, 2), np.nan, np.float32)  # of the chosen and of the rejected completion
    for samples in stream.once():
        found = log_probabilities(learner, stream.collate(samples).to(device)).cpu().tolist()
        for sample, value in zip(samples, found, strict=False):
            values_N2[sample.document, 0 if sample.target else 1] = value
    write_references(folder, values_N2)
