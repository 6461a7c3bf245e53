"""A code point is among characters if it is one of them, also where it lies above the table."""

import numpy as np

from aigc.core.rules.alphabet import among


def test_only_the_named_characters_are_among_them() -> None:
    points = np.array([ord("。"), ord("a"), 0, 0xFFFF, 0x10000, 0x1F600, ord(".")], np.uint32)
    assert among(points, "。.").tolist() == [True, False, False, False, False, False, True]
    assert among(points[:0], "。.").tolist() == []
