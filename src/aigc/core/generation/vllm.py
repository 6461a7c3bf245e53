"""A checkpoint run by vLLM (an extra): its scheduler batches and samples, our own rules say where a text ends."""

from collections.abc import Iterable, Iterator
from typing import Any

from aigc.core.generation.prompts import prompt_ids
from aigc.core.generation.refusals import refuse
from aigc.core.generation.request import Constraint, Decoding, Drawn, Request, Watch
from aigc.core.generation.writing import Terms, Writing
from aigc.core.tokens.text import TextCodec
from aigc.errors import AigcError

__all__ = ["NOT_ITS_OWN", "Vllm"]

NOT_ITS_OWN = ("typical_p", "no_repeat_ngram", "contrastive", "beams", "phrases", "watermark")
AHEAD = 4  # requests that are handed over for each slot, so that the scheduler always has a next one


class Vllm:
    """An Engine over vLLM's LLMEngine. Its rows depend on their own seeds, as far as its kernels are exact."""

    name = "vllm"
    quality = ""

    def __init__(self, folder: str, codec: TextCodec, *, slots: int, dtype: str = "auto", devices: int = 1) -> None:
        """
        Args:
            folder: the checkpoint.
            dtype: as vLLM calls it.
            devices: GPUs that each matrix is split over (tensor parallel).

        Raises:
            AigcError: vLLM is not installed, or does not take the checkpoint.
        """
        try:
            import vllm  # type: ignore[import-not-found]
        except ImportError:
            raise AigcError("engine vllm needs vLLM: pip install vllm (it wants a GPU)") from None
        self.codec = codec
        self._vllm = vllm
        self._most = slots * AHEAD
        settings = vllm.EngineArgs(
            model=folder,
            max_num_seqs=slots,
            dtype=dtype,
            tensor_parallel_size=devices,
            trust_remote_code=False,
            enable_prefix_caching=True,
            disable_log_stats=True,
        )
        try:
            self._engine = vllm.LLMEngine.from_engine_args(settings)
        except (ValueError, OSError, RuntimeError) as error:
            raise AigcError(f"{folder}: vLLM cannot run it: {error}") from error

    def request(self, text: str, *, seed: int, key: int = 0) -> Request:
        """See Engine."""
        return Request(prompt_ids(self.codec, text), seed, key)

    def room_for(self, prompt_tokens: int) -> int:
        """See Engine."""
        return int(self._engine.model_config.max_model_len) - prompt_tokens

    def draw(
        self, requests: Iterable[Request | None], decoding: Decoding, watch: Watch | None = None
    ) -> Iterator[tuple[Request, Drawn]]:
        """See Engine; rows come as vLLM finishes them.

        Raises:
            AigcError: vLLM cannot choose tokens so.
        """
        refuse(decoding, "vLLM", NOT_ITS_OWN)
        terms = Terms.of(self.codec, decoding)
        writings: dict[str, Writing] = {}
        try:
            yield from self._drawn(iter(requests), terms, decoding, writings, watch)
        finally:  # who has had enough leaves some under way
            if writings:
                self._engine.abort_request(list(writings))

    def _drawn(
        self,
        waiting: Iterator[Request | None],
        terms: Terms,
        decoding: Decoding,
        writings: dict[str, Writing],
        watch: Watch | None,
    ) -> Iterator[tuple[Request, Drawn]]:
        """Finished rows; in `writings` are those under way."""
        over = False
        number = 0
        while True:
            while not over and len(writings) < self._most:
                try:
                    request = next(waiting)
                except StopIteration:
                    over = True
                    break
                if request is None:
                    break
                writing = Writing(request, terms, self.room_for(len(request.prompt_ids)))
                if writing.finish is not None:  # there is no room
                    yield request, writing.drawn()
                    continue
                name, number = str(number), number + 1
                self._engine.add_request(name, {"prompt_token_ids": list(request.prompt_ids)}, self._settings(decoding, writing))
                writings[name] = writing
            if not writings:
                if over:
                    return
                continue
            for output in self._engine.step():
                writing = writings[output.request_id]
                self._take(writing, output)
                if watch is not None and (piece := writing.fresh()):
                    watch(writing.request, piece)
                if writing.finish is not None:
                    if not output.finished:
                        self._engine.abort_request([output.request_id])
                    del writings[output.request_id]
                    yield writing.request, writing.drawn()

    def _take(self, writing: Writing, output: Any) -> None:
        """Take in what is new of a row, and how it ended."""
        (one,) = output.outputs
        known = len(writing.ids)
        for place, token in enumerate(one.token_ids[known:], start=known):
            if writing.finish is not None:
                return
            writing.take(token, one.logprobs[place][token].logprob if one.logprobs else 0.0)
        if output.finished:
            writing.close("end" if one.finish_reason == "stop" else "length")

    def _settings(self, decoding: Decoding, writing: Writing) -> Any:
        """vLLM's SamplingParams."""
        form: Constraint | None = decoding.constraint
        structured = None
        if form is not None:
            grammar = list(form.grammar) if isinstance(form.grammar, tuple) else form.grammar
            structured = self._vllm.sampling_params.StructuredOutputsParams(**{form.kind: grammar})
        return self._vllm.SamplingParams(
            temperature=decoding.temperature,
            top_k=decoding.top_k,
            top_p=decoding.top_p,
            min_p=decoding.min_p,
            repetition_penalty=decoding.repetition_penalty,
            seed=writing.request.seed,
            max_tokens=writing.limit,
            min_tokens=min(decoding.min_tokens, writing.limit),
            stop_token_ids=sorted(decoding.stops | {self.codec.end}),
            logprobs=0 if decoding.likelihood else None,
            structured_outputs=structured,
            detokenize=False,
        )
