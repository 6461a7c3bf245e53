"""Samples into bins that are as full as can be."""

from bisect import bisect_left, insort
from collections.abc import Sequence

from aigc.core.batches.sample import Sample
from aigc.errors import AigcError

__all__ = ["check_pair", "pack"]


def pack(samples: Sequence[Sample], *, places: int, source_places: int = 0) -> list[list[Sample]]:
    """Each sample, longest first, into the fullest bin that has room for it (best fit decreasing).

    Where there are sources, the longest is who takes the largest part of a bin's room on either side. Within a bin samples of one
    length stand together, longest first: attention takes those in one call. Mates stand behind the sample before them, and are
    placed with it.

    Args:
        places: room of a bin for inputs.
        source_places: room of a bin for sources; 0 where there are none.

    Raises:
        AigcError: a sample and its mate do not fit into one bin.
    """
    groups: list[list[Sample]] = []
    for sample in samples:
        if sample.mate:
            groups[-1].append(sample)
        else:
            groups.append([sample])
    bins: list[list[int]] = []
    left: list[int] = []  # room for sources
    room: list[tuple[int, int]] = []  # (room for inputs, bin), sorted
    lengths = [sum(len(one.input_ids) for one in group) for group in groups]
    sources = [sum(0 if one.source_ids is None else len(one.source_ids) for one in group) for group in groups]
    largest = [max(one * source_places, other * places) for one, other in zip(lengths, sources, strict=True)]
    for number in sorted(range(len(groups)), key=lambda i: (-largest[i], -lengths[i], -sources[i])):
        inputs, source = lengths[number], sources[number]
        if len(groups[number]) > 1:
            check_pair(inputs, places)
        at = bisect_left(room, (inputs, -1))
        while at < len(room) and left[room[at][1]] < source:
            at += 1
        if at < len(room):
            free, place = room.pop(at)
        else:
            free, place = places, len(bins)
            bins.append([])
            left.append(source_places)
        bins[place].append(number)
        left[place] -= source
        insort(room, (free - inputs, place))
    orders = [sorted(one, key=lambda i: (-lengths[i], -sources[i], i)) for one in bins]
    return [[sample for number in order for sample in groups[number]] for order in orders]


def check_pair(tokens: int, places: int) -> None:
    """Check that two samples of so many tokens together fit into a bin.

    Raises:
        AigcError: they do not.
    """
    if tokens > places:
        raise AigcError(
            f"the two completions of a pair stay in one batch, and have {tokens} tokens with their prompts where a batch has "
            f"{places}: batch_size must be 2 or more for pairs"
        )
