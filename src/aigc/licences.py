"""Licences as people write them into what they ask for and forbid, and several into one that asks for all of it.

This sorts names. It is no legal advice, and whether a model is a derivative of its data is not settled by it.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["UNKNOWN", "Kind", "Licence", "cautions", "licence_of", "strictest"]


class Kind(StrEnum):
    """What a licence is known for, the mildest first."""

    PERMISSIVE = "permissive"
    ATTRIBUTION = "attribution"
    SHARE_ALIKE = "share-alike"
    NON_COMMERCIAL = "non-commercial"
    NO_DERIVATIVES = "no-derivatives"
    RESEARCH_ONLY = "research-only"
    UNKNOWN = "unknown"


ORDER = tuple(Kind)
FORBID_COMMERCE = {Kind.NON_COMMERCIAL, Kind.RESEARCH_ONLY}
OWN_TERMS = {Kind.SHARE_ALIKE, Kind.NO_DERIVATIVES, Kind.RESEARCH_ONLY}  # another licence that is as strict does not fulfil them


@dataclass(frozen=True)
class Licence:
    """A name and all that it asks for."""

    name: str  # the Hugging Face hub's where that has one
    kinds: tuple[Kind, ...]  # at least one, the mildest first
    note: str = ""  # what the kinds do not say

    @property
    def kind(self) -> Kind:
        """The strictest of its kinds."""
        return self.kinds[-1]

    @property
    def commercial(self) -> bool | None:
        """Whether commercial use is allowed; None where that is not known."""
        if FORBID_COMMERCE & {*self.kinds}:
            return False
        return None if Kind.UNKNOWN in self.kinds else True

    @property
    def hub(self) -> tuple[str, str | None]:
        """`license` and `license_name` of a card's front matter."""
        if Kind.UNKNOWN in self.kinds:
            return "unknown", None
        return (self.name, None) if self.name in HUB else ("other", self.name)


UNKNOWN = Licence("unknown", (Kind.UNKNOWN,))
NOTHING_SAID = frozenset(["", "unknown", "none", "null", "nan", "n-a", "na", "other", "various", "tbd", "未知", "不详", "其他"])

# Source: https://huggingface.co/docs/hub/repositories-licenses, without the families that say too little (cc, other)
HUB = frozenset(
    """afl-3.0 agpl-3.0 apache-2.0 artistic-2.0 bigcode-openrail-m bigscience-bloom-rail-1.0 bigscience-openrail-m bsd bsd-2-clause
    bsd-3-clause bsd-3-clause-clear bsl-1.0 cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0
    cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cc-by-nd-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc0-1.0
    cdla-permissive-1.0 cdla-permissive-2.0 cdla-sharing-1.0 creativeml-openrail-m deepfloyd-if-license ecl-2.0 epl-1.0 epl-2.0
    etalab-2.0 eupl-1.1 gemma gfdl gpl gpl-2.0 gpl-3.0 isc lgpl lgpl-2.1 lgpl-3.0 lgpl-lr llama2 llama3 llama3.1 llama3.2 llama3.3
    llama4 lppl-1.3c mit mpl-2.0 ms-pl ncsa odbl odc-by ofl-1.1 openrail openrail++ osl-3.0 pddl postgresql unlicense wtfpl
    zlib""".split()
)
FREE = ("cc0-1.0", "public-domain", "pddl", "unlicense", "wtfpl", "0bsd")  # they ask for nothing
RAILS: tuple[str, ...] = (
    "openrail",
    "openrail-m",
    "openrail++",
    "openrail++-m",
    "creativeml-openrail-m",
    "creativeml-openrail++-m",
)
RAILS += ("bigscience-openrail-m", "bigscience-bloom-rail", "bigcode-openrail-m")
LLAMAS = ("llama2", "llama3", "llama3.1", "llama3.2", "llama3.3", "llama4")
STEMS: dict[str, tuple[Kind, ...]] = {  # by name, without a version
    **dict.fromkeys((*FREE, "mit", "x11", "isc", "apache", "ncsa", "zlib", "bsl-1.0", "postgresql", "psf"), (Kind.PERMISSIVE,)),
    **dict.fromkeys(("bsd", "bsd-2-clause", "bsd-3-clause", "bsd-3-clause-clear", "bsd-4-clause"), (Kind.PERMISSIVE,)),
    **dict.fromkeys(("afl", "ecl", "artistic", "ms-pl", "mulanpsl", "upl", "unicode", "blueoak"), (Kind.PERMISSIVE,)),
    **dict.fromkeys(("cdla-permissive", "openmdw"), (Kind.PERMISSIVE,)),
    **dict.fromkeys(("odc-by", "etalab", "ogl", "ogl-uk"), (Kind.ATTRIBUTION,)),
    **dict.fromkeys(("gpl", "lgpl", "agpl", "gfdl", "lgpl-lr", "mpl", "epl", "eupl", "osl", "lppl", "ofl"), (Kind.SHARE_ALIKE,)),
    **dict.fromkeys(("odbl", "cdla-sharing"), (Kind.SHARE_ALIKE,)),
    **dict.fromkeys((*RAILS, *LLAMAS, "gemma"), (Kind.SHARE_ALIKE,)),
    **dict.fromkeys(("all-rights-reserved", "proprietary"), (Kind.NON_COMMERCIAL, Kind.NO_DERIVATIVES)),
    **dict.fromkeys(("deepfloyd-if-license", "apple-amlr"), (Kind.RESEARCH_ONLY,)),
}
NOTES: dict[str, str] = {
    **dict.fromkeys(RAILS, "a list of forbidden uses goes on to models made from it"),
    **dict.fromkeys((*LLAMAS, "gemma"), "its own terms, with limits on use, go on to models made from it"),
    **dict.fromkeys(("all-rights-reserved", "proprietary"), "nothing is allowed without the owner's leave"),
}
ALIASES = {
    "cc0": "cc0-1.0", "cc-0": "cc0-1.0", "cc-zero": "cc0-1.0", "publicdomain-zero": "cc0-1.0",
    "cc-public-domain": "public-domain", "cc-pdm": "public-domain", "pdm": "public-domain",
    "publicdomain-mark": "public-domain", "public-domain-mark": "public-domain", "公有领域": "public-domain", "expat": "mit",
    "apache-software": "apache", "new-bsd": "bsd-3-clause", "modified-bsd": "bsd-3-clause", "simplified-bsd": "bsd-2-clause",
    "boost-software-1.0": "bsl-1.0", "python": "psf", "mulan-psl": "mulanpsl", "odc-odbl": "odbl", "open-database": "odbl",
    "gnu-gpl": "gpl", "gnu-general-public": "gpl", "general-public": "gpl", "gnu-lgpl": "lgpl",
    "gnu-lesser-general-public": "lgpl", "gnu-agpl": "agpl", "gnu-affero-general-public": "agpl",
    "gnu-free-documentation": "gfdl", "mozilla-public": "mpl", "eclipse-public": "epl", "open-government": "ogl",
    "deepfloyd-if": "deepfloyd-if-license", "版权所有": "all-rights-reserved", "保留所有权利": "all-rights-reserved",
    "copyrighted": "all-rights-reserved",
}  # fmt: skip

