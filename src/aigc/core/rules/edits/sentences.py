"""Text that a sampler left into whole sentences."""

import polars as pl

from aigc.core.rules.rule import TEXT, Edit

__all__ = ["FinishSentence"]


class FinishSentence(Edit):
    """Trim a last sentence that was cut off; text without any finished sentence stays as it is."""

    def text(self) -> pl.Expr:
        finished = TEXT.str.extract(r"(?s)^(.*(?:[.!?][\"'”’)\]]*(?:\s|$)|[。！？…][”’」』）\"')]*))")
        return pl.coalesce(finished.str.strip_chars_end(), TEXT)
