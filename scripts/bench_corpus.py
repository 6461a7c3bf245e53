"""The text of a data folder into a corpus for benchmarks: documents composed of its sentences, with copies planted among them."""

import gzip
import json
import random
import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = [
    "KINDS",
    "Corpus",
    "Planted",
    "Text",
    "alike",
    "closest",
    "compose",
    "grams",
    "jaccard",
    "make",
    "pieces_of",
    "plant",
    "units",
]

_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_UNIT = re.compile(f"[{_HAN}]|[^\\W{_HAN}]+")
_TOKEN = re.compile(f"[{_HAN}]|[^\\s{_HAN}]+|\\s+")
_SENTENCE = re.compile(r".+?(?:[.!?;。！？；]+[\"'”’」』）)]*\s*|$)", re.S)
_SOURCES = {"en": ("news_en", "briefs_en"), "zh": ("poems_zh", "prose_zh", "headlines_zh")}
SHARDS = 4  # files of a corpus: peers hand whole files to their workers
KINDS = {"exact": 22, "edit2": 28, "edit5": 18, "edit10": 10, "boilerplate": 10, "truncated": 6, "looks": 6}
"""Kinds of planted copy, and how many of a hundred are of that kind."""
_BOILERPLATE = {
    "en": "Sign up to our newsletter for more stories like this one. Reproduction without permission is not allowed.",
    "zh": "更多内容请关注我们的公众号。未经许可，不得转载，违者必究。",
}
_PLAIN_MARKS = str.maketrans("，。！？；：", ",.!?;:")


def units(text: str) -> list[str]:
    """Lower-cased words and single Han characters; marks and spaces are none."""
    return _UNIT.findall(text.lower())


def grams(text: str, size: int = 5) -> frozenset[tuple[str, ...]]:
    """The runs of `size` units; a shorter text is one run, and a text without units has none."""
    found = units(text)
    if len(found) <= size:
        return frozenset([tuple(found)] if found else [])
    return frozenset(zip(*(found[i:] for i in range(size)), strict=False))


def jaccard(one: frozenset[tuple[str, ...]], other: frozenset[tuple[str, ...]]) -> float:
    """Shared / all; 1.0 for two empty sets, which come of texts that are alike in having no unit."""
    both = len(one & other)
    return both / (len(one) + len(other) - both) if one or other else 1.0


def alike(texts: Mapping[str, str], least: float = 0.7) -> dict[tuple[str, str], float]:
    """Every pair of documents whose unit-5-grams have a Jaccard similarity of `least` or more: exact, by an inverted index.

    Texts without any unit are a pair where they are equal but for white space. Memory grows with the sum of the runs.
    """
    if not 0 < least <= 1:
        raise ValueError(f"least must be above 0 and at most 1, not {least}")
    seen: dict[tuple[str, ...], list[str]] = defaultdict(list)
    sizes: dict[str, int] = {}
    found: dict[tuple[str, str], float] = {}
    for name, text in texts.items():
        runs = grams(text) or frozenset([("", text.strip())])
        sizes[name] = len(runs)
        shared: Counter[str] = Counter()
        for run in runs:
            shared.update(seen[run])
            seen[run].append(name)
        for other, both in shared.items():
            similarity = both / (len(runs) + sizes[other] - both)
            if similarity >= least:
                found[other, name] = similarity
    return found


@dataclass(frozen=True)
class Text:
    """A document of the corpus."""

    id: str
    text: str
    language: str


@dataclass(frozen=True)
class Planted:
    """A row of the truth: a copy `of` an original, or an original (kind "base", `of` None, j5 1)."""

    id: str
    of: str | None
    kind: str
    language: str
    j5: float  # the true Jaccard similarity of unit-5-grams to the original


