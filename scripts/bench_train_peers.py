"""The peers of bench_train.py, each as steps that are taken when they are asked for: Hugging Face's Trainer and litgpt."""

import tempfile

import torch
from bench_race import Steps, Taken
from torch import nn

__all__ = ["BATCH", "HEADS", "LAYERS", "VOCABULARY", "WIDTH", "Rows", "litgpt", "trainer"]

LAYERS, WIDTH, HEADS, VOCABULARY, BATCH = 6, 384, 6, 8192, 8


def trainer(rows: "torch.utils.data.Dataset[dict[str, list[int]]]", context: int, *, bf16: bool, compiled: bool) -> Steps:
    """Hugging Face's Trainer with its defaults, stopped between two steps by a callback."""
    import transformers
    from greenlet import getcurrent, greenlet
    from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainerCallback, TrainingArguments

    transformers.utils.logging.set_verbosity_error()
    hub = getcurrent()
    seen = [0]

    class Tokenizer:
        """What the collator asks a tokenizer for: to pad to the longest of the batch."""

        pad_token, pad_token_id, mask_token, padding_side = "<pad>", 0, None, "right"

        def pad(self, examples: list[dict[str, list[int]]], **_: object) -> dict[str, torch.Tensor]:
            longest = max(len(one["input_ids"]) for one in examples)
            ids = torch.zeros(len(examples), longest, dtype=torch.long)
            mask = torch.zeros_like(ids)
            for row, one in enumerate(examples):
                ids[row, : len(one["input_ids"])] = torch.tensor(one["input_ids"])
                mask[row, : len(one["input_ids"])] = 1
            return {"input_ids": ids, "attention_mask": mask}

    class Collator:
        """Labels are the inputs, IGNORED where there is padding; counts what is learned."""

        def __call__(self, examples: list[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
            batch = Tokenizer().pad(examples)
            labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
            seen[0] = int((labels[:, 1:] != -100).sum())
            full = bool(batch["attention_mask"].all())
            return {"input_ids": batch["input_ids"], "labels": labels} | (
                {} if full else {"attention_mask": batch["attention_mask"]}
            )

    class Stop(TrainerCallback):
        def on_step_end(self, *_: object, **__: object) -> None:
            hub.switch(seen[0])

    torch.manual_seed(0)
    model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=VOCABULARY,
            n_positions=context,
            n_embd=WIDTH,
            n_layer=LAYERS,
            n_head=HEADS,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            bos_token_id=0,
            eos_token_id=0,
        )
    )
    arguments = TrainingArguments(
        output_dir=tempfile.mkdtemp(),
        per_device_train_batch_size=BATCH,
        max_steps=10**6,
        save_strategy="no",
        logging_strategy="no",
        report_to=[],
        use_cpu=not torch.cuda.is_available(),
        bf16=bf16,
        torch_compile=compiled,
        disable_tqdm=True,
    )
    work = Trainer(model=model, args=arguments, train_dataset=rows, data_collator=Collator(), callbacks=[Stop()])
    side = greenlet(lambda: work.train())
    while True:
        yield Taken(side.switch())


def litgpt(context: int, *, compiled: bool) -> Steps:
    """litgpt's GPT with its fused parts, N(0, 0.02) weights (its own N(0, 1) makes a tied head four times slower), and AdamW."""
    from litgpt import GPT, Config

    config = Config(
        block_size=context,
        n_layer=LAYERS,
        n_head=HEADS,
        n_embd=WIDTH,
        vocab_size=VOCABULARY,
        padded_vocab_size=VOCABULARY,
        rotary_percentage=1.0,
        parallel_residual=False,
        bias=True,
        norm_class_name="LayerNorm",
        mlp_class_name="GptNeoxMLP",
        intermediate_size=4 * WIDTH,
        gelu_approximate="tanh",
    )
    torch.manual_seed(0)
    model = GPT(config)
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)
    model.lm_head.weight = model.transformer.wte.weight
    forward = torch.compile(model) if compiled else model
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    while True:
        ids_BT = torch.randint(1, VOCABULARY, (BATCH, context + 1))
        logits = forward(ids_BT[:, :-1].contiguous())
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), ids_BT[:, 1:].flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        yield Taken(ids_BT[:, 1:].numel())


class Rows(torch.utils.data.Dataset[dict[str, list[int]]]):
    """Lists of ids as a data set."""

    def __init__(self, rows: list[list[int]]) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, i: int) -> dict[str, list[int]]:
        return {"input_ids": self._rows[i]}
