"""What became of all rows into report.json, which the report page is drawn from."""

from collections import Counter
from typing import Any

from aigc.core.rules.corpus import Account
from aigc.core.rules.rule import Edit
from aigc.core.rules.steps import LANGUAGES

__all__ = ["report_of"]

VALUES = 20  # of a column, the commonest
FEW = 10  # documents of which a share says nothing


def report_of(account: Account, *, renamed_ids: int, warn_share: float, sample: int | None = None) -> dict[str, Any]:
    """The whole report, as JSON values.

    Args:
        warn_share: a preset that drops more than this share of a language is warned of.
        sample: how many rows a dry run looked at.
    """
    return {
        "read": account.read,
        "kept": account.kept,
        "dropped": account.dropped,
        "failed": account.failed,
        "renamed_ids": renamed_ids,
        "characters_read": account.characters_read,
        "characters_kept": account.characters_kept,
        "fields": account.fields,
        "languages": {
            language: {
                "read": account.languages_read[language],
                "kept": account.languages_kept[language],
                "dropped": account.languages_read[language] - account.languages_kept[language],
            }
            for language in LANGUAGES
            if account.languages_read[language]
        },
        "steps": _steps(account),
        "columns": {name: _commonest(counts) for name, counts in account.columns.items()},
        "failures": [{"origin": failure.origin, "reason": failure.reason} for failure in account.failures],
        "warnings": _warnings(account, warn_share),
        "sample": sample,
    }


def _commonest(counts: Counter[str]) -> dict[str, int]:
    """The largest counts; of equal ones those whose names come first."""
    return dict(sorted(counts.items(), key=lambda one: (-one[1], one[0]))[:VALUES])


def _steps(account: Account) -> list[dict[str, Any]]:
    steps = []
    for place, (rule, count) in enumerate(zip(account.rules, account.steps, strict=True)):
        step = count.told(rule)
        if place in account.clusters:
            clusters = account.clusters[place]
            step["clusters"] = {
                "count": clusters.count,
                "largest": [
                    {"keeper": name, "size": size, "text": account.texts.get(name, "")} for name, size in clusters.largest.items()
                ],
            }
            for example in step["examples"]:
                example["keeper_text"] = account.texts.get(example["keeper"], "")
        steps.append(step)
    return steps


def _warnings(account: Account, warn_share: float) -> list[str]:
    """Presets that take most of one language: they were made for another, or it repeats itself."""
    seen: dict[str, Counter[str]] = {}
    dropped: dict[str, Counter[str]] = {}
    for rule, count in zip(account.rules, account.steps, strict=True):
        if rule.preset is not None and not isinstance(rule, Edit):
            seen.setdefault(rule.preset, count.seen)
            dropped.setdefault(rule.preset, Counter()).update(count.hit)
    return [
        f"the preset {preset} drops {hit[language] / seen[preset][language]:.1%} of {language} "
        f"({hit[language]:,} of {seen[preset][language]:,} documents); is it meant for such texts?"
        for preset, hit in dropped.items()
        for language in LANGUAGES
        if hit[language] > warn_share * seen[preset][language] and seen[preset][language] >= FEW
    ]
