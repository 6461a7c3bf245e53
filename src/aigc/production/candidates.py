"""Several texts for one sample into the best of them, and into the pairs that a preference can be learned from."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from aigc.core.generation.request import Drawn
from aigc.core.rules.apply import measure
from aigc.core.rules.copies.rules import with_index
from aigc.core.rules.rule import Measure
from aigc.core.rules.table import rule_class

__all__ = ["LIKELIHOOD", "Candidate", "best", "nats_per_token", "pairs", "scores"]

LIKELIHOOD = "likelihood"


@dataclass(frozen=True)
class Candidate:
    """A text that may become the sample."""

    text: str
    likelihood: float | None = None  # nats a token


def nats_per_token(drawn: Drawn) -> float | None:
    """A text's likelihood in a measure that does not favour short texts; None where it was not asked for."""
    if drawn.likelihood is None:
        return None
    return drawn.likelihood / max(1, drawn.tokens + (drawn.finish == "end"))


def scores(samples: Sequence[Sequence[Candidate]], by: Mapping[str, float], copies: Path | None = None) -> list[list[float]]:
    """How good each candidate of each sample is: the weighted sum of its z-scores among the candidates of its sample.

    A z-score is the distance from the candidates' mean in standard deviations, so that a weight means the same for nats, counts and
    shares; it is 0 where all are alike. What has no value (the mean word length of a text without words) counts as the worst.

    Args:
        samples: the candidates of each; the measures see those of all samples at once.
        by: weights of `likelihood` and of measures by name, as BestOf has checked them.
        copies: the index of the training documents, for the measures that look for copies.

    Raises:
        AigcError: a measure cannot be taken, as one that looks for copies and has no index.
    """
    texts = pl.Series([one.text for candidates in samples for one in candidates], dtype=pl.String)
    sums = [0.0] * len(texts)
    for name, weight in by.items():
        if name == LIKELIHOOD:
            values: list[float | None] = [one.likelihood for candidates in samples for one in candidates]
        else:
            (rule,), _ = with_index([rule_class(name)()], copies)
            assert isinstance(rule, Measure), "BestOf has checked the names"
            values = measure(texts, rule).to_list()
        first = 0
        for candidates in samples:
            for place, share in enumerate(_shares(values[first : first + len(candidates)], weight), start=first):
                sums[place] += share
            first += len(candidates)
    found = iter(sums)
    return [[next(found) for _ in candidates] for candidates in samples]


def best(found: Sequence[float]) -> int:
    """The place of the highest of some scores, the first one of equals."""
    return max(range(len(found)), key=lambda place: found[place])


def pairs(prompt: str, texts: Sequence[str], found: Sequence[float]) -> Iterator[dict[str, Any]]:
    """The best text beside each that lost against it, as finetune's task `preference` reads them.

    A text that is blank, that is as good as the best or says the same is in no pair: there is nothing to prefer.

    Args:
        texts: the candidates of one sample.
        found: their scores.

    Yields:
        prompt, chosen, rejected, score_chosen, score_rejected; the scores are z-scores among these candidates.
    """
    first = best(found)
    chosen = texts[first]
    if not chosen.strip():
        return
    seen = {chosen.strip()}
    for text, score in zip(texts, found, strict=True):
        if score < found[first] and text.strip() and text.strip() not in seen:
            seen.add(text.strip())
            row = {"prompt": prompt, "chosen": chosen, "rejected": text}
            yield row | {"score_chosen": found[first], "score_rejected": score}


def _shares(values: Sequence[float | None], weight: float) -> list[float]:
    """What a weight adds to the score of each candidate."""
    known = [value for value in values if value is not None and math.isfinite(value)]
    if not known:
        return [0.0] * len(values)
    mean = math.fsum(known) / len(known)
    spread = math.sqrt(math.fsum((value - mean) ** 2 for value in known) / len(known))
    if min(known) == max(known) or spread == 0:
        spread = math.inf  # and of what is alike nothing counts, whatever the rounding of its mean
    shares = [weight * (value - mean) / spread if value is not None and math.isfinite(value) else None for value in values]
    worst = min(share for share in shares if share is not None)
    return [worst if share is None else share for share in shares]
