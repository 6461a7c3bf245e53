"""The page of rules shows what each edit does; here each row of its table is run."""

from pathlib import Path

import polars as pl
import pytest

from aigc.core.rules.rule import Edit, Surveyor
from aigc.core.rules.table import RULES, rule_class

PAGE = (Path(__file__).parents[4] / "docs" / "rules.md").read_text("utf-8")
TABLE = PAGE.partition("### Before and after")[2].partition("\n## ")[0]
ROWS = [
    [cell.strip().strip("`").replace("⏎", "\n") for cell in line.strip("|").split("|")]
    for line in TABLE.split("\n")
    if "| `" in line
]


@pytest.mark.parametrize(("name", "before", "after"), ROWS)
def test_a_row_of_the_table_is_true(name: str, before: str, after: str) -> None:
    rule = rule_class(name).model_validate({})
    assert isinstance(rule, Edit)
    texts = pl.DataFrame({"text": [before, after]}).with_columns(text=rule.text())["text"].to_list()
    assert texts == [after, after]


def test_every_edit_that_reads_one_document_has_a_row() -> None:
    lone = [name for name in RULES if issubclass(rule_class(name), Edit) and not issubclass(rule_class(name), Surveyor)]
    assert {name for name, *_ in ROWS} == {name for name in lone if name != "keep_lines"}, "keep_lines does nothing unless told"
