"""The table of objectives: the name in the project file, and the class; and how one is built for a codec."""

from collections.abc import Callable
from dataclasses import fields

from aigc.core.batches.objectives.causal import Causal
from aigc.core.batches.objectives.denoising import Denoising
from aigc.core.batches.objectives.fill_in_middle import FillInMiddle
from aigc.core.batches.objectives.masked import Masked
from aigc.core.batches.objectives.next_segment import NextSegment
from aigc.core.batches.objectives.next_sentence import NextSentence
from aigc.core.batches.objectives.objective import Objective
from aigc.core.batches.objectives.sentence_order import SentenceOrder
from aigc.core.batches.objectives.span_corruption import SpanCorruption
from aigc.core.tokens.codec import Vocabulary
from aigc.errors import AigcError

__all__ = ["OBJECTIVES", "build"]

Class = (
    type[Causal]
    | type[Masked]
    | type[NextSentence]
    | type[SentenceOrder]
    | type[SpanCorruption]
    | type[Denoising]
    | type[NextSegment]
    | type[FillInMiddle]
)
OBJECTIVES: dict[str, Class] = {
    "causal": Causal,
    "masked": Masked,
    "masked+next_sentence": NextSentence,
    "masked+sentence_order": SentenceOrder,
    "span_corruption": SpanCorruption,
    "denoising": Denoising,
    "next_segment": NextSegment,
    "fill_in_middle": FillInMiddle,
}


def build(name: str, codec: Vocabulary, context: int, /, **parameters: float | bool) -> Objective:
    """The objective of a name, for a codec, samples of at most `context` tokens and its own parameters.

    Raises:
        AigcError: there is no such objective or parameter, or the codec lacks the ids for it.
    """
    if name not in OBJECTIVES:
        raise AigcError(f"there is no objective {name!r}: there are {', '.join(OBJECTIVES)}")
    known = [field.name for field in fields(OBJECTIVES[name])]
    unknown = parameters.keys() - set(known) | parameters.keys() & {"codec", "context"}
    if unknown:
        own = ", ".join(field for field in known if field not in ("codec", "context")) or "none"
        raise AigcError(f"the objective {name!r} has no parameter {min(unknown)!r}: it has {own}")
    make: Callable[..., Objective] = OBJECTIVES[name]
    objective = make(codec, context, **parameters) if "context" in known else make(codec, **parameters)
    objective.content(context)  # raises where the context is too short for it
    return objective
