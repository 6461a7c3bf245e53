"""The places of a blocklist's terms, in the characters as they are written, however they are disguised."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigc.core.rules.measures import blocklist
from aigc.core.rules.measures.blocklist import BlocklistHits

TERMS = ["zorbat", "glimpf haken", "哐噔货", "漢噔"]


def places(*texts: str, rule: BlocklistHits | None = None) -> list[tuple[int, str]]:
    """The number of a text and the characters that were found there."""
    found = (rule or BlocklistHits(words=TERMS)).spans(pl.Series(list(texts), dtype=pl.String))
    return [(row, texts[row][begin:end]) for row, begin, end in found.tolist()]


@pytest.mark.parametrize(
    "written",
    [
        "zorbat", "ZORBAT", "ｚｏｒｂａｔ", "Zor\u200bbat", "zo\u00adrbat", "zörbat", "zo\u0308rbat", "𝐳𝐨𝐫𝐛𝐚𝐭",
        "z-o-r-b-a-t", "z o r b a t", "z.o.r.b.a.t", "z0rbat", "zorb@t", "zor*bat",
        "glimpf haken", "Glimpf\n  haken", "glimpf-haken",
        "哐噔货", "哐噔貨", "哐*噔货", "哐 噔 货", "哐\u200b噔货", "汉噔", "漢噔",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    ("before", "after"), [("", ""), ("he is a ", ", they said"), ("他说：", "，大家都听见了"), ("¼ …①㎏ ", " ﬁn")]
)
def test_a_span_covers_what_is_written_and_no_more(before: str, after: str, written: str) -> None:
    assert places(before + written + after) == [(0, written)]


def test_an_accent_behind_the_last_character_belongs_to_it() -> None:
    assert places("a zorbat\u0301 b", "哐噔货\ufe0f。") == [(0, "zorbat\u0301"), (1, "哐噔货\ufe0f")]


def test_every_text_has_its_own_places() -> None:
    texts = ["", "a zorbat and a zorbat", "fine", "这个哐噔货是 zorbat", "zor", "bat"]
    assert places(*texts) == [(1, "zorbat"), (1, "zorbat"), (3, "哐噔货"), (3, "zorbat")]
    assert places() == []
    assert places("", "fine") == []


def test_terms_that_overlap_are_one_span() -> None:
    assert places("一二三四", rule=BlocklistHits(words=["一二三", "二三四"])) == [(0, "一二三四")]


def test_what_is_allowed_is_no_place() -> None:
    assert places("Dick van Dyke, a dick", rule=BlocklistHits(words=["dick"], allow=["dick van dyke"])) == [(0, "dick")]


def test_characters_that_become_several_do_not_shift_what_follows() -> None:
    """Half of a folded sign such as ㍿ (four characters) cannot be covered: the sign is."""
    assert places("㎏㎏ zorbat ﬃ ㍿是哐噔货") == [(0, "zorbat"), (0, "哐噔货")]
    assert places("在㍿工作", rule=BlocklistHits(words=["会社"])) == [(0, "㍿")]


@pytest.mark.parametrize("chunk", [1, 7, 40])
def test_chunks_do_not_move_places(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    texts = ["a zorbat", "", "㎏ 哐噔货", "fine", "z-o-r-b-a-t"] * 5
    whole = places(*texts)
    monkeypatch.setattr(blocklist, "CHUNK", chunk)
    assert places(*texts) == whole
    assert len(whole) == 15


_ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)


@given(
    texts=st.lists(st.lists(st.sampled_from([*TERMS, "z0rbat", "㎏", "é", "x\u0301"]) | _ANY, max_size=5).map("".join), max_size=5)
)
@settings(deadline=None, max_examples=50)
def test_spans_are_as_many_as_the_count_and_lie_in_their_texts(texts: list[str]) -> None:
    rule = BlocklistHits(words=TERMS)
    frame = pl.DataFrame({"text": texts}, schema={"text": pl.String})
    counts = frame.select(value=rule.value())["value"].to_list()
    found = rule.spans(frame["text"]).tolist()
    assert [sum(row == number for row, _, _ in found) for number in range(len(texts))] == counts
    assert all(0 <= begin < end <= len(texts[row]) for row, begin, end in found)
    assert found == sorted(found)
    for row, begin, end in found:
        assert frame.clear().vstack(pl.DataFrame({"text": [texts[row][begin:end]]})).select(value=rule.value()).item() >= 1
