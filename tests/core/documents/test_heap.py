"""Freed arrays go back to the system, also where small ones that stay lie between them."""

import sys
from pathlib import Path

import numpy as np
import pytest

from aigc.core.documents.heap import give_back_large

MB = 1 << 20


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_arrays_that_are_freed_are_no_longer_resident() -> None:
    give_back_large()
    np.ones(24 * MB, np.uint8)  # freed at once: by itself glibc would now keep blocks of that size
    before = resident()
    large, small = [], []
    for _ in range(20):
        large.append(np.ones(8 * MB, np.uint8))
        small.append(np.ones(1000, np.uint8))
    assert resident() - before > 150 * MB
    del large
    assert resident() - before < 20 * MB, f"{len(small)} small arrays hold the large ones' room"