FILLERS = (
    r"(?<![a-z])(the|licen[cs]e[ds]?|agreement|community|version|under|terms-of-use|international|unported|universal|generic)"
    r"(?![a-z])"
)
SHORT = (  # Creative Commons' words
    (r"知识共享", "cc-"),
    (r"许可协议|协议|许可证|国际", "-"),
    (r"creative-?commons", "cc"),
    (r"attribution|署名", "by"),
    (r"non-?commercial|非商业性使用|非商业性?", "nc"),
    (r"share-?alike|相同方式共享", "sa"),
    (r"no-?deriv(atives?|s)?(-works)?|禁止演绎", "nd"),
)
PARTS = {"by": Kind.ATTRIBUTION, "nc": Kind.NON_COMMERCIAL, "nd": Kind.NO_DERIVATIVES, "sa": Kind.SHARE_ALIKE}
HINTS = (  # of a name that is none of the above: words that say enough
    (r"(non|not?(-for)?(-any)?|without)-?commercial|(?<![a-z])nc(?![a-z])|personal-use|非商", Kind.NON_COMMERCIAL),
    (r"no-?deriv|禁止演绎", Kind.NO_DERIVATIVES),
    (r"research|academic|科研|研究|学术", Kind.RESEARCH_ONLY),
)
LONGEST = 60  # characters of an unknown name


def licence_of(text: str | None) -> Licence:
    """A licence as written: an SPDX id or expression, a name of the hub, a Creative Commons address, or words in en or zh.

    What is not recognised is unknown, and keeps its name.
    """
    plain = " ".join("".join(c if c.isprintable() else " " for c in text or "").split())
    key = _key(plain)
    if key in NOTHING_SAID:
        return UNKNOWN
    if found := _known(key):
        return found
    nested = "(" in plain  # a choice within a sum: all of it is taken for a sum
    for joint, choice in ((r" or |\s*或\s*", True), (r" and |-and-|\s*[,;&、；，]\s*| / |\s*和\s*", False)):
        parts = [part.strip(" ()") for part in re.split(joint, plain, flags=re.IGNORECASE)]
        if len(parts) > 1 and any(_known(_key(part)) for part in parts):
            several = [licence_of(part) for part in parts if part]
            return min(several, key=_rank) if choice and not nested else strictest(several)
    hints = tuple(kind for pattern, kind in HINTS if re.search(pattern, key))
    if "commercial" in key and Kind.NON_COMMERCIAL not in hints:
        hints = ()  # "for research and commercial use"
    name = key if re.fullmatch(r"[a-z0-9.+-]{1,60}", key) else plain if len(plain) <= LONGEST else plain[: LONGEST - 1] + "…"
    return Licence(name, tuple(sorted(hints, key=ORDER.index)) or (Kind.UNKNOWN,))


