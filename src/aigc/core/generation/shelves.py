"""Keys and values of many sequences, side by side: a row for each slot, a column for each token."""

import torch

__all__ = ["Shelf"]

STEP = 64  # tokens: a shelf has room for a multiple of it


class Shelf:
    """Keys and values (S, K, C, D) of one attention: S slots, K heads, C tokens at most, grown as they are needed."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._tokens = 0  # C
        self.keys: torch.Tensor | None = None
        self.values: torch.Tensor | None = None

    def reserve(self, tokens: int) -> None:
        """Have room for sequences of so many tokens."""
        if tokens <= self._tokens:
            return
        self._tokens = -(-max(tokens, self._tokens * 3 // 2) // STEP) * STEP
        self.keys, self.values = self._grown(self.keys), self._grown(self.values)

    def write(
        self,
        slots: torch.Tensor,
        places: torch.Tensor,
        keys_1KTD: torch.Tensor,
        values_1KTD: torch.Tensor,
        only: tuple[int, int] | None = None,
    ) -> None:
        """Put T tokens into their slots (T,) at their places (T,).

        Args:
            only: slot and place of a lone token, which is quicker put there by numbers.
        """
        if self.keys is None or self.values is None:
            _, heads, _, width = keys_1KTD.shape
            self.keys = keys_1KTD.new_zeros(self._slots, heads, self._tokens, width)
            self.values = torch.zeros_like(self.keys)
        if only is not None:
            slot, place = only
            self.keys[slot, :, place] = keys_1KTD[0, :, 0]
            self.values[slot, :, place] = values_1KTD[0, :, 0]
            return
        self.keys[slots, :, places] = keys_1KTD[0].transpose(0, 1).to(self.keys.dtype)
        self.values[slots, :, places] = values_1KTD[0].transpose(0, 1).to(self.values.dtype)

    def read(self, low: int, high: int, tokens: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The first tokens of neighbouring slots: keys and values (high - low, K, tokens, D), not copied."""
        assert self.keys is not None and self.values is not None, "nothing was written yet"
        return self.keys[low:high, :, :tokens], self.values[low:high, :, :tokens]

    def copy(self, source: int, target: int, tokens: int) -> None:
        """The first tokens of a slot into another."""
        for shelf in (self.keys, self.values):
            if shelf is not None:
                shelf[target, :, :tokens] = shelf[source, :, :tokens]

    def _grown(self, old: torch.Tensor | None) -> torch.Tensor | None:
        if old is None:
            return None
        slots, heads, tokens, width = old.shape
        new = old.new_zeros(slots, heads, self._tokens, width)
        new[:, :, :tokens] = old
        return new
