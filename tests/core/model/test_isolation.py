"""Packed documents do not see each other, and checkpoints are what plain transformers loads."""

import os
import shutil
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from aigc.core.batches.packing import IGNORED, Batch
from aigc.core.model import architectures, checkpoints
from aigc.core.tokens.text import TextCodec
from aigc.core.training.loop import loss_sum
from aigc.errors import AigcError
from conftest import MakeModel

FAMILIES = pytest.mark.parametrize("family", ["gpt2", "llama"])
LENGTHS = (5, 1, 11, 7)
CPU = torch.device("cpu")


@pytest.fixture
def documents() -> list[torch.Tensor]:
    """Token ids of documents of different lengths, one more than goes in."""
    generator = torch.Generator().manual_seed(5)
    return [torch.randint(0, 300, (length + 1,), generator=generator) for length in LENGTHS]


def _alone(document: torch.Tensor) -> Batch:
    ids = document[None]
    return Batch(ids[:, :-1], torch.arange(ids.shape[1] - 1)[None], ids[:, 1:])


def _packed(documents: list[torch.Tensor], padding: int = 4) -> Batch:
    ids = torch.cat([*(document[:-1] for document in documents), torch.zeros(padding, dtype=torch.int64)])
    positions = torch.cat([*(torch.arange(len(document) - 1) for document in documents), torch.arange(padding)])
    labels = torch.cat([*(document[1:] for document in documents), torch.full((padding,), IGNORED)])
    return Batch(ids[None], positions[None], labels[None])


def _logits(model: PreTrainedModel, batch: Batch) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=batch.input_ids, position_ids=batch.position_ids, use_cache=False).logits[0]


def _gradients(model: PreTrainedModel, batches: list[Batch]) -> list[torch.Tensor]:
    model.zero_grad(set_to_none=True)
    for batch in batches:
        loss_sum(model, batch).backward()
    return [parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None]


@FAMILIES
def test_packed_logits_are_those_of_each_document_alone(family: str, tiny_model: MakeModel, documents: list[torch.Tensor]) -> None:
    model = tiny_model(family, sharpen=5.0)
    alone = torch.cat([_logits(model, _alone(document)) for document in documents])
    packed = _logits(model, _packed(documents))[: len(alone)]
    torch.testing.assert_close(packed, alone, atol=1e-5, rtol=1e-5)


@FAMILIES
def test_packed_gradients_are_the_sum_of_each_document_alone(
    family: str, tiny_model: MakeModel, documents: list[torch.Tensor]
) -> None:
    model = tiny_model(family)
    packed = _gradients(model, [_packed(documents)])
    alone = _gradients(model, [_alone(document) for document in documents])
    assert len(packed) == len(list(model.parameters()))
    for one, other in zip(packed, alone, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


@FAMILIES
def test_another_document_changes_nothing_but_its_own_logits(
    family: str, tiny_model: MakeModel, documents: list[torch.Tensor]
) -> None:
    model = tiny_model(family)
    changed = [documents[0].flip(0) + 1, *documents[1:]]
    before, after = (_logits(model, _packed(some)) for some in (documents, changed))
    assert not torch.allclose(before[: LENGTHS[0]], after[: LENGTHS[0]])
    torch.testing.assert_close(before[LENGTHS[0] :], after[LENGTHS[0] :], atol=1e-6, rtol=0)


@FAMILIES
def test_weights_begin_at_a_standard_deviation_of_a_fiftieth(family: str, tiny_model: MakeModel) -> None:
    model = tiny_model(family)
    matrices = {name: p for name, p in model.named_parameters() if p.dim() == 2 and "c_proj" not in name}
    assert len(matrices) > 4
    for name, parameter in matrices.items():  # gpt2 divides its c_proj by the square root of twice the layers
        assert parameter.std().item() == pytest.approx(0.02, rel=0.1), name
        assert abs(parameter.mean().item()) < 0.002, name


@FAMILIES
def test_embeddings_are_tied_and_numbers_are_kept(family: str, tiny_model: MakeModel, codec: TextCodec) -> None:
    model = tiny_model(family, context=48)
    assert model.get_input_embeddings().weight is model.get_output_embeddings().weight
    assert model.get_input_embeddings().weight.shape == (codec.vocabulary, 32)
    assert checkpoints.context_of(model) == 48
    assert model.config.eos_token_id == codec.end


@pytest.mark.parametrize(("width", "inner"), [(12, 32), (13, 64), (768, 2048), (4096, 10944)])
def test_llama_inner_is_eight_thirds_up_to_a_multiple_of_32(width: int, inner: int) -> None:
    assert architectures.llama_inner(width) == inner
    assert 0 <= inner - 8 * width / 3 < 32


@FAMILIES
def test_a_saved_checkpoint_gives_the_same_logits_in_plain_transformers(
    family: str, tiny_model: MakeModel, codec: TextCodec, documents: list[torch.Tensor], tmp_path: Path
) -> None:
    model = tiny_model(family)
    checkpoints.save(model, codec, tmp_path / "model")
    names = {path.name for path in checkpoints.weights_of(tmp_path / "model")}
    assert names == {"model.safetensors"}
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "model").eval()
    ours, _ = checkpoints.load(str(tmp_path / "model"), CPU)
    for loaded in (plain, ours.eval()):
        weights = loaded.state_dict()
        assert all(torch.equal(weights[name], tensor) for name, tensor in model.state_dict().items())
        for batch in map(_alone, documents):
            torch.testing.assert_close(_logits(loaded, batch), _logits(model, batch), atol=1e-6, rtol=0)


