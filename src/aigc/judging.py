"""A model in training into the figures of its task, and into what it writes on the way."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain

from aigc.core.evaluation.classes import class_metrics
from aigc.core.evaluation.intervals import Metric, values_of
from aigc.core.evaluation.texts import text_metrics
from aigc.core.evaluation.values import value_metrics
from aigc.core.generation.answers import Question, answers, questions
from aigc.core.generation.engine import draw_freely
from aigc.core.training.validation import Predictions, Validation
from aigc.preparation import Prepared

__all__ = ["Judge", "metrics_of"]

SHOWN = 6  # answers at each evaluation that the report shows
FREE, FREE_TOKENS = 3, 60  # samples without a prompt, and their tokens
TOLD = {
    "classify": ("macro_f1", "balanced_accuracy"),
    "regress": ("rmse", "spearman"),
    "texts": ("exact_match", "rouge1", "rouge2", "rougeL", "bleu", "chrf"),
}


def metrics_of(task: str, predictions: Predictions) -> dict[str, Metric]:
    """The metrics of a task that tells something of whole documents."""
    if task == "regress":
        return value_metrics(predictions.scores[:, 0], predictions.targets)
    return class_metrics(predictions.scores, predictions.targets)


@dataclass
class Judge:
    """Asked at each evaluation; what the model wrote there is left in `samples`."""

    task: str
    work: Prepared
    tokens: int  # of an answer, at most
    asked: Sequence[Question] = ()
    samples: list[dict[str, str]] = field(default_factory=list)  # prompt, text, reference

    @classmethod
    def of(cls, task: str, work: Prepared, *, most: int, tokens: int) -> "Judge":
        """For a task; most: prompts of the validation split that are answered each time."""
        prompted = task in ("instruct", "seq2seq") and most
        samples = chain.from_iterable(work.data.validation.once()) if prompted else ()
        return cls(task, work, tokens, questions(samples, work.codec, most=most))

    def __call__(self, validation: Validation) -> dict[str, float]:
        """The figures that the loss does not tell."""
        self.samples = []
        if self.task in ("classify", "regress") and validation.predictions is not None:
            found = metrics_of(self.task, validation.predictions)
            return values_of({name: found[name] for name in TOLD[self.task]}, len(validation.predictions.targets))
        if not self.asked:
            return {}
        learner = self.work.learner
        said = answers(learner.model, self.work.codec, self.asked, max_tokens=self.tokens, dtype=learner.dtype)
        self.samples = [
            {"prompt": question.prompt, "text": text, "reference": question.reference}
            for question, text in zip(self.asked[:SHOWN], said, strict=False)
        ]
        found = text_metrics(said, [question.reference for question in self.asked])
        return values_of({name: found[name] for name in TOLD["texts"]}, len(said))

    def written(self, step: int) -> list[dict[str, str]]:
        """What the model answered, or, where nothing was asked, what a decoder writes of its own accord."""
        model = self.work.learner.model
        if self.samples or self.task in ("classify", "regress", "preference") or not model.can_generate():
            return self.samples
        if model.config.is_encoder_decoder:
            return []
        drawn = draw_freely(model, self.work.codec, count=FREE, max_tokens=FREE_TOKENS, seed=step)
        return [{"prompt": "", "text": one.text} for one in drawn]