@dataclass(frozen=True)
class Corpus:
    """A corpus on disk: JSON lines in shards, with `id` and `text`, and its truth beside them."""

    folder: Path

    @property
    def shards(self) -> list[Path]:
        """The files that a tool reads."""
        return sorted((self.folder / "parts").glob("*.jsonl"))

    @property
    def size(self) -> int:
        """Bytes of all shards."""
        return sum(path.stat().st_size for path in self.shards)

    def truth(self) -> dict[str, Planted]:
        """What is planted, by id."""
        with (self.folder / "truth.jsonl").open(encoding="utf-8") as file:
            rows = (Planted(**json.loads(line)) for line in file)
            return {row.id: row for row in rows}


def pieces_of(data: Path) -> dict[str, list[list[str]]]:
    """Pieces by language, each a list of sentences: paragraphs, briefs, poems, headlines in tens; one that repeats is left out."""
    pieces: dict[str, list[list[str]]] = {}
    for language, sources in _SOURCES.items():
        kept: dict[tuple[str, ...], list[str]] = {}
        for source in sources:
            with gzip.open(data / f"{source}.jsonl.gz", "rt", encoding="utf-8") as file:
                texts = [json.loads(line)["text"] for line in file]
            if source == "headlines_zh":
                texts = ["。".join(texts[i : i + 10]) + "。" for i in range(0, len(texts), 10)]
            for paragraph in (line.strip() for text in texts for line in text.split("\n")):
                if len(paragraph) >= 20:
                    kept.setdefault(tuple(units(paragraph)), _SENTENCE.findall(paragraph))
        pieces[language] = list(kept.values())
    return pieces


