"""A summary is made of the text's own sentences, in order, within its length, and prefers what the text keeps coming back to."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigc.core.generation.summary import summary

ZH = "老灯塔在海边站了一百年。今天食堂有红烧茄子。守灯塔的老人每晚点亮灯塔。有人丢了一把伞。灯塔的灯光照着海边的老人。"
EN = "The lighthouse keeper lit the lamp. Lunch was soup. The lamp of the lighthouse burned all night. Bob sneezed. He slept."


@pytest.mark.parametrize(
    ("text", "characters", "central", "marginal"),
    [(ZH, 35, "灯塔", ["茄子", "伞"]), (EN, 90, "lamp", ["soup", "sneezed"])],
)
def test_what_is_central_stays(text: str, characters: int, central: str, marginal: list[str]) -> None:
    found = summary(text, characters=characters)
    assert central in found
    assert not any(word in found for word in marginal)


def test_all_of_it_where_there_is_room() -> None:
    assert summary(ZH, characters=1000) == ZH
    assert summary(EN, characters=1000) == EN


def test_headings_are_left_out_and_paragraphs_joined() -> None:
    assert summary("## 雨\n\n下雨了。\n\n他走了。\n\nIt rained.", characters=100) == "下雨了。他走了。It rained."


@pytest.mark.parametrize(("text", "characters"), [("", 10), ("下雨了。", 0), ("下雨了。", 3), ("# 雨", 10), ("\n \n", 10)])
def test_nothing_where_nothing_fits(text: str, characters: int) -> None:
    assert summary(text, characters=characters) == ""


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(["灯塔亮了。", "海边下雨。", "It rained. ", "The lamp! ", "\n", "a"]), max_size=30), st.integers(0, 60)
)
def test_it_fits_and_is_the_same_each_time(pieces: list[str], characters: int) -> None:
    text = "".join(pieces)
    found = summary(text, characters=characters)
    assert len(found) <= characters
    assert found == summary(text, characters=characters)
    rest = iter(text)
    assert all(character in rest for character in found if character != " "), "sentences stand in their order"
