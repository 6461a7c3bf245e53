"""The scoring of a dirty corpus, and the truth of the benchmark, on texts made up here."""

import gzip
import importlib
import json
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent.parent / "scripts"))  # scripts are no package
bench_clean, bench_corpus, bench_run, score_clean, score_split = map(
    importlib.import_module, ("bench_clean", "bench_corpus", "bench_run", "score_clean", "score_split")
)

ARTICLE = "The ferry leaves at nine and the harbour is quiet until the first lorries come down the hill."
POEM = "山路晓行人未起，溪桥霜重马蹄轻。"
KEY: dict[str, dict[str, Any]] = {
    "a": {"kind": "good", "lang": "en"},
    "a copy": {"kind": "exact_dup", "of": "a"},
    "a spaced": {"kind": "exact_dup_ws", "of": "a"},
    "a near": {"kind": "near_dup", "of": "a", "rate": 0.05},
    "a page": {"kind": "html", "of": "a"},
    "a pii": {"kind": "pii", "of": "a", "secrets": ["me@example.org"]},
    "p": {"kind": "good", "lang": "zh"},
    "p broken": {"kind": "mojibake", "of": "p", "clean": POEM},
    "p half": {"kind": "half", "of": "p"},
    "n": {"kind": "gibberish"},
}
DIRTY = {
    "a": ARTICLE,
    "a copy": ARTICLE,
    "a spaced": f"  {ARTICLE.replace(' ', '  ')}\n",
    "a near": ARTICLE.replace("quiet", "calm"),
    "a page": f"<html><nav>Home | News | Sport</nav><p>{ARTICLE}</p></html>",
    "a pii": f"{ARTICLE} Write to me@example.org.",
    "p": POEM,
    "p broken": POEM.encode().decode("latin-1"),
    "p half": POEM[:8],
    "n": "x8 3j# qq1",
}
REPEATED = {name: score_clean.Drop("near_duplicates", keeper="a") for name in ("a copy", "a spaced", "a near", "a page")}
PERFECT = score_clean.Outcome(
    DIRTY,
    KEY,
    {"a": ARTICLE, "a pii": f"{ARTICLE} Write to [email].", "p": POEM},
    REPEATED
    | {"p broken": score_clean.Drop("exact_duplicates", keeper="p"), "p half": score_clean.Drop("contained", keeper="p")}
    | {"n": score_clean.Drop("stop_words", 0.0)},
)


def with_left(changes: dict[str, str | None], drops: dict[str, Any] | None = None) -> dict[str, Any]:
    """The figures by the first word of their name, where other documents are left than in the perfect outcome."""
    left = {name: text for name, text in (dict(PERFECT.left) | changes).items() if text is not None}
    outcome = score_clean.Outcome(DIRTY, KEY, left, dict(PERFECT.drops) | (drops or {}))
    return {figure.name: figure for figure in score_clean.figures(outcome)}


def met(figures: dict[str, Any], start: str) -> bool:
    [figure] = [figure for name, figure in figures.items() if name.startswith(start)]
    return bool(figure.met)


def test_a_perfect_cleaner_meets_every_figure() -> None:
    assert [figure.name for figure in score_clean.figures(PERFECT) if not figure.met] == []


def test_doing_nothing_fails_for_everything_that_was_planted() -> None:
    outcome = score_clean.Outcome(DIRTY, KEY, DIRTY, {})
    failed = {figure.name.split()[0] for figure in score_clean.figures(outcome) if not figure.met}
    assert failed == {"exact", "near_dup", "html", "mojibake", "gibberish", "secrets", "documents"}, (
        "good is kept, the rest is not mended"
    )


def test_a_near_duplicate_may_stand_for_its_group_but_nobody_may_stand_twice() -> None:
    stands = with_left({"a": None, "a pii": None, "a near": DIRTY["a near"]})
    assert met(stands, "exact"), "the near-duplicate stays for the group"
    assert met(stands, "near_dup 0.05"), "of copy and original one is gone"
    assert met(stands, "good kept (it")
    twice = with_left({"a spaced": DIRTY["a spaced"]})
    assert not met(twice, "exact"), "white space aside, the text is left twice"
    lost = with_left({"a": None, "a pii": None})
    assert not met(lost, "exact"), "a group of which nobody is left is lost"
    assert not met(lost, "good kept (it")
    both = with_left({"a near": DIRTY["a near"]})
    assert not met(both, "near_dup 0.05")


