"""Checkpoint folders load whole or with one clear line, and nothing of others is run."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from flats import CONTEXT, NAMES, model_of
from safetensors.torch import load_file
from torch.distributed.fsdp import fully_shard
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, PreTrainedModel

from aigc.core.model import adapters, checkpoints, families
from aigc.core.model.adapters import Lora
from aigc.core.model.checkpoints import Head
from aigc.core.model.learner import Learner
from aigc.core.model.verification import verify
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


LABELS = ("sport", "文化", "science")


@pytest.fixture
def started(tmp_path: Path, codec: TextCodec) -> Callable[[str], Path]:
    """Write a checkpoint of a family with room for the codec's ids."""

    def write(family: str) -> Path:
        torch.manual_seed(0)
        shape = families.Shape(layers=2, width=32, heads=2)
        ids = families.SpecialIds.of(codec)
        model = families.build(family, shape=shape, vocabulary=codec.vocabulary, ids=ids, context=CONTEXT)
        checkpoints.save(model, codec, tmp_path / family)
        return tmp_path / family

    return write


def _told(start: Path, head: Head | None = Head(LABELS), seed: int = 3) -> PreTrainedModel:  # noqa: B008
    torch.manual_seed(seed)
    return checkpoints.load(str(start), kinds=("encoder", "decoder"), head=head)[0]


@pytest.mark.parametrize("family", ["bert", "gpt2", "llama"])
def test_a_new_head_is_drawn_and_all_else_is_loaded(family: str, started: Callable[[str], Path], codec: TextCodec) -> None:
    start = started(family)
    model = _told(start)
    body = checkpoints.load(str(start), kinds=("encoder", "decoder"))[0].base_model.state_dict()
    for name, tensor in model.base_model.state_dict().items():
        assert name.startswith("pooler") or torch.equal(tensor, body[name])
    assert type(model).__name__.endswith("ForSequenceClassification")
    assert (model.config.num_labels, model.config.problem_type) == (3, "single_label_classification")
    assert [model.config.id2label[number] for number in range(3)] == list(LABELS)
    assert model.config.pad_token_id == codec.pad
    same, other = _told(start).state_dict(), _told(start, seed=4).state_dict()
    assert all(torch.equal(tensor, same[name]) for name, tensor in model.state_dict().items())
    assert not all(torch.equal(tensor, other[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("family", ["bert", "llama"])
def test_a_head_is_loaded_again_but_not_for_other_classes(
    family: str, started: Callable[[str], Path], codec: TextCodec, tmp_path: Path
) -> None:
    model = _told(started(family))
    checkpoints.save(model, codec, tmp_path / "told")
    again = _told(tmp_path / "told", seed=9)
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in model.state_dict().items())
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path / "told")
    assert plain.config.id2label == dict(enumerate(LABELS))
    last = "classifier.weight" if family == "bert" else "score.weight"
    for labels in (("a", "b", "c"), ("a", "b")):
        fresh = _told(tmp_path / "told", Head(labels), seed=9)
        assert fresh.get_parameter(last).shape == (len(labels), 32)
        assert not torch.equal(fresh.get_parameter(last)[:1], model.get_parameter(last)[:1])
    with pytest.raises(AigcError, match="needs one that says tokens"):
        checkpoints.load(str(tmp_path / "told"), kinds=("encoder", "decoder"))


def test_a_value_is_one_score(started: Callable[[str], Path]) -> None:
    model = _told(started("bert"), Head())
    assert (model.config.num_labels, model.config.problem_type, model.classifier.out_features) == (1, "regression", 1)


@pytest.mark.parametrize("head", [None, Head(LABELS), Head()])
@pytest.mark.parametrize("family", ["bert", "llama"])
def test_adapters_load_onto_their_checkpoint(
    family: str, head: Head | None, started: Callable[[str], Path], codec: TextCodec, tmp_path: Path
) -> None:
    start = started(family)
    model = adapters.add(_told(start, head), Lora(rank=2), seed=0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter))
    checkpoints.save(model, codec, tmp_path / "adapter")
    assert not (tmp_path / "adapter" / "config.json").exists()
    loaded = _told(tmp_path / "adapter", head, seed=8)
    assert all(torch.equal(tensor, loaded.state_dict()[name]) for name, tensor in model.state_dict().items())
    assert checkpoints.codec_of(str(tmp_path / "adapter")).encode(["雨声"]) == codec.encode(["雨声"])
    weights = [path.name for path in checkpoints.weights_of(tmp_path / "adapter")]
    assert weights == ["adapter_model.safetensors", "model.safetensors"]
    checkpoints.save(model, codec, tmp_path / "merged", merged=True)
    merged = _told(tmp_path / "merged", head, seed=8)
    assert not adapters.adapted(merged)
    ids = torch.arange(3, 19)[None]
    torch.testing.assert_close(merged(input_ids=ids).logits, loaded.eval()(input_ids=ids).logits, atol=1e-5, rtol=1e-5)
    if head is not None:
        for other, why in ((None, "needs a model that says tokens"), (Head(("a", "b")), "not the classes a, b")):
            with pytest.raises(AigcError, match=why):
                _told(tmp_path / "adapter", other)


