"""A classifier that aigc finetuned against TF-IDF and logistic regression, on the same split.

    python scripts/score_classify.py runs/topics --label topic [--document "{title}\\n{text}"]

The run has clean, split, finetune (task: classify) and evaluate. Needs scikit-learn. Words and pairs of words for text with spaces,
characters and runs of two and three for Chinese; the regularisation is chosen on the validation split.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import polars as pl
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

from aigc.core.documents.template import fill


def part_of(run: Path, part: str, document: str, label: str) -> tuple[list[str], list[str]]:
    """Texts and labels of a part of the split."""
    frame = pl.concat([pl.read_parquet(path) for path in sorted((run / "split").glob(f"{part}-*.parquet"))])
    return [fill(document, row) for row in frame.iter_rows(named=True)], [str(value) for value in frame[label]]


def main() -> None:
    """Fit, choose, tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--label", required=True)
    parser.add_argument("--document", default="{text}")
    given = parser.parse_args()
    document = given.document.replace("\\n", "\n")
    texts, labels = part_of(given.run, "train", document, given.label)
    spaced = np.mean([text.count(" ") / max(len(text), 1) for text in texts[:1000]]) > 0.05
    kind = {"ngram_range": (1, 2)} if spaced else {"analyzer": "char", "ngram_range": (1, 3)}
    vectors = TfidfVectorizer(sublinear_tf=True, min_df=2, **kind)
    known = vectors.fit_transform(texts)
    parts = {part: part_of(given.run, part, document, given.label) for part in ("validation", "test")}
    best = None
    for strength in (0.3, 1.0, 3.0, 10.0, 30.0, 100.0):
        model = LogisticRegression(C=strength, max_iter=2000).fit(known, labels)
        scores = {
            part: f1_score(truth, model.predict(vectors.transform(some)), average="macro") for part, (some, truth) in parts.items()
        }
        if best is None or scores["validation"] > best[1]["validation"]:
            best = strength, scores
    assert best is not None
    strength, scores = best
    print(f"TF-IDF + logistic regression, C={strength:g}: macro-F1 {scores['test']:.4f} (validation {scores['validation']:.4f})")
    report = json.loads((given.run / "evaluate" / "report.json").read_text("utf-8"))
    [figure] = [one for one in report["figures"] if one["name"] == "macro_f1"]
    print(f"aigc: macro-F1 {figure['value']:.4f} (95 % interval {figure['low']:.4f} to {figure['high']:.4f})")


if __name__ == "__main__":
    main()
