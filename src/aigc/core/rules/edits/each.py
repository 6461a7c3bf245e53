"""A function of one text into the expression of an edit."""

from collections.abc import Callable

import polars as pl

from aigc.core.rules.rule import TEXT

__all__ = ["each"]


def each(change: Callable[[str], str], where: str | None = None) -> pl.Expr:
    """The column `text`, each text changed.

    Args:
        change: of a text into its new text.
        where: a regular expression (Rust's); a text that has no match is left alone, at the speed of Polars.
    """

    def changed(texts: pl.Series) -> pl.Series:
        rows = (texts.str.contains(where) if where is not None else texts.is_not_null()).arg_true()
        if not len(rows):
            return texts
        return texts.clone().scatter(rows, [change(text) for text in texts.gather(rows)])  # scatter writes into its own series

    return TEXT.map_batches(changed, return_dtype=pl.String)
