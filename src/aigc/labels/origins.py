"""A project into what its texts come from: the training data and the licences that it has."""

from dataclasses import dataclass
from typing import Any

from aigc import lineage, runs
from aigc.card.facts import CardFacts, Data, base_of, data_of
from aigc.licences import FREE, cautions, licence_of
from aigc.schema import Project

__all__ = ["Origins", "origins_of"]

MOST = 20  # sources that are named


@dataclass(frozen=True)
class Origins:
    """What the model learned from, its base model included."""

    data: str  # hash of the manifest of the training split; empty where the checkpoint comes from outside
    licences: tuple[str, ...]  # names, those of the most documents first
    sources: tuple[str, ...]  # with a licence, those that ask to be named
    cautions: tuple[str, ...]  # lines on licences that forbid something or are not known

    @property
    def fields(self) -> dict[str, Any]:
        """What each row of samples carries."""
        return {"data": self.data[:16], "licences": list(self.licences)} if self.data else {"licences": list(self.licences)}


def origins_of(project: Project) -> Origins:
    """Read the training split of a run, and what is told of the checkpoint that training began with.

    Raises:
        AigcError: a stage has not been run.
    """
    stage = lineage.checkpoint_stage(project, "generate")
    section = getattr(project, stage or "generate")
    start = getattr(section, "start" if stage == "finetune" else "checkpoint", None)
    manifest = runs.stage_folder(project, "split") / runs.MANIFEST if stage else None
    data = data_of(manifest.parent) if manifest is not None else Data((), {}, 0)
    base = base_of(CardFacts(runs.root(project), stage or "generate", project.seed, {}, {}, start=start), data)
    counted = sorted(data.licences, key=lambda one: (-data.licences[one], one.name))
    names = [one.name for one in counted] + ([f"{base.licence.name} ({base.name})"] if base is not None else [])
    owed = [
        f"{source} ({written})" if written else source
        for source, written, *_ in data.sources
        if source and _asks_for_a_name(written)
    ]
    return Origins(
        data=runs.sha256(manifest) if manifest is not None else "",
        licences=tuple(dict.fromkeys(names)),
        sources=(*owed[:MOST], *([f"+ {len(owed) - MOST:,}"] if len(owed) > MOST else [])),
        cautions=tuple(cautions(data.licences, base.licence if base is not None else None)),
    )


def _asks_for_a_name(written: str) -> bool:
    """All but what is given away; a licence that is not known may ask for it."""
    return licence_of(written).name not in FREE
