"""Requests into finished rows: continuous batching over a Stepper, a finished row's place being taken by the next request."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from aigc.core.generation.choosing import Chooser
from aigc.core.generation.request import Drawn, Request, Watch
from aigc.core.generation.speculation import Speculation
from aigc.core.generation.stepper import Feed, Stepper
from aigc.core.generation.writing import Writing

__all__ = ["draw"]

AT_ONCE = 2048  # tokens of new prompts, at most, that are read in one step (one prompt may have more)
SHARED = 16  # tokens that two prompts begin with alike, at least, for one to take them over from the other
WORTH_WAITING = 64  # such tokens, at least, for a request to wait a step until they have been read


@dataclass
class _Row:
    """A sequence in a slot: slot i holds row i."""

    request: Request
    writing: Writing
    pending: list[int]  # what the model has yet to read
    held: list[int] = field(default_factory=list)  # what it has read


def draw(
    stepper: Stepper,
    chooser: Chooser,
    requests: Iterable[Request | None],
    *,
    start: Sequence[int] = (),
    watch: Watch | None = None,
) -> Iterator[tuple[Request, Drawn]]:
    """Continue all prompts, each as its own request says, and give back each as it is finished.

    The same requests in the same order give the same rows in the same order. A prompt begins with what it shares with another one
    that is held already, so that a template's own tokens are read once.

    Args:
        chooser: begins a text for each request, and chooses.
        requests: None stands for "none has come yet": rows that are under way go on meanwhile.
        start: what the decoder of an encoder-decoder reads first; with it, prompts are what the encoder reads.
        watch: is told each piece of text.
    """
    waiting = _Waiting(requests)
    rows: list[_Row | None] = [None] * stepper.slots
    past: list[list[int]] = [[] for _ in rows]  # what each slot held last
    while True:
        new, full = _admit(stepper, chooser, waiting, rows, past, start)
        for row in full:
            yield row.request, row.writing.drawn()
        active = [slot for slot, row in enumerate(rows) if row is not None]
        if not active:
            if waiting.over:
                return
            continue
        if not new and waiting.over:  # no request will take the free slots
            _close_up(stepper, rows, past)
            active = list(range(len(active)))
        going = [row for row in rows if row is not None]
        feeds = [Feed(slot, row.pending) for slot, row in zip(active, going, strict=True)]
        if isinstance(stepper, Speculation):  # rows whose logits are there already go first
            places = stepper.first(feeds, [row.writing for row in going])
            active, going, feeds = [active[i] for i in places], [going[i] for i in places], [feeds[i] for i in places]
        logits_BV = stepper.step(feeds)
        tokens = chooser.choose(logits_BV, [row.writing for row in going])
        for slot, row, token in zip(active, going, tokens, strict=True):
            row.held += row.pending
            row.pending = [token]
            if watch is not None and (piece := row.writing.fresh()):
                watch(row.request, piece)
            if row.writing.finish is not None:
                rows[slot], past[slot] = None, row.held
        for row in going:
            if row.writing.finish is not None:
                yield row.request, row.writing.drawn()


class _Waiting:
    """The requests that are yet to come, with one that was taken and put back."""

    def __init__(self, requests: Iterable[Request | None]) -> None:
        self._requests = iter(requests)
        self._back: Request | None = None
        self.over = False

    def take(self) -> Request | None:
        """The next one; None where none has come yet, or none is left."""
        if self._back is not None:
            request, self._back = self._back, None
            return request
        try:
            return next(self._requests)
        except StopIteration:
            self.over = True
            return None

    def put_back(self, request: Request) -> None:
        """To be taken next."""
        self._back = request


def _admit(
    stepper: Stepper,
    chooser: Chooser,
    waiting: _Waiting,
    rows: list[_Row | None],
    past: list[list[int]],
    start: Sequence[int],
) -> tuple[list[_Row], list[_Row]]:
    """Give free slots to requests, as many as may be read at once; these, and those that have no room for a text."""
    tokens = 0
    new: list[_Row] = []
    full: list[_Row] = []
    free = [slot for slot, row in enumerate(rows) if row is None]
    while free:
        request = waiting.take()
        if request is None:
            break
        slot = free[0]
        if new and tokens + len(request.prompt_ids) > AT_ONCE:
            waiting.put_back(request)
            break
        prompt = list(start or request.prompt_ids)
        writing = chooser.begin(request, stepper.context - len(prompt))
        if writing.finish is not None:
            full.append(_Row(request, writing, []))
            continue
        held: list[int] = []
        if start:
            stepper.begin(slot, list(request.prompt_ids))
        else:
            source, shared = _alike(prompt, rows, past, slot)
            if _worth_waiting(prompt, new, shared):
                waiting.put_back(request)
                break
            held = _reuse(stepper, slot, source, shared, prompt)
        row = _Row(request, writing, prompt[len(held) :], held)
        rows[slot], past[slot] = row, []
        free.pop(0)
        new.append(row)
        tokens += len(row.pending)
    return new, full


def _alike(prompt: list[int], rows: list[_Row | None], past: list[list[int]], slot: int) -> tuple[int, int]:
    """The slot that holds most of what a prompt begins with, and how much; one token at least is left to be read."""
    most = prompt[:-1]
    best = slot, _common(most, past[slot])
    for other, row in enumerate(rows):
        count = _common(most, row.held if row is not None else past[other])
        if count > best[1]:
            best = other, count
    return best if best[1] >= SHARED else (slot, 0)


def _worth_waiting(prompt: list[int], new: list[_Row], shared: int) -> bool:
    """Whether a prompt that is read in the next step begins with much more than any that was read already."""
    return any(_common(prompt[:-1], row.held + row.pending) >= shared + WORTH_WAITING for row in new)


def _reuse(stepper: Stepper, slot: int, source: int, shared: int, prompt: list[int]) -> list[int]:
    """Make a slot ready for a prompt; what it holds of it already."""
    if not shared:
        stepper.begin(slot)
    elif source == slot:
        stepper.cut(slot, shared)
    else:
        stepper.copy(source, slot, shared)
    return prompt[:shared]


def _common(some: Sequence[int], others: Sequence[int]) -> int:
    """How many tokens both begin with."""
    count = 0
    for one, other in zip(some, others, strict=False):
        if one != other:
            break
        count += 1
    return count


def _close_up(stepper: Stepper, rows: list[_Row | None], past: list[list[int]]) -> None:
    """Let the last rows move into free slots, so that those at work stand side by side."""
    low, high = 0, len(rows) - 1
    while True:
        while low < high and rows[low] is not None:
            low += 1
        while low < high and rows[high] is None:
            high -= 1
        row = rows[high]
        if low >= high or row is None:
            return
        stepper.copy(high, low, len(row.held))
        rows[low], rows[high] = row, None
        past[low], past[high] = [], row.held
