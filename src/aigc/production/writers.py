"""The section that generates into who writes its samples: one draw, the best of several, or a plan."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aigc.core.generation.prompts import Prompt
from aigc.core.generation.request import Decoding, Drawn, Engine, Request
from aigc.production.asking import Ask
from aigc.production.candidates import Candidate, best, nats_per_token, pairs, scores
from aigc.production.long_form import Brief, lacking, written
from aigc.production.rowfile import Row
from aigc.production.sampling import Sample, Told, Write
from aigc.schema import Generate
from aigc.schema.decoding import BestOf, Plan

__all__ = ["MADE_BY_PLAN", "best_of", "planned", "preferences", "single", "unplanned", "writer_of"]

MADE_BY_PLAN = ("title", "outline")  # keys that it puts into a row


def writer_of(
    engine: Engine,
    section: Generate,
    decoding: Decoding,
    *,
    seed: int,
    ask: Ask,
    copies: Path | None = None,
    told: Told | None = None,
) -> Write:
    """Who writes samples.

    Args:
        seed: the project's.
        ask: how each sample is put to the model; a plan has ways of its own.
        copies: see `candidates.scores`.
        told: told each piece of text as it is settled; of several candidates, none is told.
    """
    if section.plan is not None:
        return planned(engine, section.plan, decoding, seed=seed, told=told)
    if section.best_of is not None:
        return best_of(engine, section.best_of, decoding, seed=seed, ask=ask, copies=copies)
    return single(engine, decoding, seed=seed, ask=ask, told=told)


def single(engine: Engine, decoding: Decoding, *, seed: int, ask: Ask, told: Told | None = None) -> Write:
    """Each sample is what the model draws once.

    Args:
        seed: the project's.
    """

    def write(samples: Sequence[Sample], attempt: int) -> Iterator[tuple[Sample, Drawn, Row]]:
        begun = set[int]()

        def watch(request: Request, piece: str, /) -> None:
            assert told is not None
            sample = samples[request.key]
            told(sample, attempt, piece if request.key in begun else sample.begin + piece)
            begun.add(request.key)

        requests = (ask(one, one.seed(seed, attempt), key) for key, one in enumerate(samples))
        for request, drawn in engine.draw(requests, decoding, None if told is None else watch):
            yield samples[request.key], drawn, {}

    return write


def best_of(engine: Engine, asked: BestOf, decoding: Decoding, *, seed: int, ask: Ask, copies: Path | None = None) -> Write:
    """Each sample is the best of several draws; its row says all of them and their scores.

    Args:
        seed: the project's.
        copies: see `candidates.scores`.
    """

    def write(samples: Sequence[Sample], attempt: int) -> Iterator[tuple[Sample, Drawn, Row]]:
        def requests() -> Iterator[Request]:
            for place, sample in enumerate(samples):
                for number in range(asked.candidates):
                    own = int(np.random.SeedSequence([sample.seed(seed, attempt), number]).generate_state(1)[0])
                    yield ask(sample, own, place * asked.candidates + number)

        found: dict[int, dict[int, Drawn]] = {}
        for request, drawn in engine.draw(requests(), decoding):
            place, number = divmod(request.key, asked.candidates)
            found.setdefault(place, {})[number] = drawn
            if len(found[place]) < asked.candidates:
                continue
            drawings = [one for _, one in sorted(found.pop(place).items())]
            sample = samples[place]
            texts = [sample.begin + one.text for one in drawings]
            judged = [Candidate(text, nats_per_token(one)) for text, one in zip(texts, drawings, strict=True)]
            (exact,) = scores([judged], asked.by, copies)
            points = [round(point, 4) for point in exact]  # as `preferences` reads them
            told = [{"text": text, "score": point} for text, point in zip(texts, points, strict=True)]
            yield sample, drawings[best(points)], {"candidates": told}

    return write


def preferences(row: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The pairs that a row of the best of several holds: see `candidates.pairs`."""
    told = row["candidates"]
    return pairs(row["prompt"], [one["text"] for one in told], [one["score"] for one in told])


def planned(engine: Engine, plan: Plan, decoding: Decoding, *, seed: int, told: Told | None = None) -> Write:
    """Each sample is a long text, written part by part; its row says what they are, and what is at fault with its structure.

    Args:
        seed: the project's.
    """

    def write(samples: Sequence[Sample], attempt: int) -> Iterator[tuple[Sample, Drawn, Row]]:
        def watch(request: Request, piece: str, /) -> None:
            assert told is not None
            told(samples[request.key], attempt, piece)

        briefs = [Brief(_fields(one.prompt), one.seed(seed, attempt), key) for key, one in enumerate(samples)]
        for article in written(engine, briefs, plan, decoding, watch=None if told is None else watch):
            drawn = Drawn(article.text, article.tokens, article.finish)
            yield samples[article.brief.key], drawn, article.row

    return write


def unplanned(plan: Plan | None, prompt: Prompt) -> str | None:
    """Why a prompt's samples cannot be written by the plan; None where they can."""
    return lacking(plan, _fields(prompt)) if plan is not None else None


def _fields(prompt: Prompt) -> dict[str, Any]:
    return {"prompt": prompt.text, **prompt.fields}
