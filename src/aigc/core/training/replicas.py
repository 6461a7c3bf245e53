"""One training run on several processes: who takes part, what they add up, and how the model is shared."""

import atexit
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, TypeVar

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.fsdp import FSDPModule, fully_shard

from aigc.core.batches.batch import Batch
from aigc.errors import AigcError, Stopped

__all__ = ["Replicas", "Sharing", "joined", "resharded", "settled", "unsynchronised"]

T = TypeVar("T")
Sharing = Literal["replicate", "shard"]
HESITATION = 5.0  # seconds that a process waits for the first one to say what may have happened to both


@dataclass(frozen=True)
class Replicas:
    """The processes of a run. One process alone needs no group."""

    rank: int = 0
    count: int = 1
    local: int = 0  # number of this process on its machine, which is that of its GPU

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and speaks."""
        return self.rank == 0

    def device(self, device: torch.device) -> torch.device:
        """Each process of a machine has a GPU of its own."""
        return torch.device("cuda", self.local) if device.type == "cuda" and self.count > 1 else device

    def total(self, values: Sequence[float]) -> list[float]:
        """Numbers added up over all processes."""
        if self.count == 1:
            return list(values)
        device = torch.device("cuda", self.local) if dist.get_backend() == "nccl" else torch.device("cpu")
        sums = torch.tensor(list(values), dtype=torch.float64, device=device)
        dist.all_reduce(sums)
        found: list[float] = sums.tolist()
        return found

    def union(self, numbers: Iterable[int]) -> list[int]:
        """What any process has, in ascending order."""
        return sorted({number for each in self.gathered(list(numbers)) for number in each})

    def gathered(self, one: T) -> list[T]:
        """What each process has, in the order of their ranks."""
        if self.count == 1:
            return [one]
        found = [one] * self.count
        dist.all_gather_object(found, one)
        return found

    def wait(self) -> None:
        """Go on when all have come here."""
        if self.count > 1:
            dist.barrier()

    def share(self, learner: nn.Module, sharing: Sharing, blocks: Sequence[nn.Module] = ()) -> nn.Module:
        """A module whose gradients are the mean over all processes.

        Args:
            sharing: `replicate` keeps all weights everywhere (DistributedDataParallel), `shard` a part of weights, gradients and
                moments in each process (FSDP2, `fully_shard`).
            blocks: modules that are gathered one at a time when weights are sharded.
        """
        if self.count == 1:
            return learner
        if sharing == "replicate":
            cuda = next(learner.parameters()).is_cuda
            return nn.parallel.DistributedDataParallel(learner, device_ids=[self.local] if cuda else None)
        for block in blocks:
            fully_shard(block)
        fully_shard(learner)
        return learner


def unsynchronised(shared: nn.Module, *, last: bool) -> AbstractContextManager[None]:
    """Gradients of all but the last micro-batch of a step stay where they are."""
    if isinstance(shared, nn.parallel.DistributedDataParallel) and not last:
        return shared.no_sync()
    if isinstance(shared, FSDPModule):
        shared.set_requires_gradient_sync(last)
    return nullcontext()


def settled(shared: nn.Module, batch: Batch) -> None:
    """Let DistributedDataParallel arrange its buckets, by a backward pass that counts for nothing.

    It arranges them after its first one, and over three processes or more the arrangement decides how sums are rounded: without
    this, a run that is resumed would not be the run at once to the bit.
    """
    if isinstance(shared, nn.parallel.DistributedDataParallel):
        shared(batch, token_total=1.0, sequence_total=1.0).loss.backward()


def resharded(shared: nn.Module) -> None:
    """Let go of the weights that a forward pass has gathered for a backward pass which does not come."""
    for module in shared.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


@contextmanager
def joined() -> Iterator[Replicas]:
    """Take part in the group that torchrun or `accelerate launch` describes in the environment, or be alone.

    The processes speak with one voice: what stops all of them is said by the first, and the others leave in silence; what befalls
    one alone is said by that one.

    Raises:
        AigcError: the environment is incomplete, or another process ended.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Replicas()
        return
    missing = [name for name in ("RANK", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
    if missing:
        raise AigcError(f"WORLD_SIZE is {count}, but {' and '.join(missing)} is not set; start with torchrun")
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if torch.cuda.is_available():
        torch.cuda.set_device(local)
    if not dist.is_initialized():  # once in a process, for all stages: a group of the same processes cannot be made again
        # the others wait while the first one makes the tokens: that may take hours
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo", timeout=timedelta(days=1))
        atexit.register(dist.destroy_process_group)
    replicas = Replicas(int(os.environ["RANK"]), count, local)
    try:
        yield replicas
    except (AigcError, KeyboardInterrupt, RuntimeError) as error:
        atexit.unregister(dist.destroy_process_group)  # it might wait for the others
        lost = isinstance(error, dist.DistError) or "gloo" in str(error)
        if not replicas.first:
            _leave(replicas, error, lost=lost)
        if lost:
            raise AigcError(
                "another process of this run ended: see what it or torchrun says; run the same command again to go on"
            ) from None
        raise
    replicas.wait()  # one that leaves early would be missed


def _leave(replicas: Replicas, error: BaseException, *, lost: bool) -> None:
    """End a process that is not the first; return where the error is to be raised."""
    if lost:
        sys.exit(1)
    if isinstance(error, KeyboardInterrupt):
        sys.exit(130)
    if isinstance(error, Stopped):
        sys.exit(error.exit_code)
    if isinstance(error, AigcError):
        try:
            time.sleep(HESITATION)  # where the first one fails alike, it has said so by now, and torchrun ends this one
        except KeyboardInterrupt:
            sys.exit(error.exit_code)
        print(f"aigc: process {replicas.rank} of {replicas.count}: {error}", file=sys.stderr, flush=True)
        sys.exit(error.exit_code)
