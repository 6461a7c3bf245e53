"""What is told of whole samples, and tokens that are pushed down: steps, validation and whole runs."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from made import data_of, pairs_of, stream_of, targets_of, weighed
from transformers import PreTrainedModel

from aigc.core.batches.feed import feed
from aigc.core.batches.sample import IGNORED, Sample
from aigc.core.batches.stream import START, Stream
from aigc.core.model import families
from aigc.core.model.attention import unpacked
from aigc.core.model.learner import Learner
from aigc.core.model.preference import Preference
from aigc.core.model.sequences import Classes, Values
from aigc.core.tokens.text import TextCodec
from aigc.core.training.fit import Measure, Progress, Run, Settings, fit
from aigc.core.training.loop import Step, train
from aigc.core.training.optimiser import adamw
from aigc.core.training.replicas import Replicas
from aigc.core.training.snapshots import Keep
from aigc.core.training.validation import Validation, validate
from conftest import CONTEXT, MakeModel

ALONE = Replicas()
LENGTHS = [9, 16, 3, 5, 12, 16, 2, 7, 11, 4]
PAIRS = [(2, 5, 7), (4, 3, 3), (1, 12, 2), (6, 4, 9), (3, 8, 8)]
FAMILIES = pytest.mark.parametrize("family", ["bert", "gpt2", "llama"])
SETTINGS = Settings(
    steps=6,
    accumulate=2,
    learning_rate=1e-2,
    schedule="constant",
    warmup=0.0,
    weight_decay=0.0,
    clip=1.0,
    evaluate_every=2,
    checkpoint_every=2,
    seed=3,
    keep=Keep(last=2, best=0),
)


def classifier(codec: TextCodec, family: str = "gpt2", *, classes: int = 3, seed: int = 0, dropout: float = 0.0) -> PreTrainedModel:
    torch.manual_seed(seed)
    shape = families.Shape(2, 32, 2, dropout=dropout)
    ids = families.SpecialIds.of(codec)
    model = families.build(family, shape=shape, vocabulary=codec.vocabulary, ids=ids, context=CONTEXT, classes=classes)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 3.0 if parameter.dim() >= 2 else 1.0
    return model.eval()


def samples_of(stream: Stream) -> list[Sample]:
    return [sample for samples in stream.once() for sample in samples]


def measured(learner: Learner, stream: Stream, codec: TextCodec) -> Validation:
    return validate(learner, stream, byte_lengths=codec.byte_lengths, replicas=ALONE)


def steps_of(learner: Learner, stream: Stream, *, steps: int = 1, accumulate: int = 1, rate: float = 1e-3) -> list[Step]:
    with feed(stream, START, accumulate=accumulate) as batches:
        return list(
            train(
                learner,
                batches,
                adamw(learner, weight_decay=0.0),
                learning_rate=lambda _: rate,
                clip=1.0,
                numbers=range(steps),
                seed=0,
                replicas=ALONE,
            )
        )


@FAMILIES
def test_validation_of_classes_is_that_of_plain_transformers(family: str, codec: TextCodec) -> None:
    model, stream = classifier(codec, family), targets_of(codec, LENGTHS)
    learner = Learner(model, sequence=Classes())
    found = measured(learner, stream, codec)
    by_document = {sample.document: sample for sample in samples_of(stream)}
    with torch.no_grad(), unpacked(model):
        scores = torch.cat([model(input_ids=torch.tensor(by_document[n].input_ids)[None]).logits for n in range(len(LENGTHS))])
    targets = torch.arange(len(LENGTHS)) % 3
    loss = torch.nn.functional.cross_entropy(scores, targets).item()
    right = (scores.argmax(-1) == targets).double().mean().item()
    assert found.loss == found.choice == found.sequence_loss == pytest.approx(loss, rel=1e-5)
    assert found.accuracy == found.sequence_accuracy == pytest.approx(right)
    assert found.bits_per_byte is None
    assert found.predictions is not None
    np.testing.assert_allclose(found.predictions.scores, scores.numpy(), atol=1e-5)
    np.testing.assert_array_equal(found.predictions.targets, targets.numpy())
    np.testing.assert_array_equal(found.predictions.documents, np.arange(len(LENGTHS)))
    assert set(found.as_metrics()) == {"validation_loss", "validation_accuracy", "sequence_loss", "sequence_accuracy"}


def test_values_have_a_loss_and_no_accuracy(codec: TextCodec) -> None:
    found = measured(Learner(classifier(codec, classes=1), sequence=Values()), targets_of(codec, LENGTHS, classes=5), codec)
    assert found.predictions is not None
    squares = (found.predictions.scores[:, 0] - found.predictions.targets) ** 2
    assert found.loss == found.sequence_loss == pytest.approx(squares.mean(), rel=1e-5)
    assert set(found.as_metrics()) == {"validation_loss", "sequence_loss"}


@pytest.mark.parametrize("kind", ["classes", "preference"])
def test_accumulated_batches_are_one_larger_batch(kind: str, codec: TextCodec, tiny_model: MakeModel) -> None:
    found = []
    for rows in (9, 2):
        if kind == "classes":
            learner, stream = Learner(classifier(codec), sequence=Classes()), targets_of(codec, LENGTHS, rows=rows)
        else:
            learner = Learner(tiny_model(sharpen=3.0), preference=Preference("dpo", 0.1))
            stream = pairs_of(codec, PAIRS, rows=2 * rows)
        bins = sum(1 for _ in stream.once())
        [step] = steps_of(learner, stream, accumulate=bins, rate=0.0)
        found.append((bins, step, [p.grad for p in learner.parameters()]))
    (one, whole, gradients), (many, parts, others) = found
    assert one == 1 < many
    assert whole.loss == whole.sequence_loss == pytest.approx(parts.loss, rel=1e-5)
    assert whole.gradient_norm == pytest.approx(parts.gradient_norm, rel=1e-4)
    torch.testing.assert_close(others, gradients, atol=1e-6, rtol=1e-4)


@FAMILIES
def test_classes_are_learned(family: str, codec: TextCodec) -> None:
    learner, stream = Learner(classifier(codec, family), sequence=Classes()), targets_of(codec, LENGTHS, rows=9)
    steps_of(learner, stream, steps=25, rate=5e-3)
    found = measured(learner, stream, codec)
    assert found.accuracy == 1.0
    assert found.loss < 0.2


def test_preferences_tell_loss_accuracy_and_margin(codec: TextCodec, tiny_model: MakeModel) -> None:
    learner, stream = Learner(tiny_model(sharpen=3.0), preference=Preference("dpo", 0.1)), pairs_of(codec, PAIRS)
    found = measured(learner, stream, codec)
    margins = []
    with unpacked(learner.model), torch.no_grad():
        for sample in samples_of(stream):
            logs = torch.log_softmax(learner.model(input_ids=torch.tensor(sample.input_ids)[None]).logits[0], -1)
            labels = torch.tensor(sample.labels)
            own = logs[labels != IGNORED].gather(1, labels[labels != IGNORED][:, None]).sum().item()
            margins.append((1 if sample.target else -1) * 0.1 * (own + 3.0))
    by_pair = torch.tensor(margins).view(-1, 2).sum(1)
    assert found.loss == found.choice == pytest.approx(-torch.nn.functional.logsigmoid(by_pair).mean().item(), rel=1e-4)
    assert found.accuracy == pytest.approx((by_pair > 0).double().mean().item())
    assert found.reward_margin == pytest.approx(by_pair.mean().item(), rel=1e-4)
    assert found.predictions is None and found.bits_per_byte is None
    steps = steps_of(learner, stream, steps=20, rate=3e-3)
    assert (steps[0].unlikelihood, steps[-1].sequence_loss) == (None, steps[-1].loss)
    after = measured(learner, stream, codec)
    assert after.loss < found.loss
    assert after.reward_margin is not None and after.reward_margin > found.reward_margin


def test_validation_is_the_same_with_penalties_and_tells_how_likely_they_are(codec: TextCodec, tiny_model: MakeModel) -> None:
    plain = stream_of(codec, [(1, 15), (3, 9), (1, 16), (2, 7)], context=32)
    learner = Learner(tiny_model(sharpen=3.0))
    read, pushed = (measured(learner, weighed(plain, low), codec) for low in (0.0, -0.5))
    assert pushed.as_metrics() == pytest.approx(read.as_metrics() | {"pushed_down": pushed.pushed_down}, rel=1e-6)
    assert read.pushed_down is None
    logs = []
    for sample in samples_of(weighed(plain, -0.5)):
        assert sample.weights is not None
        with unpacked(learner.model), torch.no_grad():
            each = torch.log_softmax(learner.model(input_ids=torch.tensor(sample.input_ids)[None]).logits[0], -1)
        logs += [each[t, sample.labels[t]].item() for t in np.flatnonzero((sample.weights < 0) & (sample.labels != IGNORED))]
    assert len(logs) > 5
    assert pushed.pushed_down == pytest.approx(np.mean(logs), rel=1e-4)
    assert pushed.as_metrics()["pushed_down"] == pushed.pushed_down
    heavy = measured(learner, weighed(plain, 3.0), codec)
    assert heavy.loss == pytest.approx(measured(learner, plain, codec).loss, rel=1e-6), "each token counts once"


def test_tokens_are_pushed_down_and_the_loss_of_others_is_told_apart(codec: TextCodec, tiny_model: MakeModel) -> None:
    plain = stream_of(codec, [(1, 15), (3, 9), (1, 16), (2, 7)], context=32, rows=4)
    learner, stream = Learner(tiny_model(sharpen=2.0)), weighed(plain, -0.5)
    steps_of(learner, plain, steps=20, rate=5e-3)  # all of it is learned at first
    before = measured(learner, stream, codec)
    steps = steps_of(learner, stream, steps=15, rate=5e-3)
    after = measured(learner, stream, codec)
    assert steps[0].loss == pytest.approx(before.loss, rel=1e-4)
    assert steps[0].unlikelihood is not None and steps[-1].unlikelihood is not None
    assert steps[-1].unlikelihood < 0.2 * steps[0].unlikelihood
    assert before.pushed_down is not None and after.pushed_down is not None
    assert after.pushed_down < before.pushed_down - 1
    assert after.loss < before.loss


def test_only_what_wants_a_gradient_is_trained(codec: TextCodec) -> None:
    learner = Learner(classifier(codec), sequence=Classes())
    learner.model.transformer.requires_grad_(False)
    for block in learner.model.transformer.h:
        block.attn.c_attn.weight.requires_grad_(True)
    before = {name: p.detach().clone() for name, p in learner.named_parameters()}
    frozen = learner.model.transformer.wte.weight
    frozen.grad = torch.full_like(frozen, 9.0)  # left over from before it was frozen
    [step] = steps_of(learner, targets_of(codec, LENGTHS), accumulate=4)
    changed = {name for name, p in learner.named_parameters() if not torch.equal(p, before[name])}
    assert changed == {"model.score.weight", *(f"model.transformer.h.{n}.attn.c_attn.weight" for n in (0, 1))}
    assert step.gradient_norm < 9.0


def run(learner: Learner, stream: Stream, codec: TextCodec, folder: Path, **how: object) -> list[Progress]:
    folder.mkdir(exist_ok=True)
    settings = replace(SETTINGS, **{name: value for name, value in how.items() if name not in ("stop_at", "measure")})  # type: ignore[arg-type]
    measure: Measure | None = how.get("measure")  # type: ignore[assignment]
    told = Run(folder, lambda step: step == how.get("stop_at"), print)
    return list(fit(learner, data_of(codec, stream, stream), settings, told, measure=measure))


def lines(folder: Path) -> list[dict[str, float]]:
    found = [json.loads(line) for line in (folder / "metrics.jsonl").read_text("utf-8").splitlines()]
    return [{name: value for name, value in line.items() if name not in ("tokens_per_second", "waited")} for line in found]


@pytest.mark.parametrize("kind", ["classes", "preference", "penalties"])
def test_stopped_and_resumed_is_the_run_at_once(kind: str, codec: TextCodec, tiny_model: MakeModel, tmp_path: Path) -> None:
    def begun(seed: int = 0) -> Learner:
        if kind == "classes":
            return Learner(classifier(codec, seed=seed, dropout=0.2), sequence=Classes())
        model = tiny_model(seed=seed, dropout=0.2)
        return Learner(model, preference=Preference("dpo", 0.1)) if kind == "preference" else Learner(model)

    stream = {
        "classes": targets_of(codec, LENGTHS),
        "preference": pairs_of(codec, PAIRS),
        "penalties": weighed(stream_of(codec, [(1, 12), (2, 9), (1, 15)]), -1.0),
    }[kind]
    asked: list[bool] = []

    def measure(found: Validation) -> dict[str, float]:
        asked.append((found.predictions is not None) == (kind == "classes"))
        return {"twice": 2 * found.loss}

    whole = begun()
    at_once = run(whole, stream, codec, tmp_path / "whole", measure=measure)
    run(begun(), stream, codec, tmp_path / "parts", measure=measure, stop_at=3)
    rest = begun(seed=9)
    resumed = run(rest, stream, codec, tmp_path / "parts", measure=measure)
    assert all(torch.equal(one, other) for one, other in zip(whole.parameters(), rest.parameters(), strict=True))
    assert lines(tmp_path / "parts") == lines(tmp_path / "whole")
    evaluations = [[(p.number, p.validation) for p in run if p.validation] for run in (at_once, resumed)]
    assert evaluations[0] == evaluations[1]
    assert all(value.extra == {"twice": 2 * value.loss} for _, value in evaluations[1])
    assert [step for step, _ in evaluations[1]] == [0, 2, 4, 6]
    assert all(line["twice"] == 2 * line["validation_loss"] for line in lines(tmp_path / "whole") if "validation_loss" in line)
    assert len(asked) == 4 + 2 + 2 and all(asked)
    names = set(lines(tmp_path / "whole")[2]) - {"step", "loss", "learning_rate", "gradient_norm", "tokens", "labels", "twice"}
    assert (
        names
        == {"validation_loss", "validation_accuracy"}
        | {
            "classes": {"sequence_loss", "sequence_accuracy", "training_sequence_loss"},
            "preference": {"sequence_loss", "sequence_accuracy", "training_sequence_loss", "reward_margin"},
            "penalties": {"bits_per_byte", "pushed_down", "unlikelihood"},
        }[kind]
    )


def test_the_best_weights_are_those_of_the_lowest_sequence_loss(codec: TextCodec, tmp_path: Path) -> None:
    learner, stream = Learner(classifier(codec), sequence=Classes()), targets_of(codec, LENGTHS)
    found = run(learner, stream, codec, tmp_path, steps=60, evaluate_every=1, patience=3, learning_rate=0.3, keep=Keep(1, 1))
    losses = [progress.validation.loss for progress in found if progress.validation]
    best = losses.index(min(losses))
    assert len(losses) == best + 4 < 60
    assert found[-1].ended is not None
    if best:
        assert measured(learner, stream, codec).loss == pytest.approx(min(losses), rel=1e-6)


def test_an_evaluation_reads_back_as_it_was_written() -> None:
    for one in (
        Validation(2.0, 1.1, 0.5),
        Validation(0.7, None, 0.5, 0.7, 0.5, reward_margin=-0.25, pushed_down=-3.0, extra={"macro_f1": 0.4, "rouge_l": 0.2}),
        Validation(4.0, None, None, 4.0),
    ):
        assert Validation.of(json.loads(json.dumps(one.as_metrics()))) == one
        assert "predictions" not in one.figures()
