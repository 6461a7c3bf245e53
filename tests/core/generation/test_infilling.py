"""Gaps are filled by the model's own probabilities, in the order that Mask-Predict says, and the rest of a text stays as it was."""

from collections.abc import Iterable, Iterator

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import BertTokenizer, PreTrainedModel

from aigc.core.generation.decoding import Sampling, drawn_tokens
from aigc.core.generation.gaps import GAP, Gapped, filled, parts_of
from aigc.core.generation.infilling import Infilling, Middle
from aigc.core.generation.request import Decoding, Drawn, Request, Watch
from aigc.core.model import families
from aigc.core.tokens.text import TextCodec
from aigc.core.tokens.training import train
from aigc.errors import AigcError
from core.conftest import CONTEXT, SENTENCES

GREEDY = Decoding(max_tokens=1, temperature=0.0, likelihood=True)
WARM = Decoding(max_tokens=1, temperature=1.5, likelihood=True)
PROMPTS = [
    "The quick [MASK] fox jumps over the [MASK] [MASK].",
    "今天的天气[MASK][MASK]，我们去公园散步吧。",
    "[MASK]",
    "她[MASK]窗户，listened to the [MASK] " + "[MASK]" * 14,
]


@pytest.fixture(scope="module")
def codec() -> TextCodec:
    return train(SENTENCES * 4, kind="wordpiece", family="encoder", vocabulary=400, context=CONTEXT)


@pytest.fixture(scope="module")
def model(codec: TextCodec) -> PreTrainedModel:
    return _bert(codec)


def _bert(codec: TextCodec, *, pairs: bool = False) -> PreTrainedModel:
    torch.manual_seed(0)
    model = families.build(
        "bert",
        shape=families.Shape(2, 32, 2),
        vocabulary=codec.vocabulary,
        ids=families.SpecialIds.of(codec),
        context=CONTEXT,
        pairs=pairs,
    )
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() >= 2:
                parameter *= 5.0
    return model.eval()


def _drawn(engine: Infilling, decoding: Decoding, prompts: list[str] = PROMPTS) -> list[Drawn]:
    requests = [engine.request(text, seed=number, key=number) for number, text in enumerate(prompts)]
    found = list(engine.draw([None, *requests[:1], None, *requests[1:]], decoding))  # the others come later
    assert [request for request, _ in found] == requests
    return [drawn for _, drawn in found]


@torch.inference_mode()
def _reference(model: PreTrainedModel, codec: TextCodec, text: str) -> tuple[list[int], float]:
    """Mask-Predict with a round for each gap, one prompt alone, written down as the paper has it."""
    mask = codec.mask or -1
    ids = torch.tensor(codec.tokenizer(text).input_ids)
    places = ids.eq(mask).nonzero()[:, 0]
    total = len(places)
    allowed = torch.tensor([length > 0 and id_ != codec.unknown for id_, length in enumerate(codec.byte_lengths)])
    probability = torch.zeros(total)
    masked = torch.ones(total, dtype=torch.bool)
    for round_ in range(1, total + 1):
        told = model(input_ids=ids[None]).logits[0, places].softmax(-1)
        best = told.masked_fill(~allowed, -1).argmax(-1)
        ids[places[masked]] = best[masked]
        probability[masked] = told.gather(-1, best[:, None])[:, 0][masked]
        masked = torch.zeros(total, dtype=torch.bool)
        masked[probability.argsort(stable=True)[: total - round_]] = True
        if round_ < total:
            ids[places[masked]] = mask
    return ids[places].tolist(), float(probability.log().sum())


def test_likeliest_tokens_are_those_of_mask_predict_alone_and_in_a_batch(model: PreTrainedModel, codec: TextCodec) -> None:
    expected = [_reference(model, codec, text) for text in PROMPTS]
    for rows in (1, 3, 16):
        found = _drawn(Infilling(model, codec, rows=rows), GREEDY)
        assert [list(one.ids) for one in found] == [ids for ids, _ in expected]
        assert [one.likelihood for one in found] == pytest.approx([nats for _, nats in expected], rel=1e-3)
    assert [one.tokens for one in found] == [text.count(GAP) for text in PROMPTS]


