"""What the rules say of rows: what is prepared is not remembered, and what a rule lacks is told before anything is drawn."""

import pytest

from aigc.core.rules.copies.rules import CopiedRun
from aigc.core.rules.duplicates.exact import ExactDuplicates
from aigc.core.rules.measures.given import MissingFacts
from aigc.errors import AigcError
from aigc.production.judge import Judge


def test_what_is_read_to_prepare_is_no_duplicate_of_a_sample() -> None:
    judge = Judge([MissingFacts(fields=["who"]), ExactDuplicates()])
    judge.prepare()
    rows = [{"id": str(i), "text": "Two words. 两句。"} for i in range(2)]
    (_, first), (_, second) = judge(rows, [{"who": None}, {}])
    assert first is None
    assert second is not None and second["rule"] == "exact_duplicates"


def test_a_rule_without_its_index_is_told_when_it_is_prepared() -> None:
    with pytest.raises(AigcError, match="copied_run: no index of training documents"):
        Judge([CopiedRun()]).prepare()
