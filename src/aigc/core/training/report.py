"""What a training run found, as numbers for report.json."""

from dataclasses import asdict, dataclass, field
from typing import Any

from aigc.core.training.corpus import Corpus
from aigc.core.training.fit import Progress, Validation

__all__ = ["TrainingReport"]


@dataclass
class TrainingReport:
    """Collects validation losses as a run goes."""

    corpus: Corpus
    parameters: int
    steps: int
    validations: list[tuple[int, Validation]] = field(default_factory=list)
    last_loss: float = float("nan")

    def add(self, progress: Progress) -> None:
        """Take note of a step."""
        if progress.step is not None:
            self.last_loss = progress.step.loss
        if progress.validation is not None:
            self.validations.append((progress.number, progress.validation))

    def as_json(self) -> dict[str, Any]:
        """The same numbers on every run of the same config and machine."""
        return {
            "parameters": self.parameters,
            "steps": self.steps,
            "training": asdict(self.corpus.accounting),
            "validation": asdict(self.corpus.validation_accounting),
            "validation_losses": [{"step": step, **asdict(value)} for step, value in self.validations],
        }