def test_a_gap_that_was_filled_in_doubt_is_filled_again(model: PreTrainedModel, codec: TextCodec) -> None:
    """So one round alone gives another text than all of them."""
    request = Infilling(model, codec).request(PROMPTS[3], seed=0)
    ids = torch.tensor([list(request.prompt_ids)])
    with torch.no_grad():
        once = model(input_ids=ids).logits[ids == codec.mask]
    once[:, codec.byte_lengths == 0] = -torch.inf
    assert once.argmax(-1).tolist() != _reference(model, codec, PROMPTS[3])[0]


def test_a_draw_depends_on_its_seed_alone(model: PreTrainedModel, codec: TextCodec) -> None:
    together = _drawn(Infilling(model, codec), WARM)
    alone = _drawn(Infilling(model, codec, rows=1), WARM)
    assert [one.ids for one in alone] == [one.ids for one in together]
    assert [one.likelihood for one in alone] == pytest.approx([one.likelihood for one in together], rel=1e-4)
    engine = Infilling(model, codec)
    texts = {drawn.text for _, drawn in engine.draw([engine.request(PROMPTS[0], seed=seed) for seed in range(8)], WARM)}
    assert len(texts) > 4


def test_one_gap_is_drawn_by_the_first_number_of_the_seed(model: PreTrainedModel, codec: TextCodec) -> None:
    engine = Infilling(model, codec)
    request = engine.request("The quick [MASK] fox.", seed=5)
    ids = torch.tensor([list(request.prompt_ids)])
    with torch.no_grad():
        logits = model(input_ids=ids).logits[ids == codec.mask]
    logits[:, codec.byte_lengths == 0] = -torch.inf
    draw = torch.tensor(np.random.default_rng(5).random(1))
    wanted = drawn_tokens(logits, Sampling(0.9, top_k=20, top_p=0.8), draw)
    ((_, drawn),) = engine.draw([request], Decoding(1, temperature=0.9, top_k=20, top_p=0.8))
    assert list(drawn.ids) == wanted.tolist()
    assert drawn.likelihood is None


def test_a_model_that_also_tells_pairs_fills_in_alike(codec: TextCodec) -> None:
    model = _bert(codec, pairs=True)
    assert len(_drawn(Infilling(model, codec), GREEDY)) == len(PROMPTS)


def test_what_stands_round_the_gaps_stays(model: PreTrainedModel, codec: TextCodec) -> None:
    text = "  Unknown ☃ signs,\n\nTWO  spaces and [MASK]；然后呢？[SEP] "
    (drawn,) = _drawn(Infilling(model, codec), GREEDY, [text])
    before, after = text.split(GAP)
    assert drawn.text.startswith(before.rstrip()) and drawn.text.endswith(after)


def test_no_gap_is_told_before_anything_is_drawn(model: PreTrainedModel, codec: TextCodec) -> None:
    engine = Infilling(model, codec)
    with pytest.raises(AigcError, match=r"no gap to fill in: \[MASK\] stands for one token"):
        engine.request("今天的天气很好。", seed=0)
    with pytest.raises(AigcError, match="no gap"):
        list(engine.draw([Request([2, 5, 3], 0)], GREEDY))
    assert engine.room_for(CONTEXT) == 1 and engine.room_for(CONTEXT + 1) == 0


def test_what_filling_in_cannot_keep_is_one_error(model: PreTrainedModel, codec: TextCodec) -> None:
    asked = Decoding(8, stop_strings=("。",), max_sentences=2)
    with pytest.raises(AigcError, match="cannot keep stop, max_sentences: leave them out"):
        list(Infilling(model, codec).draw([], asked))


def test_a_tokenizer_without_mask_is_told(model: PreTrainedModel) -> None:
    plain = train(SENTENCES * 4, kind="bpe", family="decoder", vocabulary=400, context=CONTEXT)
    with pytest.raises(AigcError, match="no mask token"):
        Infilling(model, plain)


