"""Torch's exp is the same from the first call on, also where two threads of a busy machine make it."""

import subprocess
import sys

from flats import model_of

from aigc.core.model.learner import Learner
from aigc.core.model.vector_math import settle

PROGRAM = """
import torch

from aigc.core.model.vector_math import settle

torch.set_num_threads(2)
x = -3 * torch.rand(32, 300)
settle()
print(bool((x.exp() == x.exp()).all()))
"""


def test_the_first_call_gives_what_all_give() -> None:
    started = [subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True) for _ in range(6)]
    assert {process.communicate(timeout=120)[0].strip() for process in started} == {"True"}


def test_what_trains_makes_it_first() -> None:
    settle.cache_clear()
    Learner(model_of("gpt2"))
    assert settle.cache_info().currsize == 1
