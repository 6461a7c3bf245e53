"""A peer's name into an environment that has it and a script that does its job: JSON lines in, the kept JSON lines out.

Each script is run as `python script.py IN OUT` (two folders) by the python of the peer's own environment. All are given what makes
them fair to Chinese: units that are Han characters or words (rensa), a tokenizer by language (datatrove), windows of characters
(data-juicer).
"""

import subprocess
import sys
from pathlib import Path

__all__ = ["NEAR", "PACKAGES", "QUALITY", "python_of"]

PACKAGES = {
    "rensa": ("rensa==0.5.0", "orjson"),
    "datatrove": ("datatrove[processing,multilingual,io]==0.10.1", "orjson"),
    "data-juicer": ("py-data-juicer==1.6.1", "aiohttp", "torch", "ray"),
}
"""What pip installs for each peer; orjson and aiohttp are needed by them and not asked for, and torch (with CUDA) and ray are what
data-juicer installs by itself in the middle of its first run."""


def python_of(peer: str, venvs: Path, constraints: Path) -> Path:
    """The interpreter of the peer's environment, made on first use.

    Args:
        constraints: a pip constraints file; only its line for torch counts, for another torch brings gigabytes of CUDA.

    Raises:
        CalledProcessError: pip failed.
    """
    folder = venvs / peer
    python, done = folder / "bin" / "python", folder / "installed"
    if done.exists() and done.read_text("utf-8") == "\n".join(PACKAGES[peer]):
        return python
    venvs.mkdir(parents=True, exist_ok=True)
    torch = venvs / "torch.txt"
    torch.write_text("".join(line for line in constraints.open(encoding="utf-8") if line.startswith("torch==")), "utf-8")
    print(f"installing {peer} into {folder}", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip: list[str | Path] = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-c", torch, *PACKAGES[peer]]
    subprocess.run(pip, check=True, stdout=sys.stderr)
    done.write_text("\n".join(PACKAGES[peer]), "utf-8")
    return python


_RENSA = r"""
import re, sys
from pathlib import Path
import orjson
from rensa import RMinHash, RMinHashLSH

han = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
unit = re.compile(f"[{han}]|[^\\W{han}]+")
lsh, signatures, number = RMinHashLSH(threshold=0.7, num_perm=128, num_bands=16), [], 0
with open(Path(sys.argv[2]) / "kept.jsonl", "wb") as kept:
    for path in sorted(Path(sys.argv[1]).glob("*.jsonl")):
        for line in path.open("rb"):
            units = unit.findall(orjson.loads(line)["text"].lower())
            minhash = RMinHash(num_perm=128, seed=42)
            minhash.update([" ".join(units[i : i + 5]) for i in range(max(1, len(units) - 4))])
            found = lsh.query(minhash)
            if any(minhash.jaccard(signatures[other]) >= 0.6 for other in found):  # .6: an estimate of .7 is often a little less
                continue
            lsh.insert(len(signatures), minhash)
            signatures.append(minhash)
            kept.write(line)
"""

_DATATROVE_NEAR = r"""
import sys
from pathlib import Path
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter

def job(language, source, work, out):
    config = MinhashConfig(n_grams=5, num_buckets=14, hashes_per_bucket=8)
    read = lambda: JsonlReader(source, glob_pattern="*.jsonl")
    stages = [
        ([read(), MinhashDedupSignature(f"{work}/signatures", config=config, language=language)], 4),
        ([MinhashDedupBuckets(f"{work}/signatures", f"{work}/buckets", config=config)], 14),
        ([MinhashDedupCluster(f"{work}/buckets", f"{work}/remove", config=config)], 1),
        ([read(), MinhashDedupFilter(f"{work}/remove"), JsonlWriter(out, f"{language}-${{rank}}.jsonl", compression=None)], 4),
    ]
    for number, (pipeline, tasks) in enumerate(stages):
        LocalPipelineExecutor(pipeline, tasks=tasks, workers=2, logging_dir=f"{work}/logs{number}").run()

if __name__ == "__main__":
    source, out = sys.argv[1:3]
    job("LANGUAGE", source, f"{out}/work", f"{out}/kept")
"""

_DATATROVE_QUALITY = r"""
import sys
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.filters import C4QualityFilter, GopherQualityFilter, GopherRepetitionFilter
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter

if __name__ == "__main__":
    source, out = sys.argv[1:3]
    filters = [kind(language="LANGUAGE") for kind in (GopherRepetitionFilter, GopherQualityFilter, C4QualityFilter)]
    reader, writer = JsonlReader(source, glob_pattern="*.jsonl"), JsonlWriter(f"{out}/kept", "${rank}.jsonl", compression=None)
    pipeline = [reader, *filters, writer]
    LocalPipelineExecutor(pipeline, tasks=4, workers=2, logging_dir=f"{out}/logs").run()
"""

_DATA_JUICER = r'''
import subprocess, sys
from pathlib import Path
source, out = Path(sys.argv[1]), Path(sys.argv[2])
config = out / "config.yaml"
config.write_text(f"""
project_name: bench
dataset_path: {source}
export_path: {out}/kept.jsonl
np: 2
work_dir: {out}/work
open_tracer: false
use_cache: false
text_keys: text
process:
PROCESS
""")
sys.exit(subprocess.run([Path(sys.executable).with_name("dj-process"), "--config", config]).returncode)
'''

_MINHASH = """
  - document_minhash_deduplicator:
      tokenization: character
      window_size: 5
      lowercase: true
      jaccard_threshold: 0.7
"""
_FILTERS = """
  - alphanumeric_filter:
  - average_line_length_filter:
  - maximum_line_length_filter:
  - character_repetition_filter:
  - word_repetition_filter:
  - special_characters_filter:
  - text_length_filter:
  - words_num_filter:
"""  # stopwords_filter and flagged_words_filter fetch word lists from the network

NEAR = {
    "rensa": _RENSA,
    "datatrove": _DATATROVE_NEAR.replace("LANGUAGE", "eng"),
    "datatrove cmn_Hani": _DATATROVE_NEAR.replace("LANGUAGE", "cmn_Hani"),
    "data-juicer": _DATA_JUICER.replace("PROCESS", _MINHASH),
}
"""Near-duplicates at a similarity of 0.7. datatrove has one tokenizer for a run: English, its default, and Chinese are tried, each
on all rows. (Its "zho" splits on spaces in 0.10.1; "cmn_Hani" is what cuts Chinese words.)"""
QUALITY = {
    "datatrove": _DATATROVE_QUALITY.replace("LANGUAGE", "eng"),
    "datatrove cmn_Hani": _DATATROVE_QUALITY.replace("LANGUAGE", "cmn_Hani"),
    "data-juicer": _DATA_JUICER.replace("PROCESS", _FILTERS),
}
"""datatrove's Gopher and C4 filters; the eight filters of data-juicer that need no word list."""
