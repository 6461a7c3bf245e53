"""The special tokens of a family of models: what they are called, what stands round a text, what transformers knows of them."""

from dataclasses import dataclass
from typing import Any, Literal

from tokenizers import AddedToken, Tokenizer, processors
from transformers import PreTrainedTokenizerFast

from aigc.errors import AigcError

__all__ = ["END_OF_TEXT", "INFILL", "Family", "Specials", "sentinel"]

Family = Literal["decoder", "encoder", "encoder_decoder"]
END_OF_TEXT = "<|endoftext|>"
INFILL = ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>")
"""Before the prefix, the suffix and the middle of a document. Source: Bavarian et al. 2022; the names are Qwen2.5-Coder's."""

_UNKNOWN = {"decoder": "<unk>", "encoder": "[UNK]", "encoder_decoder": "<unk>"}


def sentinel(number: int) -> str:
    """T5's name of the token that stands for a hidden span (Raffel et al. 2020)."""
    return f"<extra_id_{number}>"


@dataclass(frozen=True)
class Specials:
    """The special tokens that a tokenizer is trained with; their ids are the first ones, in the order of `tokens`.

    A decoder's documents start and end with <|endoftext|>, which pads too. An encoder's stand in [CLS] and [SEP]. Those of an
    encoder-decoder stand in <s> and </s> (BART), or with sentinels before </s> only (T5).

    Raises:
        AigcError: a family that has no use for them is given infilling or sentinels.
    """

    family: Family
    infill: bool = False  # a decoder's tokens for a middle that is to be filled in
    sentinels: int = 0  # an encoder-decoder's tokens for hidden spans
    unknown: bool = True  # a decoder's token for what the vocabulary lacks; the other families always have one
    spaced: bool = True  # a token may begin with a space, so that the mask takes the space before it along

    def __post_init__(self) -> None:
        if self.infill and self.family != "decoder":
            raise AigcError(f"the infilling tokens are for a decoder, not for an {self.family.replace('_', '-')}")
        if self.sentinels and self.family != "encoder_decoder":
            raise AigcError(f"sentinels are for an encoder-decoder, not for a model of family {self.family}")

    @property
    def unknown_token(self) -> str:
        """The name of the token for what the vocabulary lacks."""
        return _UNKNOWN[self.family]

    @property
    def tokens(self) -> list[AddedToken]:
        """All special tokens, in the order of their ids."""
        if self.family == "decoder":
            names = [END_OF_TEXT, *(INFILL if self.infill else ()), *([self.unknown_token] if self.unknown else ())]
        elif self.family == "encoder":
            names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        else:
            names = ["<pad>", "<s>", "</s>", "<unk>", "<mask>", *(sentinel(i) for i in range(self.sentinels))]
        return [
            self._mask(name) if name in ("[MASK]", "<mask>") else AddedToken(name, special=True, normalized=False) for name in names
        ]

    def _mask(self, name: str) -> AddedToken:
        return AddedToken(name, lstrip=self.spaced, special=True, normalized=False)

    def wrap(self, tokenizer: Tokenizer, context: int) -> PreTrainedTokenizerFast:
        """A trained tokenizer as transformers': it puts the special tokens round a text, and knows which one pads, masks and ends.

        Args:
            tokenizer: its vocabulary has all of `tokens`.
            context: the length that plain transformers users are warned beyond.
        """
        known: dict[str, Any]
        if self.family == "decoder":
            single, pair, known = f"{END_OF_TEXT} $A", f"{END_OF_TEXT} $A {END_OF_TEXT} $B", {}
            known = dict.fromkeys(("bos_token", "eos_token", "pad_token"), END_OF_TEXT)
            if self.unknown:
                known["unk_token"] = self.unknown_token
            if self.infill:
                known["extra_special_tokens"] = list(INFILL)
        elif self.family == "encoder":
            single, pair = "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1"
            known = {f"{name}_token": f"[{name.upper()}]" for name in ("unk", "cls", "sep", "pad")}
            known |= {"mask_token": self._mask("[MASK]"), "model_input_names": ["input_ids", "token_type_ids", "attention_mask"]}
        else:
            single, pair = ("$A </s>", "$A </s> $B </s>") if self.sentinels else ("<s> $A </s>", "<s> $A </s> $B </s>")
            known = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
            known |= {"mask_token": self._mask("<mask>")}
            if self.sentinels:
                known["extra_special_tokens"] = [sentinel(i) for i in range(self.sentinels)]
        used = [token.content for token in self.tokens if token.content in pair.replace(":1", "").split()]
        tokenizer.post_processor = processors.TemplateProcessing(
            single=single, pair=pair, special_tokens=[(name, tokenizer.token_to_id(name)) for name in used]
        )
        return PreTrainedTokenizerFast(
            tokenizer_object=tokenizer, model_max_length=context, clean_up_tokenization_spaces=False, **known
        )
