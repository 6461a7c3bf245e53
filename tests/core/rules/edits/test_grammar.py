"""Small faults of English are mended; what is right, quoted, Chinese or only maybe wrong stays."""

import sys

import polars as pl
import pytest

from aigc.core.rules.edits import grammar
from aigc.core.rules.edits.grammar import EnglishGrammar
from aigc.errors import AigcError


def edited(*texts: str) -> list[str]:
    frame = pl.DataFrame({"text": list(texts)}, schema={"text": pl.String})
    return frame.with_columns(text=EnglishGrammar().text())["text"].to_list()


def test_small_faults_are_mended() -> None:
    pairs = {
        "This is an test of the the linter.": "This is a test of the linter.",
        "She have a apple and an banana.": "She has an apple and a banana.",
        "He go to school every day.": "He goes to school every day.",
        "They goes home, and we was happy.": "They goes home, and we were happy.",
        "He don't know.": "He doesn't know.",
        "He did not went.": "He did not go.",
        "Teh goverment recieved it.": "The government received it.",
        "The the end": "The end",
        "中文在前。\nAn unicorn ran.": "中文在前。\nA unicorn ran.",
    }
    assert edited(*pairs) == list(pairs.values())
    assert edited(*pairs.values()) == list(pairs.values())


def test_what_is_right_or_in_doubt_stays() -> None:
    texts = [
        "He had had enough; that that is, is. Bye bye, New York New York.",
        "If I were you, I would let it go. I suggest that he have a rest.",
        "It was an historic day at a European university; an MRI scan, an FBI agent.",
        "He beat her, and she put it down. I wish he were here.",
        "Beckham, Chidambaram and OpenAI like the colour of the organization.",
        "a break-in in 1999, the state that he was in in 2004",
        "Use `teh the the` and teh@teh.com, http://teh.com/an/test",
        "他说 he go there 了，an test 很好。",
        "The modle and the documnet of a backbencher.",
    ]
    assert edited(*texts) == texts


def test_without_harper_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    grammar._linter.cache_clear()
    monkeypatch.setitem(sys.modules, "harper", None)
    with pytest.raises(AigcError, match=r"pip install 'aigc\[grammar\]'"):
        EnglishGrammar().text()