def test_load_gives_the_codec_too(checkpoint: Path, codec: TextCodec) -> None:
    model, loaded = checkpoints.load(str(checkpoint), CPU)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert (loaded.start, loaded.end, loaded.vocabulary) == (codec.start, codec.end, codec.vocabulary)
    assert loaded.encode(["雨声 rain"]) == codec.encode(["雨声 rain"])


def _load_error(start: str) -> str:
    with pytest.raises(AigcError) as caught:
        checkpoints.load(start, CPU)
    message = str(caught.value)
    assert message.startswith(start)
    assert "\n" not in message
    return message


def test_a_folder_without_a_config_is_no_checkpoint(tmp_path: Path) -> None:
    assert "config.json" in _load_error(str(tmp_path))


@pytest.mark.parametrize("start", ["./nowhere", "/no/such/folder", "~/no-such-folder-here", "a/b/c"])
def test_a_missing_folder_is_not_looked_for_on_the_hub(start: str) -> None:
    assert "no such checkpoint folder" in _load_error(start)


def test_a_hub_name_offline_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE=1 is set" in _load_error("nobody/no-such-model")


@pytest.mark.parametrize(("name", "content"), [("config.json", "{"), ("config.json", '{"model_type": "unheard-of"}')])
def test_a_damaged_config_is_one_clear_line(checkpoint: Path, tmp_path: Path, name: str, content: str) -> None:
    folder = tmp_path / "model"
    shutil.copytree(checkpoint, folder)
    (folder / name).write_text(content)
    assert "cannot be loaded" in _load_error(str(folder))


def test_missing_weights_are_one_clear_line(checkpoint: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(checkpoint, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    assert "cannot be loaded" in _load_error(str(folder))


def test_a_pickle_is_never_read(checkpoint: Path, tmp_path: Path) -> None:
    folder, trace = tmp_path / "model", tmp_path / "was-run"

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(trace),)

    shutil.copytree(checkpoint, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    torch.save({"weights": Evil()}, folder / "pytorch_model.bin")
    _load_error(str(folder))
    assert not trace.exists()


def test_a_device_that_is_not_here_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    for name in ("cuda", "cuda:1", "mps"):
        with pytest.raises(AigcError, match=f"{name} was asked for"):
            checkpoints.device_of(name)
    assert checkpoints.device_of("auto") == checkpoints.device_of("cpu") == CPU
