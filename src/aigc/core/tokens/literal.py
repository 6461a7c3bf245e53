"""A tokenizer into one that takes the names of special tokens inside a text for text."""

import json
from typing import Any

from tokenizers import Tokenizer

__all__ = ["literal"]

_HIDDEN = "\0special:{}\0"


def literal(backend: Tokenizer) -> Tokenizer:
    """A copy that only encodes: without truncation, padding and template, and blind to the special tokens.

    The library is told to leave them be, which is not enough where the model itself has them as pieces: SentencePiece's unigram
    models find "</s>" inside a word. There the copy has them under names that no text has. Ids stay what they are.

    The copy is also safe from transformers, which sets truncation and more on the tokenizer at each call and leaves it.
    """
    state: dict[str, Any] = json.loads(backend.to_str())
    special = {token["content"] for token in state["added_tokens"] if token["special"]}
    model = state["model"]
    vocab = model.get("vocab")
    if isinstance(vocab, list):
        keep = model.get("unk_id")
        for number, (name, score) in enumerate(vocab):
            if name in special and number != keep:
                vocab[number] = [_HIDDEN.format(name), score]
        state["added_tokens"] = [token for token in state["added_tokens"] if not token["special"]]
    elif "merges" not in model:
        keep = model.get("unk_token")
        model["vocab"] = {_HIDDEN.format(name) if name in special and name != keep else name: id_ for name, id_ in vocab.items()}
        state["added_tokens"] = [token for token in state["added_tokens"] if not token["special"]]
    state.update(truncation=None, padding=None, post_processor=None)
    copy = Tokenizer.from_str(json.dumps(state))
    copy.encode_special_tokens = True
    return copy
