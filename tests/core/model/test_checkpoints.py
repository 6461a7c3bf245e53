"""Checkpoint folders load whole or with one clear line, and nothing of others is run."""

import os
import shutil
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from flats import CONTEXT, NAMES, model_of
from safetensors.torch import load_file
from torch.distributed.fsdp import fully_shard

from aigc.core.model import checkpoints
from aigc.core.model.learner import Learner
from aigc.core.tokens.text import TextCodec
from aigc.errors import AigcError

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", NAMES)
def test_every_kind_loads_again_if_it_is_asked_for(name: str, codec: TextCodec, tmp_path: Path) -> None:
    model = model_of(name)
    checkpoints.save(model, codec, tmp_path)
    assert checkpoints.weights_of(tmp_path) == [tmp_path / "model.safetensors"]
    loaded, _ = checkpoints.load(str(tmp_path), kinds=("decoder", "encoder", "encoder_decoder"))
    assert type(loaded) is type(model)
    assert all(torch.equal(loaded.state_dict()[key], tensor) for key, tensor in model.state_dict().items())
    assert checkpoints.context_of(loaded) == CONTEXT
    if name not in ("gpt2", "llama"):
        with pytest.raises(AigcError, match="needs a decoder"):
            checkpoints.load(str(tmp_path))


@pytest.mark.parametrize("sharded", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_a_learner_is_saved_whole(name: str, sharded: bool, codec: TextCodec, tmp_path: Path) -> None:
    dist.init_process_group("gloo", store=dist.FileStore(str(tmp_path / "store"), 1), rank=0, world_size=1)
    try:
        learner = Learner(model_of(name))
        if sharded:
            mesh = dist.device_mesh.init_device_mesh("cpu", (1,))
            for block in learner.blocks():
                fully_shard(block, mesh=mesh)
            fully_shard(learner, mesh=mesh)
        checkpoints.save_shared(learner, codec, tmp_path / "none", writes=False)
        checkpoints.save_shared(learner, codec, tmp_path / "model", writes=True)
    finally:
        dist.destroy_process_group()
    assert not (tmp_path / "none").exists()
    model_of(name).save_pretrained(tmp_path / "plain")
    wanted, found = (load_file(tmp_path / which / "model.safetensors") for which in ("plain", "model"))
    assert wanted.keys() == found.keys()
    assert all(torch.equal(found[key], tensor) for key, tensor in wanted.items())
    loaded, _ = checkpoints.load(str(tmp_path / "model"), kinds=("decoder", "encoder", "encoder_decoder"))
    assert all(torch.equal(loaded.state_dict()[key], tensor) for key, tensor in model_of(name).state_dict().items())


def test_a_tokenizer_loads_alone(checkpoint: Path, codec: TextCodec) -> None:
    assert checkpoints.codec_of(str(checkpoint)).vocabulary == codec.vocabulary


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