def test_half_a_document_does_not_stand_for_the_whole() -> None:
    figures = with_left({"p": None, "p half": DIRTY["p half"]})
    assert not met(figures, "good kept (it")


def test_good_text_that_was_changed_is_no_longer_good() -> None:
    assert met(with_left({"a": ARTICLE.replace(" ", "\n", 1)}), "good kept, unchanged"), "white space may change"
    assert not met(with_left({"a": ARTICLE.replace("ferry", "boat")}), "good kept, unchanged")


def test_restored_means_the_text_came_out_or_was_found_to_repeat_what_did() -> None:
    assert met(with_left({"a page": ARTICLE}), "html"), "the article itself came out"
    glued = ARTICLE.replace("ferry leaves", "ferryleaves")
    assert not met(with_left({"a page": glued}), "html"), "words that lost their space are not the article"
    by_measure = {"a page": score_clean.Drop("symbol_share", 0.4)}
    assert not met(with_left({}, by_measure), "html"), "dropped as noise: nothing was restored"
    assert not met(with_left({"p": POEM[:-4]}), "mojibake"), "what it repeats is not left whole"


def test_secrets_and_furniture_are_sought_in_every_text_that_came_out() -> None:
    figures = with_left({"p": f"{POEM} me@example.org", "a page": f"{ARTICLE} Cookie Policy"})
    assert not met(figures, "secrets")
    assert not met(figures, "documents with HTML")


def test_a_share_of_no_documents_is_met_and_says_no_percentage() -> None:
    figure = score_clean.Figure("none", 0, 0, 0.98)
    assert figure.met
    assert figure.row()[1] == "(0/0)"


WORDS = st.lists(st.sampled_from(["sea", "Sea", "wind", "海", "风", "，", "a1"]), max_size=14).map(" ".join)


@given(st.lists(WORDS, max_size=8), st.sampled_from([0.2, 0.7, 1.0]))
def test_the_index_finds_just_the_pairs_that_comparing_all_finds(texts: list[str], least: float) -> None:
    documents = {f"d{i}": text for i, text in enumerate(texts)}
    runs = {name: bench_corpus.grams(text) for name, text in documents.items()}
    names = list(documents)
    wanted = {}
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            if runs[one] and runs[other]:
                similarity = bench_corpus.jaccard(runs[one], runs[other])
            else:  # a text without a unit is like another only where they are the same
                neither = not runs[one] and not runs[other]
                similarity = float(neither and documents[one].strip() == documents[other].strip())
            if similarity >= least:
                wanted[one, other] = similarity
    assert bench_corpus.alike(documents, least) == wanted


def test_units_are_words_and_single_han_characters() -> None:
    assert bench_corpus.units("GPT-2 写诗，Rain!") == ["gpt", "2", "写", "诗", "rain"]


def test_a_leak_is_a_held_out_document_with_a_copy_in_another_part() -> None:
    texts = {"t": ARTICLE, "v": ARTICLE.upper(), "x": POEM, "y": POEM, "z": "something else altogether here now"}
    assert score_split.leaks(texts, {"t": "train", "v": "validation", "x": "test", "y": "test", "z": "test"}) == ["v"]
    assert score_split.leaks(texts, {"t": "train", "v": "train", "x": "validation", "y": "test", "z": "train"}) == ["x", "y"]


@given(st.lists(st.sampled_from(score_split.PARTS), min_size=1, max_size=60))
def test_a_random_split_gives_each_document_one_part_and_keeps_the_sizes(parts: list[str]) -> None:
    like = {str(i): part for i, part in enumerate(parts)}
    drawn = score_split.random_parts(list(like), like)
    assert drawn.keys() == like.keys()
    assert Counter(drawn.values()) == Counter(parts)


def test_moved_counts_only_what_is_in_both_splits() -> None:
    assert score_split.moved({"a": "train", "b": "test", "c": "test"}, {"a": "test", "b": "test", "d": "train"}) == ["a"]


PIECES = [[f"Boat number {i} came home late. ", f"Its {i} nets were torn, and nobody knew why."] for i in range(400)]


def test_composed_documents_are_seeded_sized_and_unlike_each_other() -> None:
    documents = list(bench_corpus.compose(PIECES, "en", 40_000, seed=1))
    assert documents == list(bench_corpus.compose(PIECES, "en", 40_000, seed=1))
    assert documents != list(bench_corpus.compose(PIECES, "en", 40_000, seed=2))
    assert all(len(document.text) <= 6000 for document in documents)
    written = [len(document.text.encode()) for document in documents]
    assert sum(written) >= 40_000 > sum(written[:-1]), "it stops with the document that fills the size"


