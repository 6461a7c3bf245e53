"""The tables of objectives: their names and classes; and how one is built for a codec."""

from collections.abc import Callable
from dataclasses import fields

from aigc.core.batches.objectives.causal import Causal
from aigc.core.batches.objectives.denoising import Denoising
from aigc.core.batches.objectives.fill_in_middle import FillInMiddle
from aigc.core.batches.objectives.masked import Masked
from aigc.core.batches.objectives.next_segment import NextSegment
from aigc.core.batches.objectives.next_sentence import NextSentence
from aigc.core.batches.objectives.objective import Objective
from aigc.core.batches.objectives.preferred import Preferred
from aigc.core.batches.objectives.sentence_order import SentenceOrder
from aigc.core.batches.objectives.sequences import Sequences
from aigc.core.batches.objectives.source_target import SourceTarget
from aigc.core.batches.objectives.span_corruption import SpanCorruption
from aigc.core.tokens.codec import Vocabulary
from aigc.errors import AigcError

__all__ = ["JUDGED", "OBJECTIVES", "build"]

Class = (
    type[Causal]
    | type[Masked]
    | type[NextSentence]
    | type[SentenceOrder]
    | type[SpanCorruption]
    | type[Denoising]
    | type[NextSegment]
    | type[FillInMiddle]
    | type[Sequences]
    | type[SourceTarget]
    | type[Preferred]
)
OBJECTIVES: dict[str, Class] = {  # by their names in the project file
    "causal": Causal,
    "masked": Masked,
    "masked+next_sentence": NextSentence,
    "masked+sentence_order": SentenceOrder,
    "span_corruption": SpanCorruption,
    "denoising": Denoising,
    "next_segment": NextSegment,
    "fill_in_middle": FillInMiddle,
}
JUDGED: dict[str, Class] = {  # those of tasks whose documents come with an answer or a judgement
    "sequences": Sequences,
    "source_target": SourceTarget,
    "preferred": Preferred,
}


def build(name: str, codec: Vocabulary, context: int, /, **parameters: float | bool) -> Objective:
    """The objective of a name, for a codec, samples of at most `context` tokens and its own parameters.

    Raises:
        AigcError: there is no such objective or parameter, or the codec lacks the ids for it.
    """
    classes = OBJECTIVES | JUDGED
    if name not in classes:
        raise AigcError(f"there is no objective {name!r}: there are {', '.join(classes)}")
    known = [field.name for field in fields(classes[name])]
    unknown = parameters.keys() - set(known) | parameters.keys() & {"codec", "context"}
    if unknown:
        own = ", ".join(field for field in known if field not in ("codec", "context")) or "none"
        raise AigcError(f"the objective {name!r} has no parameter {min(unknown)!r}: it has {own}")
    make: Callable[..., Objective] = classes[name]
    objective = make(codec, context, **parameters) if "context" in known else make(codec, **parameters)
    objective.content(context)  # raises where the context is too short for it
    return objective
