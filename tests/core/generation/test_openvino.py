"""OpenVINO's steps give torch's logits, whatever is fed together, shared, cut or cached."""

import gc
import os
import signal
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from aigc.core.generation import openvino, openvino_export
from aigc.core.generation.openvino import OpenvinoStepper, open_stepper
from aigc.core.generation.quality import Quality
from aigc.core.generation.stepper import Feed
from aigc.core.model import adapters
from aigc.core.tokens.text import TextCodec
from aigc.errors import AigcError
from conftest import CONTEXT, MakeModel

pytestmark = pytest.mark.skipif(find_spec("openvino") is None, reason="openvino is an extra")  # its import would report itself
FAMILIES = ["gpt2", "llama"]
TEXTS = ["The quick brown fox jumps over", "雨", "今天的天气很好，我们去", "a", "def add(a, b):", "She opened the window"]


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Converted models that the tests share."""
    return tmp_path_factory.mktemp("openvino")


@pytest.fixture(params=FAMILIES)
def model(request: pytest.FixtureRequest, tiny_model: MakeModel) -> PreTrainedModel:
    """A model whose tokens are not all about as likely."""
    return tiny_model(request.param, sharpen=5.0)


def _stepper(model: PreTrainedModel, codec: TextCodec, cache: Path, **given: Any) -> OpenvinoStepper:
    return open_stepper(model, codec, cache=cache, **{"slots": 4} | given)[0]


def _logits(model: PreTrainedModel, ids: list[int]) -> torch.Tensor:
    with torch.inference_mode():
        return model(torch.tensor([ids]), use_cache=False).logits[0]


def _ids(count: int, seed: int = 0) -> list[int]:
    return np.random.default_rng(seed).integers(1, 400, count).tolist()


def _theirs(model: PreTrainedModel, ids: list[int], count: int) -> list[int]:
    found = model.generate(
        torch.tensor([ids]),
        attention_mask=torch.ones(1, len(ids), dtype=torch.int64),
        do_sample=False,
        max_new_tokens=count,
        eos_token_id=None,
        pad_token_id=0,
    )
    return found[0, len(ids) :].tolist()


def test_greedy_is_that_of_transformers_in_a_mixed_batch(model: PreTrainedModel, codec: TextCodec, cache: Path) -> None:
    stepper = _stepper(model, codec, cache)
    waiting = {place: [*codec.start, *ids] for place, ids in enumerate(codec.encode(TEXTS))}
    expected = [_theirs(model, ids, 9 + place) for place, ids in waiting.items()]
    written: dict[int, list[int]] = {place: [] for place in waiting}
    held: dict[int, int] = {}
    while waiting or held:  # a slot is taken again as soon as it is free, so prompts and single tokens are fed together
        feeds = [Feed(slot, [written[place][-1]]) for slot, place in held.items()]
        for slot in range(stepper.slots):
            if slot not in held and waiting:
                held[slot] = min(waiting)
                stepper.begin(slot)
                feeds.append(Feed(slot, waiting.pop(held[slot])))
        for feed, token in zip(feeds, stepper.step(feeds).argmax(-1).tolist(), strict=True):
            written[held[feed.slot]].append(token)
            if len(written[held[feed.slot]]) == 9 + held[feed.slot]:
                del held[feed.slot]
    assert list(written.values()) == expected
    assert len({tuple(ids[:9]) for ids in expected}) > 2


def test_logits_are_those_of_torch_in_pieces_of_any_size(model: PreTrainedModel, codec: TextCodec, cache: Path) -> None:
    stepper = _stepper(model, codec, cache)
    long, short = _ids(CONTEXT), _ids(40, seed=1)
    stepper.begin(0)
    stepper.begin(2)
    found: dict[int, list[torch.Tensor]] = {0: [], 2: []}
    for piece, other in [((0, 31), (0, 1)), ((31, 34), (1, 3)), ((34, 35), (3, 40)), ((35, 64), None)]:
        parts = [Feed(0, long[slice(*piece)], piece[1] - piece[0])]
        if other is not None:
            parts.insert(0, Feed(2, short[slice(*other)], other[1] - other[0]))
        logits = stepper.step(parts)
        for feed, part in zip(parts, logits.split([len(feed.ids) for feed in parts]), strict=True):
            found[feed.slot].append(part)
    torch.testing.assert_close(torch.cat(found[0]), _logits(model, long), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(torch.cat(found[2]), _logits(model, short), atol=1e-4, rtol=1e-4)


def test_only_the_wanted_logits_come_in_the_order_of_the_feeds(model: PreTrainedModel, codec: TextCodec, cache: Path) -> None:
    stepper = _stepper(model, codec, cache)
    ids = _ids(20)
    expected = _logits(model, ids)
    for slot in range(3):
        stepper.begin(slot)
    found = stepper.step([Feed(2, ids, 3), Feed(0, ids[:5], 0), Feed(1, ids[:9])])
    torch.testing.assert_close(found, torch.cat([expected[17:], expected[8:9]]), atol=1e-4, rtol=1e-4)
    kept = found.clone()
    assert stepper.step([Feed(0, ids[5:9], 0)]).shape == (0, expected.shape[1])
    assert torch.equal(found, kept), "logits are not to be written over by the next step"
    torch.testing.assert_close(stepper.step([Feed(0, ids[9:10])]), expected[9:10], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("shared", [1, 31, 32, 33, 40])
def test_copies_share_a_beginning_and_go_their_own_ways(shared: int, tiny_model: MakeModel, codec: TextCodec, cache: Path) -> None:
    model = tiny_model("llama", sharpen=5.0)
    stepper = _stepper(model, codec, cache)
    begun = _ids(40)
    stepper.begin(0)
    stepper.step([Feed(0, begun, 0)])
    for target in (1, 2):
        stepper.copy(0, target, shared)
    ways = {0: begun + _ids(9, 5), 1: begun[:shared] + _ids(9, 6), 2: begun[:shared] + _ids(9, 7)}
    for place in range(9):  # each writes where the others read
        feeds = [Feed(slot, [ids[place - 9]]) for slot, ids in ways.items()]
        logits = stepper.step(feeds)
        for row, feed in enumerate(feeds):
            ids = ways[feed.slot]
            expected = _logits(model, ids[: len(ids) - 8 + place])[-1]
            torch.testing.assert_close(logits[row], expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kept", [0, 1, 31, 32, 33, 50])
def test_what_is_cut_is_forgotten(kept: int, tiny_model: MakeModel, codec: TextCodec, cache: Path) -> None:
    model = tiny_model("gpt2", sharpen=5.0)
    stepper = _stepper(model, codec, cache)
    ids, other = _ids(50), _ids(10, seed=3)
    stepper.begin(0)
    stepper.step([Feed(0, ids, 0)])
    stepper.copy(0, 1, 50)
    stepper.cut(0, kept)
    found = stepper.step([Feed(0, other, len(other))])
    torch.testing.assert_close(found, _logits(model, ids[:kept] + other)[kept:], atol=1e-4, rtol=1e-4)
    left = stepper.step([Feed(1, other[:1])])  # what the other holds was not touched
    torch.testing.assert_close(left, _logits(model, ids + other[:1])[-1:], atol=1e-4, rtol=1e-4)


def test_blocks_are_given_back_and_grow_when_there_are_too_few(
    tiny_model: MakeModel, codec: TextCodec, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino, "FEWEST", 1)
    model = tiny_model("llama", sharpen=5.0)
    stepper = _stepper(model, codec, cache, slots=3)
    rows = {slot: _ids(CONTEXT, seed=slot) for slot in range(3)}
    first = len(stepper._owners)
    for slot in (2, 0, 1):
        stepper.begin(slot)
        stepper.step([Feed(slot, rows[slot][:-1], 0)])
        stepper.copy(slot, slot, CONTEXT - 1)
    grown = len(stepper._owners)
    for _ in range(20):
        stepper.begin(1)
        stepper.step([Feed(1, rows[1][:-1], 0)])
        stepper.copy(0, 2, CONTEXT - 1)
        stepper.step([Feed(2, rows[2][-1:], 0)])
    assert len(stepper._owners) == grown >= first
    assert stepper._owners.sum() == sum(len(held.blocks) for held in stepper._slots)
    found = stepper.step([Feed(slot, rows[slot][-1:]) for slot in (0, 1)])
    torch.testing.assert_close(found, torch.stack([_logits(model, rows[slot])[-1] for slot in (0, 1)]), atol=1e-4, rtol=1e-4)


def test_a_window_is_that_of_the_model(codec: TextCodec, cache: Path) -> None:
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = AutoConfig.for_model(
        "mistral", **shape, num_key_value_heads=2, sliding_window=7, vocab_size=codec.vocabulary, max_position_embeddings=CONTEXT
    )
    model = AutoModelForCausalLM.from_config(config).eval()
    stepper = _stepper(model, codec, cache)
    ids = _ids(40)
    stepper.begin(0)
    found = torch.cat([stepper.step([Feed(0, some, 20)]).clone() for some in (ids[:20], ids[20:])])
    torch.testing.assert_close(found, _logits(model, ids), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_model_is_converted_once(
    precision: str, tiny_model: MakeModel, codec: TextCodec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_model("llama", sharpen=3.0)
    stepper, quality = open_stepper(model, codec, cache=tmp_path, slots=1, precision=precision)  # type: ignore[arg-type]
    assert set(quality.perplexity) == set(quality.reference) == {"en", "zh"}
    assert (quality.deviation < 1e-5 and quality.agreement == 1.0) == (precision == "fp32")
    stepper.begin(0)
    first = stepper.step([Feed(0, _ids(10), 10)])
    monkeypatch.setattr(openvino, "export", None)
    monkeypatch.setattr(openvino, "measure", None)
    again, same = open_stepper(model, codec, cache=tmp_path, slots=2, precision=precision)  # type: ignore[arg-type]
    again.begin(1)
    assert same == quality
    assert torch.equal(again.step([Feed(1, _ids(10), 10)]), first)
    assert len(list(tmp_path.iterdir())) == 1
    with pytest.raises(TypeError), torch.no_grad():  # other weights are another model
        next(model.parameters()).add_(0.1)
        open_stepper(model, codec, cache=tmp_path, slots=1, precision=precision)  # type: ignore[arg-type]


def test_what_is_too_far_from_the_model_is_refused(
    tiny_model: MakeModel, codec: TextCodec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def coarse(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        whole, zero, scale = quantised(weight)
        return whole // 64 * 64, zero, scale

    quantised = openvino_export._quantised
    monkeypatch.setattr(openvino_export, "_quantised", coarse)
    with pytest.raises(AigcError, match=r"int8 .* perplexity en [\d.]+ \(fp32 [\d.]+\), zh .* likeliest .* 2\.0%"):
        open_stepper(tiny_model("llama", sharpen=5.0), codec, cache=tmp_path, slots=1, precision="int8")
    assert not list(tmp_path.iterdir())


def test_bf16_with_one_thread_is_refused_before_it_ends_the_process(
    tiny_model: MakeModel, codec: TextCodec, tmp_path: Path
) -> None:
    with pytest.raises(AigcError, match="bf16 was asked for"):
        open_stepper(tiny_model("llama"), codec, cache=tmp_path, slots=1, precision="bf16", threads=1)


def test_adapters_are_converted_with_what_they_sit_on(tiny_model: MakeModel, codec: TextCodec, tmp_path: Path) -> None:
    model = adapters.add(tiny_model("llama", sharpen=3.0), adapters.Lora(rank=2), seed=0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_()
    stepper = _stepper(model.eval(), codec, tmp_path)
    stepper.begin(0)
    torch.testing.assert_close(stepper.step([Feed(0, _ids(9), 9)]), _logits(model, _ids(9)), atol=1e-4, rtol=1e-4)


def test_attention_that_is_not_carried_over_is_named(codec: TextCodec, tmp_path: Path) -> None:
    shape = {"hidden_size": 32, "n_head": 2, "n_layer": 2, "vocab_size": codec.vocabulary}
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model("bloom", **shape)).eval()
    with pytest.raises(AigcError, match=r"bloom model.*torch"):
        open_stepper(model, codec, cache=tmp_path, slots=1)
    assert not list(tmp_path.iterdir())


def test_the_deviation_is_the_largest_and_never_lost() -> None:
    assert Quality({"en": 11.0, "zh": 9.9}, {"en": 10.0, "zh": 10.0}, 0.9).deviation == pytest.approx(0.1)
    assert Quality({"en": 10.0, "zh": float("nan")}, {"en": 10.0, "zh": 10.0}, 0.9).deviation == float("inf")


def test_nothing_is_reported_to_anyone() -> None:
    openvino_export.runtime()
    assert sys.modules["openvino_telemetry"] is None


def test_a_package_that_is_not_here_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(AigcError, match=r"aigc\[openvino\]"):
        openvino_export.runtime()


def test_a_signal_after_models_were_closed_is_heard(tiny_model: MakeModel, codec: TextCodec, tmp_path: Path) -> None:
    model = tiny_model("llama", sharpen=3.0)
    first, _ = open_stepper(model, codec, cache=tmp_path, slots=1)
    second, _ = open_stepper(model, codec, cache=tmp_path, slots=1)
    del first
    gc.collect()
    del second
    gc.collect()
    heard: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, _: heard.append(number))
    try:
        os.kill(os.getpid(), signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert heard == [signal.SIGUSR1]
