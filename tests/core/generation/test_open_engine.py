"""Who runs a checkpoint: what is asked, what is installed and what kind of model it is decide, and what cannot be done is told."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from aigc.core.generation import engine as engines
from aigc.core.generation.engine import Local, Setup, open_engine
from aigc.core.generation.infilling import Infilling, Middle
from aigc.core.generation.likeness import verify
from aigc.core.generation.request import Decoding, Engine, Phrase, Watermark
from aigc.core.generation.searching import Searching
from aigc.core.generation.slots import TorchStepper
from aigc.core.generation.speculation import Speculation
from aigc.core.generation.stepper import Feed
from aigc.core.model import adapters, checkpoints, families
from aigc.core.tokens.text import TextCodec
from aigc.core.tokens.training import train
from aigc.errors import AigcError
from core.conftest import CONTEXT, SENTENCES, MakeModel

BEAMS = Decoding(4, beams=2)
WARM = Decoding(8, temperature=1.0, top_k=20)


@pytest.fixture(scope="module")
def t5(tmp_path_factory: pytest.TempPathFactory, tiny_model: MakeModel, codec: TextCodec) -> str:
    """A checkpoint folder."""
    folder = tmp_path_factory.mktemp("t5")
    checkpoints.save(tiny_model("t5"), codec, folder)
    return str(folder)


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A checkpoint folder."""
    folder = tmp_path_factory.mktemp("bert")
    words = train(SENTENCES * 4, kind="wordpiece", family="encoder", vocabulary=400, context=CONTEXT)
    shape, ids = families.Shape(2, 32, 2), families.SpecialIds.of(words)
    checkpoints.save(families.build("bert", shape=shape, vocabulary=words.vocabulary, ids=ids, context=CONTEXT), words, folder)
    return str(folder)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Says what is installed. OpenVINO is played by torch, or raises what is given; vLLM by an Engine that is none."""

    def say(*names: str, raising: str | None = None) -> None:
        def opened(model: PreTrainedModel, *_: Any, slots: int, **__: Any) -> tuple[TorchStepper, str]:
            if raising is not None:
                raise AigcError(raising)
            return TorchStepper(model, slots), "as near as can be"

        monkeypatch.setattr(engines, "find_spec", lambda name: name if name in names else None)
        monkeypatch.setattr(engines, "open_stepper", opened)

    return say


def _local(engine: Engine) -> Local:
    assert isinstance(engine, Middle) and isinstance(engine.engine, Local)
    return engine.engine


@pytest.mark.parametrize(
    ("names", "worth", "name"),
    [((), 0, "torch fp32"), (("openvino",), 0, "openvino fp32"), (("openvino",), 10**9, "torch fp32")],
)
def test_auto_takes_openvino_where_it_is_installed_and_the_model_is_worth_it(
    names: tuple[str, ...], worth: int, name: str, installed: Any, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(*names)
    monkeypatch.setattr(engines, "WORTH_CONVERTING", worth)
    engine = open_engine(str(checkpoint), Setup(slots=3))
    assert engine.name == _local(engine).name == name
    assert _local(engine).stepper.slots == 3
    assert engine.quality == ("as near as can be" if name.startswith("openvino") else "")


def test_where_openvino_cannot_run_the_model_auto_takes_torch_and_says_why(
    installed: Any, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed("openvino", raising="its attention is not carried over")
    monkeypatch.setattr(engines, "WORTH_CONVERTING", 0)
    engine = open_engine(str(checkpoint), Setup())
    assert (engine.name, engine.quality) == ("torch fp32", "not by openvino (its attention is not carried over)")
    for asked in (Setup("openvino"), Setup(precision="int8")):
        with pytest.raises(AigcError, match="not carried over"):
            open_engine(str(checkpoint), asked)


def test_int8_is_openvinos_alone(installed: Any, checkpoint: Path, t5: str) -> None:
    installed()
    for start, asked in ((str(checkpoint), Setup()), (str(checkpoint), Setup("torch")), (t5, Setup())):
        with pytest.raises(AigcError, match=r"pip install 'aigc\[openvino\]'"):
            open_engine(start, replace(asked, precision="int8"))
    installed("openvino")
    assert open_engine(str(checkpoint), Setup(precision="int8")).name == "openvino int8"


def test_bf16_is_told_in_the_name(installed: Any, checkpoint: Path) -> None:
    installed()
    engine = open_engine(str(checkpoint), Setup("torch", "bf16"))
    assert engine.name == "torch bf16"
    assert [drawn.tokens for _, drawn in engine.draw([engine.request("雨", seed=1)], Decoding(2, min_tokens=2))] == [2]


def test_an_encoder_decoder_is_run_by_torch(installed: Any, t5: str) -> None:
    installed("openvino")
    engine = open_engine(t5, Setup())
    assert isinstance(engine, Local) and engine.name == "torch fp32" and engine.start
    assert isinstance(open_engine(t5, Setup(decoding=BEAMS)), Searching)
    with pytest.raises(AigcError, match="and not for encoder-decoder models: take engine torch"):
        open_engine(t5, Setup("openvino"))


def test_an_encoder_fills_in_gaps(installed: Any, bert: str) -> None:
    installed("openvino")
    engine = open_engine(bert, Setup(slots=2))
    assert isinstance(engine, Infilling) and engine.name == "torch fp32"
    ((_, drawn),) = engine.draw([engine.request("The quick [MASK] fox.", seed=1)], Decoding(1))
    assert drawn.tokens == 1 and drawn.text.startswith("The quick") and "[MASK]" not in drawn.text


@pytest.mark.parametrize("asked", [BEAMS, Decoding(4, top_k=4, contrastive=0.5)], ids=["beams", "contrastive"])
def test_what_is_searched_for_is_torchs(asked: Decoding, installed: Any, checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed("openvino")
    monkeypatch.setattr(engines, "WORTH_CONVERTING", 0)
    engine = open_engine(str(checkpoint), Setup(decoding=asked))
    assert isinstance(engine, Middle) and isinstance(engine.engine, Searching) and engine.name == "torch fp32"
    with pytest.raises(AigcError, match="not for beams and contrastive search"):
        open_engine(str(checkpoint), Setup("openvino", decoding=asked))


@pytest.mark.parametrize("kind", ["torch", "openvino"])
def test_a_draft_guesses_and_changes_nothing(kind: Any, installed: Any, checkpoint: Path) -> None:
    installed("openvino")
    plain, guessed = (open_engine(str(checkpoint), Setup(kind, draft=draft)) for draft in (None, (str(checkpoint), 3)))
    assert isinstance(_local(guessed).stepper, Speculation)
    texts = ["雨", "The quick"]
    first, second = (
        {request.key: drawn for request, drawn in one.draw([one.request(t, seed=k, key=k) for k, t in enumerate(texts)], WARM)}
        for one in (plain, guessed)
    )
    assert first == second and len(first) == 2


@pytest.mark.parametrize("kind", ["torch", "openvino", "auto"])
def test_a_draft_with_another_vocabulary_is_refused(
    kind: Any, installed: Any, checkpoint: Path, tiny_model: MakeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed("openvino")
    monkeypatch.setattr(engines, "WORTH_CONVERTING", 0)
    other = train(SENTENCES * 4, kind="bpe", family="decoder", vocabulary=300, context=CONTEXT)
    checkpoints.save(tiny_model(), other, tmp_path)
    with pytest.raises(AigcError, match=r"generate\.draft: .* has another vocabulary"):
        open_engine(str(checkpoint), Setup(kind, draft=(str(tmp_path), 4)))


def test_a_draft_where_nothing_is_guessed_is_told(installed: Any, checkpoint: Path, t5: str, bert: str) -> None:
    installed()
    draft = (str(checkpoint), 4)
    for start, asked, what in (
        (t5, Setup(draft=draft), "encoder-decoder models"),
        (bert, Setup(draft=draft), "encoder models"),
        (str(checkpoint), Setup(draft=draft, decoding=BEAMS), "beams and contrastive search"),
    ):
        with pytest.raises(AigcError, match=f"generate.draft: {what} cannot be guessed ahead"):
            open_engine(start, asked)


SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 2, "intermediate_size": 64}
ALIEN = {
    "granite": SIZES | {"logits_scaling": 8.0},  # which are divided by it
    "gpt_neo": {
        "hidden_size": 32,
        "num_heads": 2,
        "num_layers": 2,
        "attention_types": [[["global", "local"], 1]],
    },  # attends its own way
    "mamba": {"hidden_size": 32, "num_hidden_layers": 2},  # does not attend
    "falcon": SIZES | {"alibi": True},  # wants a mask
}


@pytest.mark.parametrize("family", ALIEN)
def test_a_model_that_torch_would_run_wrong_is_refused(family: str, installed: Any, codec: TextCodec, tmp_path: Path) -> None:
    installed()
    torch.manual_seed(0)
    config = AutoConfig.for_model(family, vocab_size=codec.vocabulary, **ALIEN[family])
    checkpoints.save(AutoModelForCausalLM.from_config(config), codec, tmp_path)
    with pytest.raises(AigcError, match=f"engine torch cannot run a {family} model"):
        open_engine(str(tmp_path), Setup())


@pytest.mark.parametrize(("slots", "context"), [(1, 64), (3, 5), (1, 1)])
def test_a_model_that_torch_runs_right_is_left_as_it_was(slots: int, context: int, tiny_model: MakeModel) -> None:
    model = tiny_model("llama", sharpen=5.0, context=context)
    before = model.config._attn_implementation
    stepper = TorchStepper(model, slots)
    verify(stepper, model)
    assert model.config._attn_implementation == before
    (alone, held) = (stepper.step([Feed(0, [7])]), model(torch.tensor([[7]]), use_cache=False).logits[0])
    torch.testing.assert_close(alone, held)


class _Torch(Exception):
    """Where torch would load the checkpoint."""


def test_auto_takes_vllm_on_a_gpu_only_for_what_it_can_do(
    installed: Any, checkpoint: Path, t5: str, bert: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loaded(*_: object, **__: object) -> None:
        raise _Torch

    adapter = adapters.add(checkpoints.load(str(checkpoint))[0], adapters.Lora(rank=2), seed=0)
    checkpoints.save(adapter, checkpoints.codec_of(str(checkpoint)), tmp_path)
    monkeypatch.setattr(checkpoints, "load", loaded)
    monkeypatch.setattr(engines, "_vllm", lambda start, setup: "vllm")
    here, gpu = str(checkpoint), Setup(device="cuda:0", decoding=Decoding(8, top_k=9, min_p=0.1, stop_strings=("x",)))
    installed("vllm")
    assert open_engine(here, gpu) == "vllm"  # type: ignore[comparison-overlap]
    alien = [Decoding(8, phrases=(Phrase("x"),)), Decoding(8, watermark=Watermark("greenlist", 1)), BEAMS]
    others = [(here, replace(gpu, decoding=one)) for one in alien]
    others += [(here, replace(gpu, draft=(here, 4))), (here, replace(gpu, device="cpu")), (here, replace(gpu, kind="torch"))]
    others += [(start, gpu) for start in (t5, bert, str(tmp_path))]
    for start, asked in others:
        with pytest.raises(_Torch):
            open_engine(start, asked)
    installed()
    with pytest.raises(_Torch):
        open_engine(here, gpu)