@pytest.mark.parametrize(("text", "language"), [(ARTICLE, "en"), (POEM * 6, "zh")])
def test_planted_copies_are_what_their_kind_says(text: str, language: str) -> None:
    words = ["stone", "lamp"] if language == "en" else ["石", "灯"]
    copies = {kind: bench_corpus.plant(text, kind, language, words, random.Random(3)) for kind in bench_corpus.KINDS}
    assert copies["exact"] == text
    assert bench_corpus.units(copies["looks"]) == bench_corpus.units(text), "only case, spaces and marks differ"
    assert copies["looks"] != text
    assert text in copies["boilerplate"].split("\n")
    assert text.startswith(copies["truncated"])
    assert len(copies["truncated"]) == int(len(text) * 0.85)
    similar = {kind: bench_corpus.jaccard(bench_corpus.grams(text), bench_corpus.grams(copies[kind])) for kind in copies}
    assert 1 > similar["edit2"] >= similar["edit10"], "more edits, less alike"


def test_a_copy_is_caught_when_it_or_its_original_is_gone() -> None:
    rows = [
        bench_corpus.Planted("a", None, "base", "en", 1.0),
        bench_corpus.Planted("b", None, "base", "en", 1.0),
        bench_corpus.Planted("c", None, "base", "zh", 1.0),
        bench_corpus.Planted("a2", "a", "exact", "en", 1.0),
        bench_corpus.Planted("b2", "b", "edit10", "en", 0.4),
    ]
    truth = {row.id: row for row in rows}
    found = bench_clean.score(frozenset({"a2", "b", "b2"}), truth)
    assert found.recall["exact"] == 1.0, "the original went: one of the pair is left"
    assert found.recall["edit10"] == 0.0
    assert found.recall["en"] == 0.5
    assert found.recall["en j5>=.7"] == 1.0, "b2 is less alike than that"
    assert (found.wrong, found.precision) == (1, 0.5), "c went though it repeats nothing"
    assert bench_clean.kept_share(frozenset({"a2", "b"}), truth) == ("0.0%", "100.0%"), "a2 stands for a"


def test_memory_is_that_of_all_processes_of_a_command(tmp_path: Path) -> None:
    child = "import time; held = b'x' * 150_000_000; time.sleep(0.8)"
    parent = f"import subprocess, sys; sys.exit(subprocess.run([sys.executable, '-c', {child!r}]).returncode)"
    run = bench_run.measured([sys.executable, "-c", parent], tmp_path / "log", lambda: ["a"])
    assert run.peak >= 150_000_000, "the child's memory counts"
    assert run.seconds >= 0.8
    assert run.kept == {"a"}
    with pytest.raises(subprocess.CalledProcessError) as failed:
        bench_run.measured([sys.executable, "-c", "print('no such rule'); raise SystemExit(3)"], tmp_path / "log", list)
    assert failed.value.returncode == 3
    assert "no such rule" in failed.value.output


def test_the_command_scores_a_run_and_exits_1_where_a_figure_is_not_met(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with gzip.open(tmp_path / "dirty.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps({"id": name, "text": text}) + "\n" for name, text in DIRTY.items())
    with gzip.open(tmp_path / "key.json.gz", "wt", encoding="utf-8") as file:
        json.dump(KEY, file)
    (tmp_path / "rules.yaml").write_text("clean: {input: x, rules: [exact_duplicates]}\n", "utf-8")
    words = [str(tmp_path / "dirty.jsonl.gz"), str(tmp_path / "key.json.gz"), "--config", str(tmp_path / "rules.yaml")]
    assert score_clean.main([*words, "--run", str(tmp_path / "made"), "--no-split", "--misses", "1"]) == 1
    printed = capsys.readouterr().out
    rows = {line.split("  ")[0]: line for line in printed.splitlines()}
    assert "yes" in rows["exact duplicates: one of each group left"], "the three equal texts became one"
    assert "NO" in rows["gibberish dropped"]
    assert any(line.split() == ["exact_dup", "1", "of", "1:", "exact_duplicates", "1"] for line in printed.splitlines())
    assert "--- gibberish dropped: n, gibberish, kept" in printed
