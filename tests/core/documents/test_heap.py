"""Freed arrays go back to the system, also where small ones that stay lie between them."""

import subprocess
import sys

import pytest

# in a process of its own: one that ran other tests has free memory from which it takes the arrays
PROGRAM = """
from pathlib import Path

import numpy as np

from aigc.core.documents.heap import give_back_large

MB = 1 << 20


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


give_back_large()
np.ones(24 * MB, np.uint8)  # freed at once: by itself glibc would now keep blocks of that size
before = resident()
large, small = [], []
for _ in range(20):
    large.append(np.ones(8 * MB, np.uint8))
    small.append(np.ones(1000, np.uint8))
held = resident() - before
del large
print(held // MB, (resident() - before) // MB)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_arrays_that_are_freed_are_no_longer_resident() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60)
    held, left = map(int, done.stdout.split())
    assert held > 150
    assert left < 20, "small arrays that stay hold the large ones' room"
