"""How well documents are told, one by one, sums up to what validation finds; and of pairs, how often they are right."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest

from aigc.core.evaluation.documents import told
from aigc.core.evaluation.intervals import value_of
from aigc.core.evaluation.preferences import likelihoods, preference_metrics
from aigc.core.model.learner import Learner
from aigc.core.tokens.text import TextCodec
from aigc.core.training.replicas import Replicas
from aigc.core.training.validation import validate
from conftest import MakeModel

sys.path.append(str(Path(__file__).parents[1] / "training"))
from made import pairs_of, stream_of, weighed

LENGTHS = [(1, 9), (3, 20), (1, 4), (2, 30), (5, 5)]


@pytest.mark.parametrize("whole", [True, False])
def test_sums_over_documents_are_those_of_validation(whole: bool, codec: TextCodec, tiny_model: MakeModel) -> None:
    learner = Learner(tiny_model("gpt2", sharpen=3.0))
    stream = weighed(stream_of(codec, LENGTHS, whole=whole), -1.0)
    found = told(learner, stream, byte_lengths=codec.byte_lengths)
    seen = validate(learner, stream, byte_lengths=codec.byte_lengths, replicas=Replicas())
    assert found.documents.tolist() == [0, 1, 2, 3, 4]
    assert found.nats.sum() / found.tokens.sum() == pytest.approx(seen.loss, rel=1e-5)
    assert found.right.sum() / found.tokens.sum() == pytest.approx(seen.accuracy)
    assert found.nats.sum() / math.log(2) / found.size.sum() == pytest.approx(seen.bits_per_byte, rel=1e-5)


def test_a_pair_is_right_where_the_chosen_completion_is_the_likelier(codec: TextCodec, tiny_model: MakeModel) -> None:
    stream = pairs_of(codec, [(2, 4, 6), (1, 5, 3), (3, 3, 3), (2, 2, 8)], context=32)
    before, after = (likelihoods(Learner(tiny_model("gpt2", seed=seed, sharpen=4.0)), stream) for seed in (0, 1))
    assert before.shape == (4, 2, 2) and before[0, :, 1].tolist() == [4, 6]
    metrics, documents = preference_metrics(after, before)
    assert documents == 4
    means = after[:, :, 0] / after[:, :, 1]
    assert value_of(metrics["accuracy"], 4) == np.mean(means[:, 0] > means[:, 1])
    gained = after[:, :, 0] - before[:, :, 0]
    assert value_of(metrics["win_rate"], 4) == np.mean(gained[:, 0] > gained[:, 1])
    assert set(preference_metrics(before, before)[0]) == {"accuracy"}


def test_a_completion_without_a_mate_wins_where_it_is_good_and_gained_or_bad_and_lost() -> None:
    nothing = np.nan
    before = np.array([[[-5, 2], [nothing] * 2], [[-5, 2], [nothing] * 2], [[nothing] * 2, [-5, 2]], [[nothing] * 2] * 2])
    after = before + np.array([1.0, 0.0])
    metrics, documents = preference_metrics(after, before)
    assert documents == 3 and set(metrics) == {"win_rate"}
    assert value_of(metrics["win_rate"], 3) == pytest.approx(2 / 3), "the bad one gained too"
