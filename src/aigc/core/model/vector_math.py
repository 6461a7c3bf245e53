"""The first call of MKL's vector functions by one thread alone."""

from functools import cache

import torch

__all__ = ["settle"]


@cache
def settle() -> None:
    """Call one of them, on one number, before any is called on many.

    Torch on a CPU takes exp, log, tanh and the like from MKL, by all threads at once. Where the first call of a process is made by
    two threads, one of them sometimes computes its half to four digits only (torch 2.13: 7 of 100 processes on a busy machine, none
    after this): the first step of training would not be the same in each run.
    """
    torch.exp(torch.zeros(1))
