"""What is known of a generated text into its label, and a label found somewhere into what is wrong with it."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from aigc.errors import AigcError
from aigc.schema.labels import Label as Settings
from aigc.schema.labels import code_fault, value_fault

__all__ = ["AIGC", "DISCLOSURE", "MEANINGS", "Found", "Label", "found_in", "label_of", "refuse_faulty", "written_again"]

AIGC = "AIGC"  # the name of the metadata: GB 45438-2025
DISCLOSURE = "ai_disclosure"  # ours, which stands beside it
FIELDS = ("Label", "ContentProducer", "ProduceID", "ReservedCode1", "ContentPropagator", "PropagateID", "ReservedCode2")
NEEDED = FIELDS[:3]
MEANINGS = {"1": "is generated", "2": "may be generated", "3": "is suspected to be generated"}
# https://cv.iptc.org/newscodes/digitalsourcetype/: what C2PA, schema.org and search engines read
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
LAW = "Regulation (EU) 2024/1689, Article 50"

_IDS = uuid.uuid5(uuid.NAMESPACE_URL, "http://www.tc260.org.cn/ns/AIGC/1.0/")


@dataclass(frozen=True)
class Label:
    """The label of one text that was generated."""

    producer: str
    produce_id: str
    notice: str  # what the reader is told: one line
    place: Literal["start", "end"] = "start"
    disclosure: Mapping[str, str] = field(default_factory=dict)  # of the EU AI Act; empty: none is wanted
    reserved_code_1: str = ""
    propagator: str = ""  # who spreads the text fills these in
    propagate_id: str = ""
    reserved_code_2: str = ""

    @property
    def fields(self) -> dict[str, str]:
        """The seven fields of GB 45438-2025, in its order."""
        spread = (self.propagator, self.propagate_id, self.reserved_code_2)
        values = ("1", self.producer, self.produce_id, self.reserved_code_1, *spread)
        return dict(zip(FIELDS, values, strict=True))

    @property
    def companion(self) -> dict[str, str]:
        """What stands beside them: the notice word for word, so that it can be found again, and the disclosure."""
        return {"notice": self.notice, "place": self.place, **self.disclosure}


@dataclass(frozen=True)
class Found:
    """A label as it was read."""

    where: str
    fields: Mapping[str, Any]  # of AIGC, as they stand; empty where there is none
    companion: Mapping[str, Any] = field(default_factory=dict)
    faults: tuple[str, ...] = ()  # against the standard

    @property
    def notice(self) -> str:
        """What the reader is told; empty where that is not known."""
        value = self.companion.get("notice", "")
        return value if isinstance(value, str) else ""

    @property
    def place(self) -> str:
        """Where the notice stands: start or end."""
        return "end" if self.companion.get("place") == "end" else "start"

    @property
    def disclosure(self) -> dict[str, Any]:
        """That of the EU AI Act."""
        return {name: value for name, value in self.companion.items() if name not in ("notice", "place")}


def label_of(settings: Settings, *, model: str, config: str, seed: int, id: str, language: str, version: str = "") -> Label:
    """The label of a text, the same for the same text.

    Args:
        model, config: hashes or names of what drew it.
        id: the row's.
        language: zh or another, of the notice.
        version: of this tool.
    """
    told = {
        "ai_generated": "true",
        "digital_source_type": SOURCE_TYPE,
        "provider": settings.provider,
        "model": _line(model),
        "generator": f"aigc {version}".strip(),
        "law": LAW,
    }
    return Label(
        producer=settings.provider,
        produce_id=str(uuid.uuid5(_IDS, json.dumps([model, config, seed, id], ensure_ascii=False))),
        notice=settings.notice(language),
        place=settings.place,
        disclosure=told if settings.eu else {},
        reserved_code_1=settings.reserved_code_1,
        reserved_code_2=settings.reserved_code_2,
    )


def _line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def found_in(value: object, companion: object = None, *, where: str) -> Found | None:
    """What a place holds: the fields and what is wrong with them; None where there is nothing at all.

    Args:
        value: of `AIGC`: a mapping, or JSON of one; of others also a mapping within a mapping.
        companion: of `ai_disclosure`.
    """
    beside = _mapping(companion) or {}
    if value is None:
        return Found(where, {}, beside) if beside else None
    faults = []
    fields = _mapping(value)
    if fields is None:
        return Found(where, {}, beside, (f"AIGC holds no JSON object but {str(value)[:60]!r}",))
    if isinstance(inner := fields.get(AIGC), Mapping):
        faults.append("the fields stand in an AIGC within AIGC")
        fields = dict(inner)
    return Found(where, fields, beside, (*faults, *_faults(fields)))


def _mapping(value: object) -> dict[str, Any] | None:
    for _ in range(2):  # JSON within JSON is read, too
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except (ValueError, RecursionError):
                return None
    return {str(name): inner for name, inner in value.items()} if isinstance(value, Mapping) else None


def _faults(fields: Mapping[str, Any]) -> list[str]:
    """Against GB 45438-2025, as its strict readers have it."""
    faults = []
    for name in FIELDS:
        value = fields.get(name)
        if name not in fields:
            faults.append(f"{name} is missing")
        elif not isinstance(value, str):
            faults.append(f"{name} is no text but {value!r}"[:100])
        elif name in NEEDED and not value:
            faults.append(f"{name} is empty")
        elif fault := value_fault(value):
            faults.append(f"{name} {fault}")
    faults += [f"{name} is no field of the standard" for name in fields if name not in FIELDS]
    if not faults and list(fields) != list(FIELDS):
        faults.append("the fields are not in the standard's order")
    if isinstance(label := fields.get("Label"), str) and label and label not in MEANINGS:
        faults.append(f"Label is {label!r}, and can be 1, 2 or 3")
    for name in ("ContentProducer", "ContentPropagator"):
        code = fields.get(name)
        if isinstance(code, str) and len(code) == 27 and code.isascii() and code.isalnum() and (fault := code_fault(code)):
            faults.append(f"{name}: {fault}")
    return faults


def written_again(found: Found, notice: str) -> Label:
    """A label that was found, to be written elsewhere.

    Args:
        notice: where the label does not say what the reader was told.

    Raises:
        AigcError: it breaks the standard, or says only that the text may be generated.
    """
    if found.faults or not found.fields:
        raise AigcError(f"its label breaks GB 45438-2025: {'; '.join(found.faults) or 'there is no AIGC'}")
    if found.fields["Label"] != "1":
        raise AigcError(f"its label says that it {MEANINGS[found.fields['Label']]}; who generates a text says that it is")
    _, producer, produce_id, first, propagator, propagate_id, second = (found.fields[name] for name in FIELDS)
    return Label(
        producer=producer,
        produce_id=produce_id,
        notice=found.notice or notice,
        place="end" if found.place == "end" else "start",
        disclosure={name: str(value) for name, value in found.disclosure.items()},
        reserved_code_1=first,
        propagator=propagator,
        propagate_id=propagate_id,
        reserved_code_2=second,
    )


def refuse_faulty(label: Label) -> None:
    """See that a label can be written.

    Raises:
        AigcError: a value breaks the standard.
    """
    if faults := _faults(label.fields):
        raise AigcError(f"label: {'; '.join(faults)}")
