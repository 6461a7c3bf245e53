"""Reports as the stages write them, made up for the tests of pages: a full clean report in two languages, and a split."""

import math
from itertools import pairwise
from typing import Any

EN = (
    "The harbour council met on Tuesday to decide how the old ferry pier should be used. Two plans were on the table: "
    "a market hall with room for forty stalls, or a workshop for the boat builders who now work in the open. "
)
ZH = (
    "港务委员会星期二开会，讨论旧渡轮码头的用途。会上提出了两个方案：一是建一座能容纳四十个摊位的市场，"
    "二是为目前在露天作业的造船工人建一个工场。委员们认为，两个方案都需要先查清码头桩基的状况。"
)


def bell(edges: list[float], centre: float, width: float, total: int) -> list[int]:
    """Counts of a log-normal bump over some edges."""

    def below(x: float) -> float:
        return 0.5 * (1 + math.erf((math.log1p(max(x, 0)) - math.log1p(centre)) / (width * math.sqrt(2))))

    return [round(total * (below(b) - below(a))) for a, b in pairwise(edges)]


WIDE = [0.0, *(round(1.35**k, 3) for k in range(36))]
SHARES = [0.0, 0.005, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
EVEN = [0.5 * k for k in range(25)]


def measure(rule: str, edges: list[float], en: tuple[float, float], zh: tuple[float, float], **more: Any) -> dict[str, Any]:
    """One step of a measure, its histograms bumps of (centre, width)."""
    histogram = {
        name: {"edges": edges, "counts": bell(edges, *at, total)} for name, at, total in (("en", en, 4200), ("zh", zh, 2500))
    }
    examples = more.pop("examples", [])
    return {"rule": rule, "kind": "measure", "seen": 6790, "preset": None, "histogram": histogram, "examples": examples, **more}


def clean_report(sample: int | None = None) -> dict[str, Any]:
    """A clean report with every key, whose rows add up: 6,827 read."""
    short = {"id": "zh-00412", "value": 31.0, "bound": "min 80 (zh)", "text": "图片新闻：渡轮今早恢复通航。（记者摄）"}
    table = {
        "id": "en-1093",
        "value": 0.212,
        "bound": "max 0.1",
        "text": "Results || 3 | 1 | 4 || 1 | 5 | 9 || # # # ... ... ###\n" * 6,
    }
    steps: list[dict[str, Any]] = [
        {
            "rule": "repair_unicode",
            "kind": "edit",
            "seen": 6819,
            "edited": {"en": 212, "zh": 41},
            "examples": [
                {
                    "id": "en-0007",
                    "before": EN.replace("council", "councilâ€™s board") + "The vote is due in \u200bMay.",
                    "after": EN.replace("council", "council’s board") + "The vote is due in May.",
                },
                {"id": "zh-0031", "before": ZH.replace("，", "，\u3000") + "锟斤拷", "after": ZH},
            ],
        },
        {
            "rule": "html_to_text",
            "kind": "edit",
            "seen": 6819,
            "edited": {"en": 80, "zh": 13},
            "examples": [
                {
                    "id": "en-0102",
                    "before": f"<p>{EN}</p>\n<p class='ad'>Read &amp; share</p><script>track()</script>",
                    "after": f"{EN}\n\nRead & share",
                },
                {"id": "zh-0102", "before": f"<div><b>{ZH}</b><br/>责任编辑：无</div>", "after": f"{ZH}\n责任编辑：无"},
            ],
        },
        {
            "rule": "language",
            "kind": "measure",
            "seen": 6819,
            "dropped": {"en": 31, "zh": 0},
            "bounds": ["in en, zh"],
            "preset": None,
            "histogram": {},
            "examples": [{"id": "en-3000", "value": "cy", "bound": "in en, zh", "text": "Mae'r harbwr ar agor heddiw."}],
        },
        measure(
            "words",
            WIDE,
            (420, 0.9),
            (610, 0.8),
            dropped={"en": 96, "zh": 61},
            bounds=["min 50 (en)", "min 80 (zh)", "max 10000"],
            preset="gopher",
            examples=[
                short,
                {"id": "en-0441", "value": 12.0, "bound": "min 50 (en)", "text": "Photo gallery: the ferry sails again."},
            ],
        ),
        measure(
            "symbol_share",
            SHARES,
            (0.012, 0.02),
            (0.02, 0.03),
            dropped={"en": 40, "zh": 12},
            bounds=["max 0.1"],
            preset="gopher",
            examples=[table],
        ),
        measure(
            "mean_word_length", EVEN, (4.7, 0.12), (1.6, 0.1), dropped={"en": 0, "zh": 0}, bounds=["min 3 (en)", "max 10 (en)"]
        ),
        measure("stop_words", EVEN, (6, 0.3), (5, 0.3), dropped={}, bounds=["min 2"], preset="gopher"),
        measure("words", WIDE, (450, 0.8), (640, 0.7), dropped={"en": 3, "zh": 5}, bounds=["min 60 (en)", "min 100 (zh)"]),
        {
            "rule": "exact_duplicates",
            "kind": "duplicates",
            "seen": 6571,
            "dropped": {"en": 0, "zh": 0},
            "clusters": {},
            "examples": [],
        },
        {
            "rule": "near_duplicates",
            "kind": "duplicates",
            "seen": 6571,
            "dropped": {"en": 700, "zh": 171},
            "clusters": {
                "count": 402,
                "largest": [{"keeper": f"en-{i}", "size": 40 // (i + 1), "text": EN if i % 2 else ZH} for i in range(4)],
            },
            "examples": [
                {
                    "id": "zh-77",
                    "keeper": "zh-12",
                    "similarity": 0.934,
                    "text": ZH.replace("星期二", "本周二").replace("四十", "五十"),
                    "keeper_text": ZH,
                },
                {
                    "id": "en-78",
                    "keeper": "en-11",
                    "similarity": 0.71,
                    "text": EN.replace("Tuesday", "Wednesday morning") * 6,
                    "keeper_text": EN * 6 + "Subscribe to our newsletter.",
                },
            ],
        },
    ]
    dropped = sum(sum(step.get("dropped", {}).values()) for step in steps)
    return {
        "read": 6827,
        "kept": 6827 - 8 - dropped,
        "dropped": dropped,
        "failed": 8,
        "renamed_ids": 3,
        "characters_read": 18_734_112,
        "characters_kept": 15_200_431,
        "fields": ["id", "text", "title", "topic", "source", "license"],
        "languages": {"en": {"read": 4270, "kept": 3400, "dropped": 870}, "zh": {"read": 2549, "kept": 2300, "dropped": 249}},
        "steps": steps,
        "columns": {
            "source": {"City Desk": 2657, "港口日报": 1404, "Harbour Weekly": 800, "": 512, "…": 327},
            "license": {"CC0-1.0": 3300, "CC-BY-4.0": 1800, "research only": 600},
            "topic": {f"topic {i}": 900 - 40 * i for i in range(20)},
        },
        "failures": [
            {"origin": "news-3.jsonl:1207", "reason": "not valid JSON: Expecting ',' delimiter at column 88"},
            {"origin": "news-4.jsonl.gz:15", "reason": "no text: the field 'text' is null"},
        ],
        "warnings": ["near_duplicates drops 16.4% of en (700 of 4,270): look at the pairs before you train on what is left"],
        "sample": sample,
    }


def split_report(leaks: bool = False) -> dict[str, Any]:
    """A split report with every key, with or without leaks."""
    pairs = [
        {"part": "test", "id": f"zh-{i}", "other_part": "train", "other": f"zh-{i + 400}", "similarity": 0.7 + i / 20}
        for i in range(4)
    ]
    return {
        "documents": 1000,
        "parts": {"train": 900, "validation": 48, "test": 52},
        "shares": {"train": 0.9, "validation": 0.05, "test": 0.05},
        "clusters": {"count": 950, "largest": 12},
        "leaks": {"exact": 0, "near": 1, "ngram13": 3} if leaks else {"exact": 0, "near": 0, "ngram13": 0},
        "leak_pairs": pairs if leaks else [],
        "classes": {
            "sport": {"train": 90, "validation": 5, "test": 5},
            "经济": {"train": 380, "validation": 20, "test": 24},
            "culture": {"train": 430, "validation": 23, "test": 23},
        },
        "moved": 4,
    }
