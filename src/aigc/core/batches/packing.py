"""Samples into bins that are as full as can be."""

from bisect import bisect_left, insort
from collections.abc import Sequence

from aigc.core.batches.sample import Sample

__all__ = ["pack"]


def pack(samples: Sequence[Sample], *, places: int, source_places: int = 0) -> list[list[Sample]]:
    """Each sample, longest first, into the fullest bin that has room for it (best fit decreasing).

    Within a bin samples of one length stand together, longest first: attention takes those in one call.

    Args:
        places: room of a bin for inputs.
        source_places: room of a bin for sources; 0 where there are none.
    """
    bins: list[list[Sample]] = []
    left: list[int] = []  # room for sources
    room: list[tuple[int, int]] = []  # (room for inputs, bin), sorted
    sources = [0 if sample.source_ids is None else len(sample.source_ids) for sample in samples]
    for number in sorted(range(len(samples)), key=lambda i: (-len(samples[i].input_ids), -sources[i])):
        inputs, source = len(samples[number].input_ids), sources[number]
        at = bisect_left(room, (inputs, -1))
        while at < len(room) and left[room[at][1]] < source:
            at += 1
        if at < len(room):
            free, place = room.pop(at)
        else:
            free, place = places, len(bins)
            bins.append([])
            left.append(source_places)
        bins[place].append(samples[number])
        left[place] -= source
        insort(room, (free - inputs, place))
    return bins