def compose(pieces: Sequence[Sequence[str]], language: str, size: int, seed: int) -> Iterator[Text]:
    """New documents of 300 to 6,000 characters until they hold `size` bytes of UTF-8.

    No piece makes up more than a fourth of a document, and pieces are drawn as cards from a shuffled deck: two documents share
    little, though every sentence is used many times.
    """
    draw = random.Random(f"{seed} {language}")
    deck: list[int] = []
    written = number = 0
    while written < size:
        length = int(300 * 20 ** draw.random())  # as many documents of 300 to 600 characters as of 3,000 to 6,000
        lines: list[str] = []
        total = 0
        while total < length:
            if not deck:
                deck = list(range(len(pieces)))
                draw.shuffle(deck)
            line = _part(pieces[deck.pop()], max(60, length // 4), draw)
            lines.append(line)
            total += len(line)
        text = "\n".join(lines)[:6000]
        written += len(text.encode())
        number += 1
        yield Text(f"{language}{number}", text, language)


def _part(sentences: Sequence[str], most: int, draw: random.Random) -> str:
    """Sentences that follow each other, together at most `most` characters (one that is longer is cut)."""
    start = draw.randrange(len(sentences))
    text = sentences[start][:most]
    for sentence in sentences[start + 1 :]:
        if len(text) + len(sentence) > most:
            break
        text += sentence
    return text.strip()


def plant(text: str, kind: str, language: str, words: Sequence[str], draw: random.Random) -> str:
    """A copy of a text, changed as its kind says; `words` are what substitutions and insertions take from."""
    if kind == "exact":
        return text
    if kind == "boilerplate":
        lines = text.split("\n")
        lines.insert(draw.choice((0, len(lines))), _BOILERPLATE[language])
        return "\n".join(lines)
    if kind == "truncated":
        return text[: int(len(text) * 0.85)]
    if kind == "looks":
        changed = text.translate(_PLAIN_MARKS) if language == "zh" else text.upper().replace(",", "")
        return changed.replace(" ", "  ").replace("\n", " \n\n")
    tokens = _TOKEN.findall(text)
    places = [i for i, token in enumerate(tokens) if not token.isspace()]
    space = " " if language == "en" else ""
    for place in draw.sample(places, max(1, round(len(places) * int(kind.removeprefix("edit")) / 100))):
        how = draw.choice(("substitute", "delete", "insert"))
        word = draw.choice(words)
        tokens[place] = {"substitute": word, "delete": "", "insert": f"{tokens[place]}{space}{word}"}[how]
    return "".join(tokens)


def make(folder: Path, data: Path, *, megabytes: int, seed: int, share: float = 0.2) -> Corpus:
    """Write a corpus of about `megabytes` MB, Chinese and English half each by bytes; one that is there already stays.

    Args:
        share: of the documents, how many are planted copies; an original has one copy at most.
    """
    corpus = Corpus(folder)
    if (folder / "truth.jsonl").exists():
        return corpus
    (folder / "parts").mkdir(parents=True, exist_ok=True)
    draw = random.Random(seed)
    files = [(folder / "parts" / f"part-{i}.jsonl").open("w", encoding="utf-8") for i in range(SHARDS)]
    truth: list[Planted] = []
    for language, pieces in pieces_of(data).items():
        words = _vocabulary(pieces, language)
        base = list(compose(pieces, language, int(megabytes * 1e6 / 2 * (1 - share) * 0.96), seed))  # .96: JSON's own marks
        planted = draw.choices(list(KINDS), list(KINDS.values()), k=round(len(base) * share / (1 - share)))
        rows = [(document, Planted(document.id, None, "base", language, 1.0)) for document in base]
        for number, (document, kind) in enumerate(zip(draw.sample(base, len(planted)), planted, strict=True)):
            copy = Text(f"{language}-copy{number}", plant(document.text, kind, language, words, draw), language)
            similarity = round(jaccard(grams(document.text), grams(copy.text)), 4)
            rows.append((copy, Planted(copy.id, document.id, kind, language, similarity)))
        draw.shuffle(rows)
        for document, row in rows:
            line = json.dumps({"id": document.id, "text": document.text}, ensure_ascii=False)
            draw.choice(files).write(line + "\n")
            truth.append(row)
    for file in files:
        file.close()
    unfinished = folder / "truth.partial"
    unfinished.write_text("".join(json.dumps(asdict(row)) + "\n" for row in truth), "utf-8")
    unfinished.rename(folder / "truth.jsonl")
    return corpus


def _vocabulary(pieces: Iterable[Sequence[str]], language: str) -> list[str]:
    """Words (en) or characters (zh) as often as they stand in the text, so that an edit looks like the text."""
    words: list[str] = []
    for piece in pieces:
        words += units(piece[0])
        if len(words) > 200_000:
            break
    return [word for word in words if (len(word) == 1 and not word.isascii()) == (language == "zh")]


def closest(corpus: Corpus, *, sample: int = 2000, one_in: int = 8) -> float:
    """The highest Jaccard similarity between a sample of the documents that are no copies and any other that is none.

    Candidates share a fifth of the runs that a hash selects (one in `one_in`); they are then compared exactly.
    """
    originals = {name: row for name, row in corpus.truth().items() if row.of is None}
    seen: dict[int, list[str]] = defaultdict(list)
    marks: dict[str, list[int]] = {}
    for name, text in _rows(corpus.shards):
        if name in originals:
            hashes = {zlib.crc32(" ".join(run).encode()) for run in grams(text)}
            marks[name] = [key for key in hashes if key % one_in == 0]
            for key in marks[name]:
                seen[key].append(name)
    pairs: list[tuple[str, str]] = []
    for name in sorted(marks)[:: max(1, len(marks) // sample)]:
        shared = Counter(other for key in marks[name] for other in seen[key] if other != name)
        pairs += [(name, other) for other, both in shared.items() if both > 0.2 * (len(marks[name]) + len(marks[other]) - both)]
    wanted = {name for pair in pairs for name in pair}
    texts = {name: grams(text) for name, text in _rows(corpus.shards) if name in wanted}
    return max((jaccard(texts[one], texts[other]) for one, other in pairs), default=0.0)


def _rows(paths: Iterable[Path]) -> Iterator[tuple[str, str]]:
    for path in paths:
        with path.open(encoding="utf-8") as file:
            for line in file:
                row = json.loads(line)
                yield row["id"], row["text"]
