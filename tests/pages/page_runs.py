"""A training run as the stages write it, made up for the tests of its page: report, metrics and samples in two languages."""

import math
from typing import Any

import numpy as np
from page_reports import EN, ZH


def run_report(steps: int = 2000) -> dict[str, Any]:
    """A report with every key."""
    return {
        "name": "news",
        "stage": "pretrain",
        "parameters": 12_840_192,
        "steps": steps,
        "objective": {"masked_language_model": {"share": 0.15}, "sentence_order": None},
        "family": "bert",
        "precision": "bf16",
        "compiled": True,
        "training": {
            "documents": 48_211,
            "tokens": 31_870_233,
            "label_tokens": 4_780_535,
            "padding": 0.013,
            "cut": 3_120,
            "truncated": 0,
            "dropped": 2,
        },
        "validation": {
            "documents": 2_540,
            "tokens": 1_650_120,
            "label_tokens": 247_518,
            "padding": 0.0004,
            "cut": 160,
            "truncated": 0,
            "dropped": 0,
        },
        "validation_losses": [{"step": 0, "loss": 10.4, "bits_per_byte": 3.9, "accuracy": 0.0001}],
        "tokenizer": {
            "vocabulary": 8_000,
            "vocabulary_used": 0.93,
            "languages": {
                "en": {"texts": 4_270, "bytes_per_token": 4.31, "unknown_share": 0.0},
                "zh": {"texts": 2_549, "bytes_per_token": 4.05, "unknown_share": 0.0003},
            },
        },
        "stopped_early": None,
    }


def run_metrics(steps: int = 2000, evaluations: int = 20) -> list[dict[str, Any]]:
    """Metrics of a run that falls as runs do: noise, a spike in the loss, one enormous gradient, pairs learned late."""
    random = np.random.default_rng(7)
    every, lines = max(steps // evaluations, 1), []
    for step in range(steps + 1):
        done = step / steps
        loss = 2.9 + 7.5 * math.exp(-60 * done) + 0.9 * math.exp(-4 * done)
        line: dict[str, Any] = {"step": step}
        if step:
            spike = 1.6 * math.exp(-abs(step - 0.62 * steps) / (0.004 * steps + 1))
            line |= {
                "loss": loss + spike + random.normal(0, 0.11),
                "learning_rate": 6e-4 * min(done / 0.05, 0.55 + 0.45 * math.cos(math.pi * done)),
                "gradient_norm": 900.0 if step == int(0.62 * steps) else 0.4 + 4 * math.exp(-30 * done) + random.gamma(2, 0.1),
                "tokens": 16_384,
                "tokens_per_second": 61_000 * (0.55 if step % 97 == 0 else 1) + random.normal(0, 1500),
                "waited": float(abs(random.normal(0, 0.01))),
            }
        if step % every == 0:
            line |= {
                "validation_loss": loss + 0.08 + 0.5 * max(done - 0.85, 0),
                "bits_per_byte": loss / 2.66,
                "validation_accuracy": 0.48 * (1 - math.exp(-5 * done)),
                "sequence_loss": 0.7 - 0.35 * done,
                "sequence_accuracy": 0.5 + 0.4 / (1 + math.exp(-14 * (done - 0.5))),
            }
        lines.append(line)
    return lines


def run_samples(steps: int = 2000, times: int = 5) -> list[dict[str, Any]]:
    """Samples of an English and a Chinese prompt, better with time."""
    found = []
    for i in range(times):
        part = (i + 1) / times
        for prompt, whole in (("The harbour council ", EN[20:]), ("港务委员会", ZH[5:])):
            words = whole[: int(len(whole) * part)] if i else (" the the of" if prompt[0] == "T" else "的的一的") * 12
            found.append({"step": steps * (i + 1) // times, "prompt": prompt, "text": words})
    return found
