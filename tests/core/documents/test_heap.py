"""Freed arrays go back to the system, also where small ones that stay lie between them; or stay, where they are needed again."""

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest

from aigc.core.documents.heap import give_back_large, kept

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


KEEPING = """
import resource
from pathlib import Path

from aigc.core.documents.heap import give_back_large, kept

MB = 1 << 20


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def step() -> int:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [b"x" * (size * MB) for size in (2, 100, 30, 5)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


give_back_large()  # what cleaning did, in the same process
before, outside = resident(), min(step() for _ in range(3))
with kept():
    step()
    inside = max(step() for _ in range(3))
    huge = sum(int(line.split()[1]) for line in Path("/proc/self/smaps").read_text().splitlines() if line.startswith("AnonHuge"))
left = resident() - before
with kept():
    step()
    again = max(step() for _ in range(3))
print(outside, inside, again, huge // 1024, left // MB)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_that_is_kept_is_not_fetched_again_and_goes_back_at_the_end() -> None:
    done = subprocess.run([sys.executable, "-c", KEEPING], capture_output=True, text=True, check=True, timeout=60)
    outside, inside, again, huge, left = map(int, done.stdout.split())
    assert outside > 60, "137 MB are fetched anew, in pages of 2 MB at the most"
    assert inside < 20
    assert again < 20
    assert left < 30
    system = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    if system.exists() and "[never]" not in system.read_text():
        assert huge >= 130


def test_where_there_is_no_glibc_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(ctypes, "CDLL", lambda _: pytest.fail("a library is asked"))
    with kept():
        give_back_large.__wrapped__()
