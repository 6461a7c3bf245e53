"""`aigc pretrain`: a tokenizer and a Transformer from nothing, on the training split."""

from pathlib import Path

import torch
from transformers import PreTrainedModel

from aigc import console, lineage
from aigc.core.model import architectures
from aigc.core.tokens.text import TextCodec, train_bpe
from aigc.core.training.corpus import examples
from aigc.learning import train_stage
from aigc.schema import Project

__all__ = ["run"]


def run(project: Project) -> None:
    """Train on the project's training split."""
    sources = lineage.sources(project, "pretrain")
    section = project.pretrain
    assert section is not None

    def build(split: Path, device: torch.device) -> tuple[PreTrainedModel, TextCodec]:
        texts = (
            example.completion for batch in examples(sorted(split.glob("train-*.parquet")), section.document) for example in batch
        )
        codec = train_bpe(texts, vocabulary=section.tokenizer.vocabulary, context=section.context)
        if codec.vocabulary < section.tokenizer.vocabulary:
            console.warn(f"the text has pieces for {codec.vocabulary:,} tokens only, of {section.tokenizer.vocabulary:,} asked for")
        numbers = section.model.model_dump()
        model = architectures.build(**numbers, vocabulary=codec.vocabulary, context=section.context, end=codec.end)
        return model.to(device), codec

    train_stage(project, "pretrain", section, sources, build=build, templates=(section.document, ""), whole=False)
