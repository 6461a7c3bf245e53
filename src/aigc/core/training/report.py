"""What a training run found, as numbers for report.json."""

from dataclasses import asdict, dataclass, field
from typing import Any

from aigc.core.training.corpus import TrainingData
from aigc.core.training.fit import Progress
from aigc.core.training.validation import Validation

__all__ = ["TrainingReport"]


@dataclass
class TrainingReport:
    """Collects what a run shows as it goes."""

    data: TrainingData
    steps: int
    facts: dict[str, Any]  # parameters, family, objective, precision and the like
    validations: list[tuple[int, Validation]] = field(default_factory=list)
    last_loss: float = float("nan")
    ended: str | None = None

    def add(self, progress: Progress) -> None:
        """Take note of a step."""
        if progress.step is not None:
            self.last_loss = progress.step.loss
        if progress.validation is not None:
            self.validations.append((progress.number, progress.validation))
        self.ended = progress.ended

    def as_json(self) -> dict[str, Any]:
        """The same numbers on every run of the same config and machine."""
        return {
            **self.facts,
            "steps": self.steps,
            "stopped_early": self.ended,
            "training": asdict(self.data.accounting),
            "validation": asdict(self.data.validation_accounting),
            "validation_losses": [{"step": step, **value.figures()} for step, value in self.validations],
        }
