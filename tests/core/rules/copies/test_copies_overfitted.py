"""A model that learned its documents by heart: what it writes is rejected, with the document that it comes from."""

from pathlib import Path

import polars as pl
import pytest
import torch
from quoting import bundled, indexed, is_chinese

from aigc.core.model import families
from aigc.core.rules.apply import Seen, apply
from aigc.core.rules.copies.rules import CopiedRun
from aigc.core.tokens.training import train

CONTEXT = 80


def test_samples_of_an_overfitted_model_are_rejected_with_their_source(tmp_path: Path) -> None:
    rows = [row for row in bundled(tmp_path / "clean") if len(row[1]) > (150 if is_chinese(row[1]) else 400)]
    english, chinese = ([row for row in rows if is_chinese(row[1]) == wanted] for wanted in (False, True))
    learned, others = [*english[:4], *chinese[:4]], [*english[4:24], *chinese[4:24]]
    copies = indexed(tmp_path / "index", [*learned, *others])
    codec = train([text for _, text in learned], kind="bpe", family="decoder", vocabulary=1500, context=CONTEXT)
    ids = torch.tensor([codec.encode([text])[0][:CONTEXT] for _, text in learned])
    torch.manual_seed(0)
    model = families.build(
        "gpt2",
        shape=families.Shape(layers=2, width=64, heads=2, dropout=0.0),
        vocabulary=codec.vocabulary,
        ids=families.SpecialIds.of(codec),
        context=CONTEXT,
    ).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=0.0)
    for _ in range(90):
        loss = model(input_ids=ids, labels=ids, use_cache=False).loss
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    assert loss.item() < 0.1
    model.eval()
    written = ids[:, :6]
    with torch.no_grad():
        while written.shape[1] < CONTEXT:
            following = model(input_ids=written, use_cache=False).logits[:, -1].argmax(-1, keepdim=True)
            written = torch.cat([written, following], 1)
    samples = pl.DataFrame({"id": [name for name, _ in learned], "text": [codec.decode(one) for one in written[:, 6:].tolist()]})
    own = pl.DataFrame(
        {"id": ["own"], "text": ["这一句是自己写的，没有抄谁。This sentence was written here, and nobody has read it before."]}
    )
    outcome = apply(pl.concat([samples, own]), [CopiedRun(index=str(tmp_path / "index"))], Seen())
    assert outcome.kept["id"].to_list() == ["own"]
    for entry in outcome.ledger.iter_rows(named=True):
        assert entry["detail"].split(" (")[0] == entry["id"]
        assert entry["value"] > 50
        assert copies.of(samples.filter(id=entry["id"])["text"][0]).verbatim == pytest.approx(entry["value"], abs=3)
