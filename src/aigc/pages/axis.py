"""Values into positions on a chart: an axis that is linear, or log-like where the values spread over orders of magnitude."""

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

__all__ = ["Axis", "unit_of"]


def unit_of(edges: Sequence[float]) -> float | None:
    """The width of the smallest bin if bins differ in width four times or more (their axis should bend there); None: linear."""
    widths = [high - low for low, high in pairwise(edges) if high > low]
    return max(min(widths), 1e-12 * max(widths)) if widths and max(widths) >= 4 * min(widths) else None


@dataclass(frozen=True)
class Axis:
    """Values from `low` to `high` onto positions from `start` to `end`.

    With a `unit` the axis follows asinh(value / unit): linear up to about one unit, logarithmic beyond, and it knows zero and
    negative values.
    """

    low: float
    high: float
    start: float
    end: float
    unit: float | None = None

    def _bent(self, value: float) -> float:
        return math.asinh(value / self.unit) if self.unit else value

    def part(self, value: float) -> float:
        """The position of a value as a part of the axis: 0 at its start, 1 at its end, more or less outside."""
        low, high = self._bent(self.low), self._bent(self.high)
        return (self._bent(value) - low) / (high - low) if high > low else 0.5

    def at(self, value: float) -> float:
        """The position of a value; outside values lie on the nearest end."""
        return self.start + min(max(self.part(value), 0.0), 1.0) * (self.end - self.start)

    def ticks(self, gap: float) -> list[float]:
        """Round values at least `gap` apart on the chart, in order."""
        if self.high - self.low < sys.float_info.min:  # that is no distance on any chart
            return [self.low]
        if not self.unit:
            room = max(int(abs(self.end - self.start) // gap), 1)
            step = _round_up((self.high - self.low) / room)
            first = math.ceil(self.low / step - 1e-9)
            return [step * i for i in range(first, math.floor(self.high / step + 1e-9) + 1)]
        chosen: list[float] = []
        for value in self._candidates(self.unit):
            if self.low <= value <= self.high and all(abs(self.at(value) - self.at(other)) >= gap for other in chosen):
                chosen.append(value)
        return sorted(chosen)

    def _candidates(self, unit: float) -> list[float]:
        largest = max(abs(self.low), abs(self.high), unit)
        powers = range(math.ceil(math.log10(largest)), math.floor(math.log10(unit)) - 1, -1)
        sizes = [digit * 10.0**power for digit in (1, 5, 2) for power in powers]
        return [0.0, *(sign * size for size in sizes for sign in (1, -1))]


def _round_up(value: float) -> float:
    """The next of 1, 2, 5, 10, 20, 50, ..."""
    power = 10.0 ** math.floor(math.log10(value))
    return next((digit * power for digit in (1, 2, 5) if digit * power >= value * (1 - 1e-9)), 10 * power)
