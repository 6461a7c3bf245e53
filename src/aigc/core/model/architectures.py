"""Numbers into a decoder of random weights, built by transformers."""

from typing import Literal

from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig, PretrainedConfig, PreTrainedModel

from aigc.core.model.size import llama_inner

__all__ = ["build"]


def build(
    family: Literal["gpt2", "llama"],
    *,
    layers: int,
    width: int,
    heads: int,
    dropout: float,
    vocabulary: int,
    context: int,
    end: int,
) -> PreTrainedModel:
    """A decoder with tied embeddings, initialised with standard deviation 0.02.

    Args:
        vocabulary: token ids.
        context: the longest sequence, in tokens.
        end: the id that starts and ends documents.
    """
    shared = {
        "vocab_size": vocabulary,
        "bos_token_id": end,
        "eos_token_id": end,
        "pad_token_id": end,
        "tie_word_embeddings": True,
    }
    config: PretrainedConfig
    if family == "gpt2":
        config = GPT2Config(
            n_layer=layers,
            n_embd=width,
            n_head=heads,
            n_positions=context,
            activation_function="gelu_pytorch_tanh",  # gelu_new's formula in one kernel
            resid_pdrop=dropout,
            embd_pdrop=dropout,
            attn_pdrop=dropout,
            **shared,
        )
    else:
        config = LlamaConfig(
            num_hidden_layers=layers,
            hidden_size=width,
            num_attention_heads=heads,
            num_key_value_heads=heads,
            intermediate_size=llama_inner(width),
            max_position_embeddings=context,
            initializer_range=0.02,
            **shared,
        )
    model: PreTrainedModel = AutoModelForCausalLM.from_config(config)
    return model
