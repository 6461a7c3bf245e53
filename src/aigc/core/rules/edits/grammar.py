"""English sentences with small faults into sentences without, after Harper's suggestions."""

import re
from functools import cache
from typing import TYPE_CHECKING

import polars as pl

from aigc.core.rules.diffs import Change, apply
from aigc.core.rules.edits.each import each
from aigc.core.rules.edits.literals import HAN, places
from aigc.core.rules.rule import Edit
from aigc.errors import AigcError

if TYPE_CHECKING:
    from harper import Lint, Linter

__all__ = ["EnglishGrammar"]

_ROUNDS = 3


class EnglishGrammar(Edit):
    """Mend small faults of English: she have to she has, an test to a test, the the to the, teh to the. Source: Harper 2.13.

    Three kinds of Harper's suggestions are taken: a pronoun and its verb at the head of a clause; a and an before a word in small
    letters; a repeated article, conjunction or possessive. Its spelling is not: on edited news every correction of its that had no
    rival was wrong (backbenchers to backbenches), so only misspellings of a list of ours are mended (recieve). Sentences with
    Chinese in them, code, addresses, numbers and tags stay. A corpus takes long: 100,000 characters a second. Needs the extra
    `grammar`.
    """

    def text(self) -> pl.Expr:
        """See Edit.

        Raises:
            AigcError: harper-py is not installed.
        """
        _linter()  # here, so that it is told before the first batch
        return each(_mended, where=r"[a-z]{2}")


_RULES = ("AnA", "DidPast", "PronounInflectionBe", "PronounVerbAgreement", "RepeatedWords")
_DOUBLED = frozenset("the a an of and or but with from our your their my its this these than because".split())
_THIRD = {"have": "has", "do": "does", "don't": "doesn't", "go": "goes", "make": "makes", "take": "takes", "say": "says"}
_HEAD = re.compile(
    r"(?:^|[.!?;,:]\s+|\b(?:and|but|because|so|when|while)\s+)(?:I|[Yy]ou|[Hh]e|[Ss]he|[Ii]t|[Ww]e|[Tt]hey)\s+\Z", re.MULTILINE
)
_ARTICLE = re.compile(r"(?:^|[\s(])\Z")
_NEXT = re.compile(r"\s+(?!h)(?=[a-z]?[aeiou])[a-z]{3,}(?=[\s.,;:!?)]|\Z)")  # no acronym; whether h is heard, people differ
_ASKED = re.compile(r"(?:^|[.!?]\s+)(?:[Ii]f|[Ww]ish|[Ww]hether|[Ll]et|[Mm]ay|[Ss]uggest)\b[^.!?]*\Z")
_SENTENCE_END = re.compile(r"[.!?。！？\n]")
_HAN_SIGN = re.compile(f"[{HAN}]")


_TYPOS = dict(
    pair.split("/")
    for pair in (
        "teh/the recieve/receive recieved/received recieves/receives seperate/separate seperated/separated seperately/separately "
        "occured/occurred occurence/occurrence definately/definitely goverment/government governement/government untill/until "
        "enviroment/environment "
        "wich/which becuase/because thier/their beleive/believe beleived/believed acheive/achieve acheived/achieved "
        "accomodate/accommodate arguement/argument begining/beginning commitee/committee completly/completely concious/conscious "
        "embarass/embarrass existance/existence foriegn/foreign freind/friend freinds/friends happend/happened wierd/weird "
        "immediatly/immediately independant/independent knowlege/knowledge neccessary/necessary noticable/noticeable "
        "occassion/occasion persistant/persistent posession/possession prefered/preferred recomend/recommend refered/referred "
        "relevent/relevant succesful/successful suprise/surprise tommorow/tomorrow truely/truly"
    ).split()
)
_TYPO = re.compile(rf"(?<![\w@#.'’-])(?:{'|'.join(_TYPOS)})(?![\w@'’-]|\.\w)", re.IGNORECASE)


@cache
def _linter() -> "Linter":
    try:
        from harper import Linter, get_default_lint_config
    except ImportError as error:
        raise AigcError("english_grammar needs harper-py: pip install 'aigc[grammar]'") from error
    linter = Linter()  # a second
    linter.set_lint_config({name: name in _RULES for name in get_default_lint_config()})
    return linter


def _mended(text: str) -> str:
    for _ in range(_ROUNDS):
        was, text = text, apply(text, _changes(text))
        if text == was:
            break
    return text


def _changes(text: str) -> list[Change]:
    kept = places(text)
    found = [(*typo.span(), _TYPOS[typo[0].lower()]) for typo in _TYPO.finditer(text) if not typo[0].isupper()]
    for rule, lints in _linter().organized_lints(text, language="plaintext").items():
        for lint in lints:
            if len(lint.suggestions) == 1 and _is_safe(rule, text, lint):
                found.append((lint.span.start, lint.span.end, lint.suggestions[0].replacement_text))
    return _apart(
        [
            (begin, end, _in_case(text[begin:end], new))
            for begin, end, new in found
            if kept.at(begin, end) is None and not _is_chinese(text, begin, end)
        ]
    )


def _apart(found: list[Change]) -> list[Change]:
    kept: list[Change] = []
    for one in sorted(found):
        if not kept or one[0] >= kept[-1][1]:
            kept.append(one)
    return kept


def _is_safe(rule: str, text: str, lint: "Lint") -> bool:
    begin, end, new = lint.span.start, lint.span.end, lint.suggestions[0].replacement_text
    old, before = text[begin:end], text[max(begin - 60, 0) : begin]
    match rule:
        case "AnA":
            return old.lower() in ("a", "an") and bool(_ARTICLE.search(before) and _NEXT.match(text, end))
        case "RepeatedWords":
            parts = old.lower().split()
            near = text[begin - 1 : begin] + text[end : end + 1]
            return len(parts) == 2 and parts[0] == parts[1] and parts[0] in _DOUBLED and not re.search(r"[-'’\w]", near)
        case "PronounVerbAgreement":
            return bool(_HEAD.search(before)) and (_THIRD.get(old) == new or (old.endswith("s") and new == old.removesuffix("s")))
        case "PronounInflectionBe":
            return bool(_HEAD.search(before)) and not _ASKED.search(before) and old in ("was", "were", "am", "is", "are")
        case "DidPast":
            return old.islower()
    return False


def _is_chinese(text: str, begin: int, end: int) -> bool:
    """Whether the sentence has Chinese in it."""
    start = max((found.end() for found in _SENTENCE_END.finditer(text, max(begin - 300, 0), begin)), default=max(begin - 300, 0))
    stop = found.start() if (found := _SENTENCE_END.search(text, end)) else len(text)
    return _HAN_SIGN.search(text, start, stop) is not None


def _in_case(old: str, new: str) -> str:
    return new[:1].upper() + new[1:] if old[:1].isupper() else new
