"""`aigc new`: write a commented project file."""

import re
import sys
from pathlib import Path

from aigc.errors import ConfigError

__all__ = ["run"]

TEMPLATE = """\
# {name}: every key that stands here can be set on the command line as well, e.g. pretrain.steps=100
# `aigc check {name}.yaml` says what it would do, `aigc run {name}.yaml` does it.
name: {name}
seed: 0                           # same file, seed and machine: the same bytes out
# runs: runs                      # results go to runs/{name}/<stage>/
# device: auto                    # auto, cpu, cuda, cuda:1, mps

clean:                            # raw files -> documents, with a ledger of every decision
  input: samples:*.jsonl          # your files: data/*.jsonl.gz, notes/*.txt, table.csv, archive.parquet, or - for stdin
  # text_field: text              # the field that holds the text
  # id_field: id                  # the field that names a document
  # max_failed: 0.01              # share of broken rows above which the run stops
  rules:                          # in this order
    - preset: default             # edits, light bounds, exact and near-duplicates; what counts without `rules`
    - characters: {{min: {{en: 80, zh: 40}}}}     # bounds may differ by language

split: {{validation: 0.08, test: 0.04}}           # by a stable hash; near-duplicates stay together

pretrain:                         # a tokenizer and a Transformer from nothing; leave it out to finetune a checkpoint
  document: "{{title}}\\n{{text}}"    # fields of a document -> the text to learn
  tokenizer: {{vocabulary: 2048}}
  model: {{family: gpt2, layers: 4, width: 128, heads: 4}}
  context: 256                    # tokens in a row
  batch_size: 8                   # rows at once
  epochs: 4                       # or steps: 1000
  learning_rate: 2e-3

# finetune:                       # go on from the pretrained model, or from start: gpt2, or start: ./checkpoint
#   task: instruct                # language_model learns whole documents, instruct only completions after prompts
#   prompt: "{{title}}\\n"
#   completion: "{{text}}"
#   context: 256
#   epochs: 2

generate:                         # prompts -> samples that passed the rules
  prompts: [{{title: A letter from the sea}}, {{title: 海边的来信}}]    # or a file, or - for stdin
  prompt: "{{title}}\\n"             # fields of a row; {{tone|calm}} is calm where the row has no tone
  count: 2                        # samples of each prompt
  # output: samples.jsonl         # instead of the run folder; - for stdout
  # chat: true                    # ask through the checkpoint's chat template
  # engine: auto                  # torch, openvino (pip install 'aigc[openvino]'), vllm
  # precision: auto               # fp32, bf16, int8 (openvino)
  max_tokens: 120
  # max_sentences: 8              # or max_characters
  # stop: "\\n\\n"                  # a text or several that end a sample
  temperature: 0.8                # 0 takes the likeliest token each time
  # banned: [lorem ipsum]         # never written; or a file with a text in each line
  # constrain: {{choices: [yes, no]}}             # or json_schema, or regex
  # best_of: {{candidates: 4}}      # the likeliest of four; by: measures as well
  # plan: {{}}                      # long texts: a title, an outline, sections
  rules: [finish_sentence, redact, copied_run: {{max: 50}}, exact_duplicates]    # no run of over 50 characters from the data
  # retries: 3                    # draw again what the rules reject
  # label: {{producer: YourName}}   # who generated it: what `aigc export` writes into each file
  # watermark: {{key: 123}}         # a secret number of yours; `aigc detect` finds the mark again
"""


def run(name: str) -> None:
    """Write NAME.yaml in the working folder.

    Raises:
        ConfigError: the name cannot be a run's name, or the file exists.
    """
    if not re.fullmatch(r"\w[\w.-]{0,99}", name):
        raise ConfigError(f"{name!r}: a name is letters, digits, '_', '-' and '.'")
    path = Path(f"{name}.yaml")
    if path.exists():
        raise ConfigError(f"{path}: exists already; it was left as it is")
    path.write_text(TEMPLATE.format(name=name), "utf-8")
    print(f"{path} is written; try: aigc check {path}", file=sys.stderr)
