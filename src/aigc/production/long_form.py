"""Briefs into articles: a title, an outline, then section by section, all briefs together one step after the other."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl

from aigc.core.documents.template import MissingField, fields_of, needed_fields
from aigc.core.generation.fitting import fitting
from aigc.core.generation.gaps import GAP
from aigc.core.generation.request import Decoding, Drawn, Engine, Request, Watch
from aigc.core.rules.article_parts import headings_of, paragraphs_of, section_of, title_of
from aigc.core.rules.edits.sentences import FinishSentence
from aigc.core.rules.lint import KINDS, Lint
from aigc.core.rules.structure import lints
from aigc.schema.decoding import Plan

__all__ = ["Article", "Brief", "Part", "lacking", "written"]

TITLE_TOKENS = 60
HEADING_TOKENS = 40
_MADE = ("title", "outline", "summary", "heading", "written")
_IN_SECTIONS = [kind for kind in KINDS if kind != "title"]


@dataclass(frozen=True)
class Brief:
    """What an article is to be about."""

    fields: Mapping[str, Any]  # of the row; `prompt` is what generate.prompt made of it
    seed: int
    key: int = 0  # the caller's, to know it by


@dataclass(frozen=True)
class Part:
    """A section as it was kept."""

    heading: str
    text: str
    tokens: int
    finish: str  # as Drawn's
    faults: tuple[str, ...]  # of its structure, in words
    attempts: int = 1  # how often it was drawn


@dataclass(frozen=True)
class Article:
    """A text and what it is made of."""

    brief: Brief
    title: str
    outline: tuple[str, ...]
    parts: tuple[Part, ...]
    text: str  # Markdown
    lints: tuple[Lint, ...]  # of the whole
    tokens: int  # of title, outline and parts that were kept
    finish: str  # "length" where a part was cut off, else "end"

    @property
    def row(self) -> dict[str, Any]:
        """What a row of samples says beside the text, as JSON values."""
        parts = [
            {"heading": part.heading, "tokens": part.tokens, "finish": part.finish, "attempts": part.attempts}
            | ({"faults": list(part.faults)} if part.faults else {})
            for part in self.parts
        ]
        faults = [{"kind": one.kind, "at": one.begin, "message": one.message} for one in self.lints]
        return {"title": self.title, "outline": list(self.outline), "parts": parts, "faults": faults}


@dataclass
class _Draft:
    """An article under way."""

    brief: Brief
    title: str = ""
    outline: tuple[str, ...] = ()
    parts: list[Part] = field(default_factory=list)
    tokens: int = 0

    def values(self, heading: str = "") -> dict[str, Any]:
        """What templates may name."""
        outline = "\n".join(f"{i}. {one}" for i, one in enumerate(self.outline, start=1))
        body = "\n\n".join(f"{part.heading}\n{part.text}".strip() for part in self.parts)
        made = {"title": self.title, "outline": outline, "heading": heading, "written": body}
        return {**self.brief.fields, **{name: text.replace(GAP, "") for name, text in made.items()}}  # a model may write one

    @property
    def headings(self) -> Sequence[str]:
        """Of the sections to write; one without heading where there is no outline."""
        return self.outline or ("",)


@dataclass(frozen=True)
class _Found:
    """The best that was drawn of one part of a draft."""

    text: str
    drawn: Drawn
    faults: tuple[str, ...]
    attempts: int


def lacking(plan: Plan, fields: Mapping[str, Any]) -> str | None:
    """Why a row cannot be written by this plan; None where it can."""
    if plan.title is None and not str(fields.get("title") or "").strip():
        return "the plan asks for no title, so the row needs the field 'title'"
    for name, template in (("title", plan.title), ("outline", plan.outline), ("section", plan.section)):
        made = () if name == "title" else _MADE if name == "section" else ("title",)
        for needed in needed_fields(template or ""):
            if needed not in made and needed not in fields:
                return f"plan.{name}: {MissingField(needed, fields)}"
        if gapped := [one for one in fields_of(template or "") if GAP in str(fields.get(one))]:
            return f"plan.{name}: the field {gapped[0]!r} has a gap ({GAP}), and a plan fills in none"
    return None


def written(
    engine: Engine, briefs: Sequence[Brief], plan: Plan, decoding: Decoding, *, watch: Watch | None = None
) -> Iterator[Article]:
    """Write all briefs, step by step together; each article comes when its last section is written.

    A draw depends on the brief's seed, the number of the step and of the try, not on the other briefs. Of the decoding, what bounds
    a whole text (max_tokens, min_tokens, max_characters, max_sentences, constraint) does not hold for its parts: the plan does.

    Args:
        briefs: none of them `lacking`.
        watch: is told each piece of text as it is settled; the request's key is the brief's.
    """
    pen = _Pen(engine, plan, decoding, watch)
    drafts = [_Draft(brief, title=str(brief.fields.get("title") or "").strip()) for brief in briefs]
    if plan.title is not None:
        for draft, found in zip(drafts, pen.titles(drafts), strict=True):
            draft.title, draft.tokens = found.text, found.drawn.tokens
    for draft, found in zip(drafts, pen.outlines(drafts), strict=True):
        draft.outline = headings_of(found.text, most=plan.sections)
        draft.tokens += found.drawn.tokens
    for number in range(plan.sections):
        here = [draft for draft in drafts if number < len(draft.headings)]
        for draft, found in zip(here, pen.sections(here, number), strict=True):
            one = found.drawn
            draft.parts.append(
                Part(draft.headings[number], found.text, one.tokens, one.finish, found.faults, attempts=found.attempts)
            )
            draft.tokens += one.tokens
        yield from (_article(draft) for draft in here if number + 1 == len(draft.headings))


@dataclass(frozen=True)
class _Pen:
    """Draws one part of each of several drafts."""

    engine: Engine
    plan: Plan
    decoding: Decoding
    watch: Watch | None

    def titles(self, drafts: Sequence[_Draft]) -> list[_Found]:
        assert self.plan.title is not None
        return self._ask(drafts, 0, self.plan.title, TITLE_TOKENS, ("\n",), [draft.values() for draft in drafts], _titled)

    def outlines(self, drafts: Sequence[_Draft]) -> list[_Found]:
        most = HEADING_TOKENS * self.plan.sections
        return self._ask(drafts, 1, self.plan.outline, most, (), [draft.values() for draft in drafts], _outlined)

    def sections(self, drafts: Sequence[_Draft], number: int) -> list[_Found]:
        values = [draft.values(draft.headings[number]) for draft in drafts]

        def cleaned(texts: Sequence[Drawn], places: Sequence[int]) -> list[tuple[str, tuple[str, ...]]]:
            cut = [
                section_of(one.text, heading=drafts[place].headings[number], outline=drafts[place].headings)
                for one, place in zip(texts, places, strict=True)
            ]
            ended = _finished(cut)
            kept = [whole if one.finish == "length" else text for one, text, whole in zip(texts, cut, ended, strict=True)]
            found = map(paragraphs_of, kept)
            return [(text, _faults_of(text)) for text in found]

        stops = ("\n# ", "\n## ")
        return self._ask(drafts, 2 + number, self.plan.section, self.plan.section_tokens, stops, values, cleaned)

    def _ask(
        self,
        drafts: Sequence[_Draft],
        step: int,
        template: str,
        max_tokens: int,
        stops: tuple[str, ...],
        values: Sequence[Mapping[str, Any]],
        cleaned: Callable[[Sequence[Drawn], Sequence[int]], list[tuple[str, tuple[str, ...]]]],
    ) -> list[_Found]:
        """The best of one part of each draft; those that are at fault are drawn again together."""
        decoding = replace(
            self.decoding,
            max_tokens=max_tokens,
            min_tokens=0,
            max_characters=None,
            max_sentences=None,
            constraint=None,
            stop_strings=(*self.decoding.stop_strings, *stops),
        )
        prompts = [
            fitting(self.engine, template, one, max_tokens=max_tokens, characters=self.plan.summary_characters) for one in values
        ]

        def tell(request: Request, piece: str, /) -> None:
            assert self.watch is not None
            self.watch(replace(request, key=drafts[request.key].brief.key), piece)

        best: dict[int, _Found] = {}
        places = list(range(len(drafts)))
        for attempt in range(self.plan.retries + 1):
            requests = [self.engine.request(prompts[i], seed=_seed(drafts[i].brief.seed, step, attempt), key=i) for i in places]
            drawn = {request.key: one for request, one in self.engine.draw(requests, decoding, tell if self.watch else None)}
            for i, (text, faults) in zip(places, cleaned([drawn[i] for i in places], places), strict=True):
                new = _Found(text, drawn[i], faults, attempt + 1)
                better = i not in best or (bool(text), -len(faults)) > (bool(best[i].text), -len(best[i].faults))
                best[i] = new if better else replace(best[i], attempts=attempt + 1)
            places = [i for i in places if best[i].faults]
            if not places:
                break
        return [best[i] for i in range(len(drafts))]


def _seed(seed: int, step: int, attempt: int) -> int:
    return int(np.random.SeedSequence([seed, step, attempt]).generate_state(1)[0])


def _titled(texts: Sequence[Drawn], _places: Sequence[int]) -> list[tuple[str, tuple[str, ...]]]:
    titles = [title_of(one.text) for one in texts]
    return [(title, () if title else ("there is no title",)) for title in titles]


def _outlined(texts: Sequence[Drawn], _places: Sequence[int]) -> list[tuple[str, tuple[str, ...]]]:
    return [(one.text, () if headings_of(one.text, most=1) else ("there is no outline",)) for one in texts]


def _finished(texts: Sequence[str]) -> list[str]:
    found: list[str] = pl.DataFrame({"text": texts}, schema={"text": pl.String}).select(FinishSentence().text())["text"].to_list()
    return found


def _faults_of(text: str) -> tuple[str, ...]:
    return tuple(one.message for one in lints(text, kinds=_IN_SECTIONS)) if text else ("the section is empty",)


def _article(draft: _Draft) -> Article:
    parts = [f"## {part.heading}\n\n{part.text}".strip() if part.heading else part.text for part in draft.parts]
    text = "\n\n".join(one for one in [f"# {draft.title}" if draft.title else "", *parts] if one)
    finish = "length" if any(part.finish == "length" for part in draft.parts) else "end"
    found = tuple(lints(text))
    return Article(draft.brief, draft.title, draft.outline, tuple(draft.parts), text, found, draft.tokens, finish)
