"""`aigc detect`: what files say of how they came about, and whether their texts bear a watermark."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from aigc import console
from aigc.core.generation.request import Watermark
from aigc.core.generation.watermarks import ENOUGH, Evidence, Marker, marker
from aigc.core.model import checkpoints
from aigc.errors import AigcError, ConfigError
from aigc.labels.files import Reading, readings
from aigc.labels.label import MEANINGS
from aigc.production import drawing
from aigc.schema import Project

__all__ = ["run"]

Test = Callable[[str], Evidence]


def run(paths: Sequence[Path], *, project: Project | None = None, checkpoint: str | None = None, as_json: bool = False) -> None:
    """Print what is found in each file, or in each row of one.

    Args:
        project: whose watermark is looked for, with its key.
        checkpoint: whose tokenizer reads the texts, if not the project's own.
        as_json: a JSON object a line.

    Raises:
        ConfigError: the project has no watermark.
        AigcError: files could not be read; the others were.
    """
    test = None if project is None else _test(project, checkpoint)
    kind = project.generate.watermark.kind if project is not None and project.generate and project.generate.watermark else ""
    failed = 0
    for path in paths:
        try:
            for reading in readings(path):
                evidence = test(reading.text) if test is not None and reading.text.strip() else None
                told = _told(reading, evidence, kind)
                print(json.dumps(told, ensure_ascii=False) if as_json else "\n".join(_lines(told)))
        except AigcError as error:
            console.warn(str(error))
            failed += 1
    if failed:
        raise AigcError(f"{failed:,} of {len(paths):,} files could not be read; the reasons are above")


def _test(project: Project, checkpoint: str | None) -> Test:
    section = project.generate
    if section is None or section.watermark is None:
        raise ConfigError("generate.watermark: is needed to look for one: its kind and key")
    start = checkpoint or drawing.start_of(project)
    codec, width = checkpoints.codec_of(start), 0
    if section.watermark.kind == "greenlist":  # whose lists depend on how wide the logits are
        model, _ = checkpoints.load(start, kinds=("decoder", "encoder_decoder", "encoder"))
        width = int(model.get_output_embeddings().weight.shape[0])
    watermark = Watermark(section.watermark.kind, section.watermark.key)
    mark: Marker = marker(watermark, vocabulary=width, device=checkpoints.device_of("cpu"))
    return lambda text: mark.evidence(codec.encode([text])[0])


def _told(reading: Reading, evidence: Evidence | None, kind: str) -> dict[str, Any]:
    found = reading.found
    told: dict[str, Any] = {"file": reading.name, "labelled": found is not None}
    if found is not None:
        told |= {"where": found.where, "AIGC": dict(found.fields) or None, "notice": found.notice, "place": found.place}
        told |= {"disclosure": found.disclosure, "faults": list(found.faults)}
    if evidence is not None:
        told["watermark"] = {"kind": kind, "p_value": evidence.p_value, "z": evidence.z, "tokens": evidence.tokens}
    return told


def _lines(told: dict[str, Any]) -> list[str]:
    if not told["labelled"]:
        lines = [f"{told['file']}: no label"]
    elif (fields := told["AIGC"]) is not None:
        says = MEANINGS.get(fields.get("Label"), "says what no standard knows")
        values = ", ".join(f"{name} {value}" for name, value in fields.items() if value != "")
        lines = [f"{told['file']}: {says} ({told['where']}: {values})"]
    elif told["disclosure"]:
        lines = [f"{told['file']}: is generated ({told['where']})"]
    else:
        lines = [f"{told['file']}: no label, but a line that reads like one ({told['where']})"]
    if told.get("notice"):
        lines.append(f"  the reader is told at the {told['place']}: {told['notice']}")
    if told.get("disclosure"):
        lines.append(f"  disclosure: {', '.join(f'{name} {value}' for name, value in told['disclosure'].items())}")
    lines += [f"  fault: {fault}" for fault in told.get("faults", ())]
    if mark := told.get("watermark"):
        few = "" if mark["tokens"] >= ENOUGH else f"; of fewer than {ENOUGH}, a mark is easily missed"
        lines.append(f"  watermark {mark['kind']}: p = {mark['p_value']:.2g} (z {mark['z']:.1f}, {mark['tokens']:,} tokens{few})")
    return lines