def _key(plain: str) -> str:
    """Small letters, hyphens for spaces, without the words that every licence has."""
    key = plain.casefold()
    if address := re.fullmatch(r"https?://(?:www\.)?([^/]+)/(.*?)(?:/(?:deed|legalcode)[^/]*)?/?", key):
        host, path = address[1], re.sub(r"\.(html?|txt)$", "", address[2])
        key = path.rpartition("/")[2]
        if host == "creativecommons.org":
            key = path.replace("licenses/", "cc-")  # publicdomain/zero/1.0 is an alias
        elif host == "apache.org":
            key = f"apache-{key}"
    key = re.sub(r"\bwith [\w.-]*exception[\w.-]*$", "", key)
    key = re.sub(FILLERS, "-", re.sub(r"[\s_/,()\"'’:]+", "-", key))
    return re.sub(r"-+", "-", key).strip("-.")


def _known(key: str) -> Licence | None:
    """By its name, or by what a Creative Commons name is made of."""
    found = re.fullmatch(r"(.*?)-?v?(\d+(?:\.\d+)*[a-c]?)?(?:-only|-or-later|\+)?", key)
    assert found is not None
    for stem, number in ((key, ""), (found[1], found[2] or "")):
        stem = ALIASES.get(stem, stem)
        stem = re.sub(r"^(meta-)?llama-?(?=\d)", "llama", stem)
        if stem in STEMS:
            versions = (f"{stem}-{number}", f"{stem}-{number}.0", stem)
            full = f"{stem}-{number}" if number and stem not in FREE else stem
            name = next((one for one in versions if one in HUB), full)
            return Licence(name, STEMS[stem], NOTES.get(stem, ""))
    return _creative_commons(key)


def _creative_commons(key: str) -> Licence | None:
    for pattern, short in SHORT:
        key = re.sub(pattern, short, key)
    parts = [part for part in key.split("-") if part]
    flags = [flag for flag in PARTS if flag in parts]
    rest = [part for part in parts if part not in (*flags, "cc")]
    if not flags or parts[0] not in ("cc", "by") or not all(re.fullmatch(r"v?\d(\.\d)?|igo|[a-z]{2}", one) for one in rest):
        return None
    number = next((one.removeprefix("v") for one in rest if one[-1].isdigit()), "")
    name = "-".join(["cc", *flags, *([f"{number}.0" if number.isdigit() else number] if number else [])])
    return Licence(name, tuple(sorted((PARTS[flag] for flag in flags), key=ORDER.index)))


def _rank(one: Licence) -> tuple[bool, bool, int, str]:
    return Kind.UNKNOWN in one.kinds, one.commercial is False, ORDER.index(one.kind), one.name


def strictest(licences: Iterable[Licence]) -> Licence:
    """One licence that asks for all that these ask for.

    It has the name of one of them only where that one asks for everything; else it is named after several, and is unknown
    where any of them is. Of none at all it is unknown.
    """
    several = sorted(set(licences), key=_rank)
    several = [one for one in several if one.name not in FREE] or several[:1] or [UNKNOWN]
    if len(several) == 1:
        return several[0]
    kinds = tuple(kind for kind in ORDER if any(kind in one.kinds for one in several))
    note = "; ".join(dict.fromkeys(one.note for one in several if one.note))
    if Kind.UNKNOWN in kinds:
        return Licence("unknown", kinds, note)
    asked = {*kinds} - {Kind.PERMISSIVE}
    for one in several:
        others = {kind for other in several if other is not one for kind in other.kinds}
        if asked and asked <= {*one.kinds} and not others & OWN_TERMS:
            return Licence(one.name, kinds, note)
    names = sorted(one.name for one in several)
    return Licence("-and-".join(names) if len(names) <= 3 else "several-licences", kinds, note)


def cautions(documents: Mapping[Licence, int], base: Licence | None = None) -> list[str]:
    """What whoever uses the model must know, in lines.

    Args:
        documents: how many of the training documents have each licence.
        base: of the checkpoint that training began with; None where there was none.
    """
    total = sum(documents.values())
    lines = []

    def told(what: str, which: Iterable[Licence]) -> None:
        some = sorted(which, key=lambda one: (-documents[one], one.name))
        if some:
            names = ", ".join(f"{one.name}: {documents[one]:,}" for one in some[:8]) + (", ..." if len(some) > 8 else "")
            lines.append(f"{what}: {sum(documents[one] for one in some):,} of {total:,} training documents ({names})")

    told("licences of the data forbid commercial use", (one for one in documents if one.commercial is False))
    if base is not None and base.commercial is False:
        lines.append(f"the base model's licence ({base.name}) forbids commercial use")
    told("licences of the data forbid derivatives, which a model may be", (x for x in documents if Kind.NO_DERIVATIVES in x.kinds))
    if base is not None and Kind.NO_DERIVATIVES in base.kinds:
        lines.append(f"the base model's licence ({base.name}) forbids derivatives, and this model is one")
    told("licences of the data are not known", (one for one in documents if Kind.UNKNOWN in one.kinds))
    if base is not None and Kind.UNKNOWN in base.kinds:
        lines.append("the base model's licence is not known")
    return lines
