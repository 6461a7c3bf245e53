"""Whatever the block size, each line of a stream comes back with its number, is blank, or is told to be too long."""

import io

from hypothesis import given
from hypothesis import strategies as st

from aigc.core.documents.blocks import line_blocks


@given(
    data=st.lists(st.sampled_from([b"a", b"bcd", "字".encode(), b" ", b"\n", b"\n\n", b"\r\n", b"\x00\xff"])).map(b"".join)
    | st.binary(max_size=60),
    block=st.integers(1, 12),
    max_line=st.integers(1, 12),
)
def test_no_line_is_lost_or_misnumbered(data: bytes, block: int, max_line: int) -> None:
    if data.startswith(b"\xef"):  # a byte order mark is for the test below
        data = b"x" + data
    found: dict[int, bytes] = {}
    too_long: list[int] = []
    for lines in line_blocks(io.BytesIO(data), block=block, max_line=max_line):
        assert len(lines.lines) == len(lines.numbers)
        assert not found.keys() & set(lines.numbers)
        found |= zip(lines.numbers, lines.lines, strict=True)
        too_long += lines.too_long
    assert len(too_long) == len(set(too_long))
    for number, line in enumerate(data.split(b"\n"), start=1):
        if number in too_long:
            assert len(line) > max_line
            assert number not in found
        elif line.strip():
            assert found.pop(number) == line
    assert not found


def test_a_line_longer_than_allowed_is_skipped_and_its_neighbours_stay() -> None:
    data = b"one\n" + b"x" * 50 + b"\ntwo"
    blocks = list(line_blocks(io.BytesIO(data), block=4, max_line=10))
    assert [n for lines in blocks for n in lines.too_long] == [2]
    assert [line for lines in blocks for line in lines.lines] == [b"one", b"two"]
    assert [n for lines in blocks for n in lines.numbers] == [1, 3]


def test_a_byte_order_mark_is_removed_once() -> None:
    blocks = line_blocks(io.BytesIO(b"\xef\xbb\xbfone\n\xef\xbb\xbftwo\n"), block=100)
    assert [line for lines in blocks for line in lines.lines] == [b"one", b"\xef\xbb\xbftwo"]
