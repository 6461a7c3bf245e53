"""A run that is killed at random moments and begun again each time, against one that is left alone: the same weights, to the byte.

    python scripts/kill_train.py configs/quickstart.yaml --kills 20 [KEY=VALUE ...]

`kill -9` falls while the run starts, tokenises, trains, validates or writes a checkpoint, whatever it is doing.
"""

import argparse
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def command(file: str, folder: Path, overrides: list[str], stage: str = "pretrain") -> list[str]:
    """The command that trains into a folder."""
    return [sys.executable, "-m", "aigc", stage, file, *overrides, f"runs={folder}"]


def digest(folder: Path) -> str:
    """Of the weights that a finished run left."""
    found = sorted(folder.glob("*/pretrain/model/model.safetensors"))
    return hashlib.sha256(found[0].read_bytes()).hexdigest()


def last_step(folder: Path) -> str:
    """The newest checkpoint of an unfinished run."""
    steps = [path.name for path in folder.glob("*/.pretrain.partial/checkpoints/step-*")]
    return max(steps, key=lambda name: int(name.removeprefix("step-")), default="no checkpoint")


def main() -> None:
    """Both runs, and the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    draw = random.Random(given.seed)
    work = Path(tempfile.mkdtemp(prefix="aigc-kill-"))
    try:
        for stage in ("clean", "split"):
            subprocess.run(command(given.file, work / "alone", given.overrides, stage), check=True, capture_output=True)
        shutil.copytree(work / "alone", work / "killed")
        started = time.monotonic()
        subprocess.run(command(given.file, work / "alone", given.overrides), check=True, capture_output=True)
        whole = time.monotonic() - started
        print(f"undisturbed: {whole:.1f} s, weights {digest(work / 'alone')[:16]}", flush=True)
        kills = 0
        while True:
            run = subprocess.Popen(
                command(given.file, work / "killed", given.overrides), stderr=subprocess.PIPE, start_new_session=True
            )
            after = draw.uniform(0.1, 0.9) * whole if kills < given.kills else None
            try:
                _, said = run.communicate(timeout=after)
            except subprocess.TimeoutExpired:
                os.killpg(run.pid, signal.SIGKILL)
                run.communicate()
                kills += 1
                print(f"kill {kills:2} after {after:5.1f} s: {last_step(work / 'killed')}", flush=True)
                continue
            if run.returncode:
                sys.exit(f"the run failed: {said.decode()[-400:]}")
            if kills >= given.kills:
                break
            shutil.rmtree(next((work / "killed").glob("*/pretrain")))  # it came to its end before the kill: again from nothing
            print("(it was finished before the kill; begun anew)", flush=True)
        same = digest(work / "killed") == digest(work / "alone")
        print(f"killed {kills} times: weights {digest(work / 'killed')[:16]}, {'the same' if same else 'NOT THE SAME'}")
        sys.exit(0 if same else 1)
    finally:
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
