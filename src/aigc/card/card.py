"""A model folder and the facts of its stage into README.md, and into what its user has to be warned of."""

from pathlib import Path

from aigc import runs
from aigc.card.facts import CardFacts, base_of, data_of, json_of
from aigc.card.front import front_matter
from aigc.card.loading import use_of
from aigc.card.sections import Known, sections
from aigc.licences import cautions, strictest

__all__ = ["model_card", "write_card"]


def model_card(folder: Path, facts: CardFacts) -> tuple[str, list[str]]:
    """The card's text, the same for the same files; and lines on licences that forbid something or are not known.

    Args:
        folder: the saved model.
        facts: its run has complete stages clean and split.
    """
    data = data_of(facts.run / "split")
    base = base_of(facts, data)
    use = use_of(folder, facts, base)
    licence = strictest([*data.licences, *([base.licence] if base is not None else [])])
    warned = cautions(data.licences, base.licence if base is not None else None)
    clean, split = (json_of(facts.run / stage / "report.json") for stage in ("clean", "split"))
    inputs = [str(one.get("path")) for one in (runs.manifest_of(facts.run / "clean") or {}).get("inputs") or ()]
    front = front_matter(facts, use, base=base, licence=licence, clean=clean, inputs=inputs)
    body = sections(Known(facts, use, data, base, licence, warned, clean, split))
    return f"{front}\n{body}", warned


def write_card(folder: Path, facts: CardFacts) -> list[str]:
    """Write README.md beside the weights; gives the lines of `model_card` that the stage tells its user."""
    text, warned = model_card(folder, facts)
    (folder / "README.md").write_text(text, "utf-8")
    return warned
