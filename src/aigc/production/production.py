"""Windows of samples into the outcomes of a run: what is missing there is drawn."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from aigc import console
from aigc.core.documents.template import MissingField, fill
from aigc.core.generation.gaps import Gapped
from aigc.core.generation.prompts import BadPrompt, Prompt
from aigc.core.generation.request import Engine
from aigc.core.rules.copies.rules import with_index
from aigc.core.rules.table import name_of
from aigc.errors import AigcError
from aigc.production.asking import Ask, Talking, continuing
from aigc.production.drawing import copies_of, decoding_of, engine_of
from aigc.production.judge import Judge
from aigc.production.outcomes import Outcomes, judged_order
from aigc.production.sampling import Sample, Sampler, Told, Window, in_order
from aigc.production.writers import MADE_BY_PLAN, unplanned, writer_of
from aigc.schema import Project

__all__ = ["Production"]


class Production:
    """Takes one window after the other.

    Args:
        told: told each piece of text as it is settled; samples are then drawn one by one.
    """

    def __init__(self, project: Project, out: Outcomes, told: Told | None = None) -> None:
        assert project.generate is not None
        self._project, self._section, self._out, self._told = project, project.generate, out, told
        self._copies = copies_of(project)
        rules, left_out = with_index(project.generate.rules, self._copies)
        if left_out:
            names = ", ".join(map(name_of, left_out))
            console.warn(f"generate: samples are not looked up in what the model learned, it has no index ({names})")
        self._judge = Judge(rules)
        self._opened: tuple[Engine, Sampler] | None = None
        self._ask: Ask  # since it is opened
        self._left_out = set[str]()  # prompts of the window that cannot be used

    def open(self) -> tuple[Engine, Sampler]:
        """Load the checkpoint and what the rules need, unless that was done; what is complete needs none.

        Raises:
            AigcError: something cannot be loaded.
        """
        if self._opened is None:
            section = self._section
            engine = engine_of(self._project, slots=1 if self._told else None)
            if engine.quality:
                console.note(f"generate: {engine.name}: {engine.quality}")
            decoding, self._ask = decoding_of(section), continuing(engine)
            if section.chat:
                engine = talking = Talking(engine)
                decoding, self._ask = replace(decoding, stops=decoding.stops | {talking.end}), talking.ask
            elif engine.codec.tokenizer.chat_template is not None:
                console.note("generate: the checkpoint has a chat template; generate.chat=true asks through it")
            write = writer_of(
                engine, section, decoding, seed=self._project.seed, ask=self._ask, copies=self._copies, told=self._told
            )
            origin = self._out.origin.told | {"engine": engine.name}
            sampler = Sampler(write, self._judge, self._project.seed, origin, section.retries, section.ordered)
            self._judge.prepare()
            self._opened = engine, sampler
        return self._opened

    def do(self, window: Window) -> None:
        """Draw what is missing, but all of a window in which an earlier try was stopped: its samples keep their company.

        Raises:
            AigcError: rows that are there were written for other prompts.
        """
        out = self._out
        out.counts["prompts"] += len(window.bad) + sum(sample.number == 0 for sample in window.samples)
        self._fail(window.bad)
        self._left_out &= {sample.prompt.id for sample in window.samples[:1]}  # the samples of a prompt may stand in two windows
        found = [(sample, out.recorded(sample)) for sample in self._begun(window.samples)]
        done = [one for _, one in found if one is not None and one.final]
        if out.interrupted and not out.unmet and len(done) < len(found):
            done = []
        self._judge.remember(judged_order(done, ordered=self._section.ordered))
        for one in done:
            out.keep(one)
        settled = {one.sample.id for one in done}
        if missing := [sample for sample, _ in found if sample.id not in settled]:
            samples = self._fitting(missing)
            judged = self.open()[1].rows(samples)
            for result in in_order(judged, samples) if self._section.ordered else judged:
                out.put(result)

    def _begun(self, samples: Sequence[Sample]) -> list[Sample]:
        """With the begin of their texts; those whose prompt has no field for it fail. One of white space alone is none."""
        if not self._section.begin:
            return list(samples)
        found = []
        for sample in samples:
            try:
                begin = fill(self._section.begin, sample.prompt.fields)
            except MissingField as error:
                self._leave_out(sample.prompt, f"generate.begin: {error}")
            else:
                found.append(replace(sample, begin=begin if begin.strip() else ""))
        return found

    def _fitting(self, samples: Sequence[Sample]) -> list[Sample]:
        """Those whose prompt can be used; the others fail."""
        usable: dict[str, bool] = {}
        for sample in samples:
            prompt = sample.prompt
            if prompt.id not in usable:
                reason = self._unusable(sample)
                usable[prompt.id] = reason is None
                if reason is not None:
                    self._leave_out(prompt, reason)
        return [sample for sample in samples if usable[sample.prompt.id]]

    def _unusable(self, sample: Sample) -> str | None:
        prompt = sample.prompt
        given = {*prompt.fields, *(MADE_BY_PLAN if self._section.plan is not None else ())}
        if missing := [name for name in self._judge.columns if name not in given]:
            found = ", ".join(map(str, prompt.fields)) or "none"
            return f"a rule needs the field {missing[0]!r}; fields found: {found}"
        if (reason := unplanned(self._section.plan, prompt)) is not None:
            return reason
        engine, _ = self.open()
        try:
            request = self._ask(sample, 0, 0)
        except AigcError as error:
            return str(error)
        if sample.begin and isinstance(request, Gapped):
            return "a text with a gap has its first words already: leave out generate.begin"
        length = len(request.prompt_ids)
        return None if engine.room_for(length) > 0 else f"{length} tokens leave no room in the model's context"

    def _leave_out(self, prompt: Prompt, reason: str) -> None:
        if prompt.id not in self._left_out:
            self._left_out.add(prompt.id)
            self._fail([BadPrompt(prompt.id, prompt.origin, reason)])

    def _fail(self, bad: Iterable[BadPrompt]) -> None:
        for one in bad:
            if not self._out.fail(one):
                console.warn(f"{one.origin}: {one.reason}")
