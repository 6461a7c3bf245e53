"""The pretrain section into its task: a tokenizer, a Transformer of random weights, and what it learns."""

from pathlib import Path

from transformers import AutoTokenizer, PreTrainedModel

from aigc import console
from aigc.core.batches.objectives import table as objectives
from aigc.core.batches.objectives.objective import Objective, decoder_start
from aigc.core.model import checkpoints, families
from aigc.core.tokens.report import token_report
from aigc.core.tokens.text import TextCodec
from aigc.core.tokens.training import train
from aigc.core.training.corpus import templates, texts
from aigc.preparation import Beginning, Task
from aigc.schema import Pretrain, Project

__all__ = ["pretraining"]

SENTINELS = 100  # as T5's


def pretraining(project: Project) -> Task:
    """A tokenizer and a Transformer from nothing."""
    section = project.pretrain
    assert section is not None

    def begin(split: Path, folder: Path) -> Beginning:
        tables = sorted(split.glob("train-*.parquet"))
        codec = _codec(section, tables, folder / "tokenizer")
        facts = {"objective": section.learned.name, "tokenizer": token_report(codec, texts(tables, section.document))}
        read = templates(section.document)
        return Beginning(_model(section, codec), codec, _objective(section, codec), read, facts=facts)

    def end(_split: Path, folder: Path) -> Beginning:
        model, codec = checkpoints.load(str(folder), kinds=("decoder", "encoder", "encoder_decoder"))
        facts = {"objective": section.learned.name}
        return Beginning(model, codec, _objective(section, codec), templates(section.document), facts=facts)

    return Task("pretrain", section, begin, end)


def _model(section: Pretrain, codec: TextCodec) -> PreTrainedModel:
    family, numbers = section.model.family, section.model.model_dump(exclude={"family"})
    model = families.build(
        family,
        shape=families.shape_of(family, **numbers, vocabulary=codec.vocabulary, context=section.context),
        vocabulary=codec.vocabulary,
        ids=families.SpecialIds.of(codec),
        context=section.context,
        pairs=section.learned.name.startswith("masked+"),
    )
    if model.config.is_encoder_decoder:  # what plain transformers begins with is what the objective does
        model.config.decoder_start_token_id = decoder_start(codec)
        assert model.generation_config is not None
        model.generation_config.decoder_start_token_id = decoder_start(codec)
    return model


def _objective(section: Pretrain, codec: TextCodec) -> Objective:
    name, parameters = section.learned.name, section.learned.model_dump(exclude={"name"})
    if name == "next_segment":
        parameters["source"] = families.FAMILIES[section.model.family].kind == "encoder_decoder"
    return objectives.build(name, codec, section.context, **parameters)


def _codec(section: Pretrain, tables: list[Path], folder: Path) -> TextCodec:
    """The tokenizer of a checkpoint, or one that is trained now and kept for the next try."""
    wanted, objective = section.tokenizer, section.learned.name
    if wanted.start is not None:
        return checkpoints.codec_of(wanted.start)
    if (folder / "tokenizer_config.json").exists():
        return TextCodec(AutoTokenizer.from_pretrained(folder))
    console.note(f"pretrain: training a tokenizer of {wanted.vocabulary:,} entries")
    codec = train(
        texts(tables, section.document),
        kind=wanted.kind,
        vocabulary=wanted.vocabulary,
        context=section.context,
        family=families.FAMILIES[section.model.family].kind,
        infill=objective == "fill_in_middle",
        sentinels=SENTINELS if objective == "span_corruption" else 0,
    )
    if codec.vocabulary < wanted.vocabulary:
        console.warn(f"the text has pieces for {codec.vocabulary:,} tokens only, of {wanted.vocabulary:,} asked for")
    partial = folder.with_name(".tokenizer")
    codec.save(partial)
    partial.rename(folder)
    return codec