@pytest.mark.parametrize("kind", ["wordpiece", "unigram"])
def test_a_token_put_back_gives_the_text_back(kind: str) -> None:
    codec = train(SENTENCES * 4, kind=kind, family="encoder", vocabulary=400, context=CONTEXT)  # type: ignore[arg-type]
    for text in SENTENCES[:7]:
        ((ids, spans),) = codec.encode_spans([text])
        for first, (begin, _) in enumerate(spans):
            for last in range(first, min(first + 3, len(ids))):
                run = ids[first : last + 1]
                gapped = text[:begin] + GAP * len(run) + text[spans[last][1] :]
                assert filled(parts_of(gapped, codec), run, codec) == text


@pytest.mark.parametrize(
    ("text", "tokens", "wanted"),
    [
        ("go [MASK] now", ["##ing"], "going now"),
        ("go[MASK]now", ["to"], "go to now"),
        ("[MASK]", ["##ing"], "ing"),
        ("在[MASK]年", ["2024"], "在2024年"),
        ("He said [MASK][MASK]", ["no", "."], "He said no."),
        ("雨[MASK][MASK]了", ["还", "下"], "雨还下了"),
        ("a\n[MASK] b", ["no"], "a\nno b"),
        ("(<mask>)", [], "(<mask>)"),
    ],
)
def test_spaces_stand_where_words_need_them(text: str, tokens: list[str], wanted: str) -> None:
    words = ["go", "##ing", "now", "to", "2024", "在", "年", "He", "said", "no", ".", "雨", "还", "下", "了", "a", "b"]
    table = {name: number for number, name in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words])}
    codec = TextCodec(BertTokenizer(vocab=table, do_lower_case=False))
    assert filled(parts_of(text, codec), [table[token] for token in tokens], codec) == wanted


@given(st.text(alphabet="ab 雨。<", max_size=20), st.integers(0, 3))
def test_parts_and_gaps_are_the_whole_prompt(text: str, gaps: int) -> None:
    codec = train(SENTENCES, kind="bpe", family="decoder", vocabulary=270, context=CONTEXT)
    assert parts_of(GAP.join([text] * (gaps + 1)), codec) == [text] * (gaps + 1)


class Echo:
    """An engine that says its prompt."""

    name = "echo"
    quality = ""

    def __init__(self, codec: TextCodec) -> None:
        self.codec = codec

    def room_for(self, prompt_tokens: int) -> int:
        return 9 - prompt_tokens

    def request(self, text: str, *, seed: int, key: int = 0) -> Request:
        return Request([*self.codec.start, *self.codec.encode([text])[0]], seed, key)

    def draw(
        self, requests: Iterable[Request | None], decoding: Decoding, watch: Watch | None = None
    ) -> Iterator[tuple[Request, Drawn]]:
        for request in filter(None, requests):
            yield request, Drawn("中", 1, "end", (7,), -1.0)


def test_a_causal_model_writes_the_middle() -> None:
    codec = train(SENTENCES * 4, kind="bpe", family="decoder", vocabulary=400, context=CONTEXT, infill=True)
    assert codec.infill is not None
    pre, suf, mid = codec.infill
    engine = Middle(Echo(codec))
    gapped, plain = engine.request("春天[MASK]花都开了。", seed=1, key=4), engine.request("春天", seed=2)
    prefix, suffix = codec.encode(["春天", "花都开了。"])
    assert list(gapped.prompt_ids) == [*codec.start, pre, *prefix, suf, *suffix, mid]
    assert list(plain.prompt_ids) == [*codec.start, *prefix] and not isinstance(plain, Gapped)
    found = list(engine.draw([gapped, None, plain], GREEDY))
    assert found == [(gapped, Drawn("春天中花都开了。", 1, "end", (7,), -1.0)), (plain, Drawn("中", 1, "end", (7,), -1.0))]
    assert engine.room_for(4) == 5 and engine.name == "echo"
    with pytest.raises(AigcError, match="has 2 gaps"):
        engine.request("[MASK]和[MASK]", seed=0)


def test_a_causal_model_that_never_learned_it_is_told(codec: TextCodec) -> None:
    with pytest.raises(AigcError, match="was not trained with fill_in_middle"):
        Middle(Echo(codec)).request("a [MASK]", seed=0)