def test_adapters_without_their_checkpoint_are_one_clear_line(
    started: Callable[[str], Path], codec: TextCodec, tmp_path: Path
) -> None:
    start = started("llama")
    checkpoints.save(adapters.add(_told(start, None), Lora(), seed=0), codec, tmp_path / "adapter")
    shutil.rmtree(start)
    message = _load_error(str(tmp_path / "adapter"))
    assert f"these are adapters for {start}, which cannot be had" in message
    assert "no such checkpoint folder" in message
    for content in ("{}", "{", '{"base_model_name_or_path": null}'):
        (tmp_path / "adapter" / "adapter_config.json").write_text(content)
        assert "does not name the checkpoint" in _load_error(str(tmp_path / "adapter"))


def test_adapters_of_a_model_from_nowhere_must_be_merged(codec: TextCodec, tmp_path: Path) -> None:
    model = adapters.add(model_of("gpt2"), Lora(), seed=0)
    with pytest.raises(AigcError, match="was not loaded from anywhere; give merge"):
        checkpoints.save(model, codec, tmp_path)


@pytest.mark.parametrize("merged", [True, False])
@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_adapters_in_shards_are_saved_whole(
    family: str, merged: bool, started: Callable[[str], Path], codec: TextCodec, tmp_path: Path
) -> None:
    found = {}
    dist.init_process_group("gloo", store=dist.FileStore(str(tmp_path / "store"), 1), rank=0, world_size=1)
    try:
        for name in ("whole", "shards"):
            learner = Learner(adapters.add(_told(started(family), None), Lora(rank=2), seed=0))
            if name == "shards":
                mesh = dist.device_mesh.init_device_mesh("cpu", (1,))
                for block in [*learner.blocks(), learner]:
                    fully_shard(block, mesh=mesh)
            checkpoints.save_shared(learner, codec, tmp_path / name, writes=True, merged=merged)
            file = "model.safetensors" if merged else "adapter_model.safetensors"
            found[name] = load_file(tmp_path / name / file)
    finally:
        dist.destroy_process_group()
    assert found["whole"].keys() == found["shards"].keys()
    assert all(torch.equal(found["shards"][key], tensor) for key, tensor in found["whole"].items())
    checkpoints.load(str(tmp_path / "shards"))


def _as_gguf(model: PreTrainedModel, codec: TextCodec, path: Path) -> None:
    """A Llama as llama.cpp writes it: rows of queries and keys in another order, a byte-level tokenizer, a chat template."""
    gguf = pytest.importorskip("gguf")
    config, writer = model.config, gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_vocab_size(config.vocab_size)
    state = json.loads(codec.tokenizer.backend_tokenizer.to_str())
    names = sorted(codec.tokenizer.get_vocab(), key=codec.tokenizer.get_vocab().__getitem__)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("llama-bpe")  # the split of ours
    writer.add_token_list(names)
    writer.add_token_types([3 if number == codec.end else 1 for number in range(len(names))])
    writer.add_token_merges([" ".join(merge) for merge in state["model"]["merges"]])
    writer.add_bos_token_id(codec.end)
    writer.add_eos_token_id(codec.end)
    writer.add_chat_template("{% for message in messages %}{{ message['content'] }}{% endfor %}")
    parts = {"model.embed_tokens": "token_embd", "model.norm": "output_norm"}
    inner = {
        "self_attn.q_proj": "attn_q",
        "self_attn.k_proj": "attn_k",
        "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output",
    }
    inner |= {"mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}
    inner |= {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}
    for layer in range(config.num_hidden_layers):
        parts |= {f"model.layers.{layer}.{ours}": f"blk.{layer}.{theirs}" for ours, theirs in inner.items()}
    for ours, theirs in parts.items():
        weight = model.get_parameter(f"{ours}.weight").detach()
        if theirs.endswith(("attn_q", "attn_k")):
            heads, wide = config.num_attention_heads, weight.shape[1]
            weight = weight.view(heads, 2, -1, wide).transpose(1, 2).reshape(-1, wide)
        writer.add_tensor(f"{theirs}.weight", weight.contiguous().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_a_gguf_file_is_a_checkpoint(started: Callable[[str], Path], codec: TextCodec, tmp_path: Path) -> None:
    wanted, _ = checkpoints.load(str(started("llama")))
    path = tmp_path / "tiny.gguf"
    _as_gguf(wanted, codec, path)
    model, read = checkpoints.load(str(path))
    ids = torch.arange(3, 19)[None]
    torch.testing.assert_close(model(input_ids=ids).logits, wanted(input_ids=ids).logits, atol=1e-5, rtol=1e-5)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert (read.end, read.vocabulary) == (codec.end, codec.vocabulary)
    assert read.encode(["雨声 rain 2024"]) == codec.encode(["雨声 rain 2024"])
    assert read.tokenizer.apply_chat_template([{"role": "user", "content": "雨"}], tokenize=False) == "雨"
    assert checkpoints.weights_of(path) == [path]
    verify(model, context=CONTEXT)
    checkpoints.save(model, read, tmp_path / "plain")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "plain")
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in model.state_dict().items())
    checkpoints.save(adapters.add(model, Lora(), seed=0), read, tmp_path / "adapter")
    assert adapters.adapted(checkpoints.load(str(tmp_path / "adapter"))[0])


def test_a_gguf_file_that_cannot_be_read_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no such checkpoint file" in _load_error(str(tmp_path / "none.gguf"))
    (tmp_path / "bad.gguf").write_bytes(b"GGUF, they said")
    assert "cannot be loaded" in _load_error(str(tmp_path / "bad.gguf"))
    monkeypatch.setattr("aigc.core.model.sources.find_spec", lambda _: None)
    assert "needs the package gguf: pip install 'aigc[gguf]'" in _load_error(str(tmp_path / "bad.gguf"))
