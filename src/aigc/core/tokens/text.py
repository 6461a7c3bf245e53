"""Text into token ids and back: a byte-level BPE trained here, or the tokenizer of a checkpoint."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from aigc.errors import AigcError

__all__ = ["END_OF_TEXT", "TextCodec", "train_bpe"]

END_OF_TEXT = "<|endoftext|>"
# GPT-4's split (cl100k_base); a run of Han characters is one piece, inside which BPE finds the words
SPLIT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


class TextCodec:
    """A transformers tokenizer as a Codec.

    Raises:
        AigcError: the tokenizer has no end-of-text token, so that a model could never learn to stop.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        if tokenizer.eos_token_id is None:
            raise AigcError(f"the tokenizer of {tokenizer.name_or_path!r} has no end-of-text token")
        self.tokenizer = tokenizer
        first = tokenizer("").input_ids[:1]
        self.start: list[int] = first if first == [tokenizer.bos_token_id] else []
        self.end: int = tokenizer.eos_token_id

    @property
    def vocabulary(self) -> int:
        """See Codec."""
        return len(self.tokenizer)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """See Codec."""
        if not self.tokenizer.is_fast:
            ids: list[list[int]] = self.tokenizer(list(texts), add_special_tokens=False).input_ids
            return ids
        backend = self.tokenizer.backend_tokenizer
        backend.encode_special_tokens = True  # "<|endoftext|>" inside a text is text; the tokenizer's own calls reset this
        encodings = backend.encode_batch_fast(list(texts), add_special_tokens=False)
        return [encoding.ids for encoding in encodings]

    def decode(self, ids: Sequence[int]) -> str:
        """See Codec."""
        text: str = self.tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text

    def save(self, folder: Path) -> None:
        """See Codec."""
        self.tokenizer.save_pretrained(folder)


def train_bpe(texts: Iterable[str], *, vocabulary: int, context: int) -> TextCodec:
    """A byte-level BPE tokenizer: no text is unknown to it. Source: Sennrich et al. 2016; Radford et al. 2019 (bytes).

    Args:
        texts: what to learn from.
        vocabulary: the most entries, with the 256 bytes and the end-of-text token, which starts and ends documents.
        context: the length that plain transformers users are warned beyond.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        max_token_length=24,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    end = tokenizer.token_to_id(END_OF_TEXT)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{END_OF_TEXT} $A", pair=f"{END_OF_TEXT} $A {END_OF_TEXT} $B", special_tokens=[(END_OF_TEXT, end)]
    )
    return TextCodec(
        PreTrainedTokenizerFast(
            tokenizer_object=tokenizer,
            bos_token=END_OF_TEXT,
            eos_token=END_OF_TEXT,
            pad_token=END_OF_TEXT,
            model_max_length=context,
            clean_up_tokenization_spaces=False,
        )
    )
