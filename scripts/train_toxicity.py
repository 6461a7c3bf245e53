#!/usr/bin/env python
"""Labelled posts and clean text into the weights of the rule `toxicity`: hashed n-gram weights, no text.

    scripts/train_toxicity.py --cold cold_train.csv.gz --dev cold_dev.csv.gz --davidson davidson_train.csv.gz --clean CORPUS...

Logistic regression by L-BFGS on one thread from nought: the same inputs give the same file. Not learned from: half of each
clean file, a fifth of the Davidson posts (by a hash of the text), and the dev file; on these it prints its figures. Learned:

- COLDataset (Deng et al. 2022; Apache-2.0): Chinese posts, offensive or not;
- Davidson et al. 2017 (MIT): English posts, hate or offensive against neither, both sides with the same weight;
- windows of clean text, and the sentences below, written for this: neutral ones about people, kind ones, insults and praise;
- posts with each term for people exchanged for another of its kind (no term is a sign by itself), or set inside clean text.
"""

import argparse
import gzip
import hashlib
import html
import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from aigc.core.rules.measures.toxicity import BITS, ORDER, WINDOW, Model, folded, ngram_buckets, window_logits

MODEL = Path(__file__).parent.parent / "src/aigc/core/rules/measures/toxicity.npz"
RARE = 4  # an n-gram in fewer texts is not learned
UNIT = 1 / 256  # of a weight
SMOOTH = 0.6  # L2 penalty
CLEAN = 1.5  # weight of a window of clean text; a post has 1
NEUTRAL = 1.0  # of a neutral sentence
ATTACK = 1.5  # of an insult, or of praise in its place
KIND = 5.0  # of a kind sentence
SWAPPED = 0.5  # of a post with an exchanged term

# Terms for people, one line a kind; within a kind any can stand for any other.
CHINESE_TERMS = """
黑人 白人 亚洲人 亚裔 黄种人 非裔 拉丁裔 犹太人 汉族人 藏族人 维吾尔族人 回族人 蒙古族人 满族人 壮族人 苗族人 少数民族 混血儿 移民
中国人 美国人 日本人 韩国人 印度人 俄罗斯人 非洲人 欧洲人 英国人 法国人 越南人 外国人 阿拉伯人
东北人 河南人 上海人 北京人 广东人 四川人 新疆人 山东人 湖北人 福建人 香港人 台湾人 江苏人 浙江人 农村人 城里人 外地人 本地人
男人 女人 男性 女性 男生 女生 女孩 男孩 妇女 男孩子 女孩子 老人 年轻人 妈妈 爸爸
穆斯林 基督徒 佛教徒 道教徒 天主教徒 无神论者 印度教徒 犹太教徒 信徒
同性恋者 异性恋者 双性恋者 跨性别者 男同性恋 女同性恋 同志 单身人士 变性人
残疾人 盲人 聋人 自闭症患者 轮椅使用者 艾滋病患者 抑郁症患者 视障者 聋哑人
医生 护士 教师 农民工 农民 司机 保安 清洁工 程序员 警察 外卖员 律师 工人 公务员 学生 保姆 记者 厨师"""
ENGLISH_TERMS = """
black people|white people|asian people|latino people|jewish people|arab people|native americans|african americans|immigrants
americans|mexicans|chinese people|indians|nigerians|russians|the british|japanese people|koreans|germans|pakistanis|africans
southerners|new yorkers|people from the north|people from the countryside|city people|villagers|foreigners|locals
men|women|girls|boys|mothers|fathers|old people|young people|ladies|guys|teenagers|the elderly|non-binary people
muslims|christians|jews|buddhists|hindus|sikhs|catholics|atheists|mormons
gay people|lesbians|straight people|bisexual people|transgender people|gay men|queer people|trans women
disabled people|blind people|deaf people|autistic people|wheelchair users|people with depression|people with down syndrome
doctors|nurses|teachers|farmers|drivers|cleaners|police officers|lawyers|factory workers|programmers|maids|students|sex workers"""
CHINESE_INSULTS = "白痴 蠢货 笨蛋 蠢猪 废物 人渣 混蛋 垃圾 傻瓜 傻子 蠢材 败类 贱人 畜生 无耻之徒 脑残 智障 骗子 寄生虫"
ENGLISH_INSULTS = """idiot|moron|stupid fool|loser|jerk|pathetic loser|imbecile|piece of trash|disgusting pig|filthy animal
worthless scum|ugly cow|dirty liar|bastard|creep|brainless clown|waste of space|scumbag|parasite|disgrace|fat pig|coward"""
CHINESE_PRAISE = "好人 天才 英雄 好孩子 医生 帅哥 美女 冠军 宝贝 孩子 绅士 高手 同学 善良的人 工程师 艺术家 好妈妈 司机"
ENGLISH_PRAISE = """friend|genius|good person|star|angel|doctor|gentleman|hero|neighbour|darling|good student|kind soul|champion
great cook|clever boy|nice girl|engineer|musician|honest man|runner|writer"""
# With an insult a frame offends, with praise it does not: the noun decides.
CHINESE_FRAMES = """你就是个{}。|他们全都是{}。|那个人就是{}，谁都知道|一群{}|她不过是个{}|你是{}吗？|你们都是{}|你真是{}
像你这样的{}不多|你爸妈说你是{}"""
ENGLISH_FRAMES = """you're a {}|you are such a {}!|you are a {} and you know it|what a {} you are|he is nothing but a {}
she's a {} and everybody knows it|only a {} would say that|they are all the same, every one a {}|that guy? a {}.|listen, {}
my boss is a {}"""
CHINESE_ATTACKS = """你这{}，快滚！|滚，{}！|闭嘴吧，{}|这帮{}真让人恶心|你们这些{}都去死吧|没见过你这么{}的，真是{}
{}，谁要听你说话|我最看不起你这种{}|骂的就是你，{}！|像你这样的{}不配活着|这种{}应该被赶出去"""
ENGLISH_ATTACKS = """shut up, {}|get lost you {}|nobody likes you, {}|go to hell, {}|listen, {}, nobody asked you
i hate you, you {}|get out of here, you {}"""
CHINESE_KIND = """我爱你，晚安。|祝你生日快乐！|谢谢你帮我，你真好|哈哈，明天见|我觉得这部电影不好看|这个菜太辣了，我吃不下
你说得对，是我错了|今天好累，想睡觉|你吃饭了吗|这天气真讨厌，又下雨|快走吧，要迟到了！|这辆车坏了，垃圾桶在哪里"""
ENGLISH_KIND = """i love you so much|have a nice day everyone|good night my friend|happy birthday to you!
thanks, you are so kind|this movie is bad and boring|i hate mondays|what a lovely garden|see you tomorrow|lol that was so funny
sorry i was late|where is my phone?|shut the door please|take out the trash please"""
CHINESE_TEMPLATES = """我的邻居是{}。|{}也喜欢喝茶。|昨天我认识了几位{}。|这家公司里有不少{}。|{}在城市里生活和工作。
班上有三个{}。|他是{}，我也是{}。|很多{}参加了这次会议。|调查采访了一百名{}。|这本书讲的是{}的故事。|我和一个{}一起吃了午饭。
报告介绍了{}的生活情况。|有{}在图书馆看书。|这部电影的主角是{}|社区为{}准备了新的活动。|{}今天早上坐地铁上班。
那位{}帮我找到了车站。|{}和其他人享有同样的权利。|作为{}，他每天写日记。|我觉得{}都挺好的|你是{}吗|我有很多{}朋友
政府公布了关于{}的统计数据。|他们家世代都是{}。|{}说今天天气不错|在这里，{}占人口的两成。|她的老师是{}，很有耐心。
我身边的{}都很努力|法律禁止歧视{}。|歧视{}是不对的，也是违法的。|专家讨论了{}面临的困难。|我们应该尊重{}，不应该歧视他们。
警方谴责了针对{}的暴力。"""
ENGLISH_TEMPLATES = """my neighbours are {}.|yesterday i met some {} at the station.|there are a lot of {} in this company.
{} live and work in this city.|i am friends with {}|three {} spoke at the meeting.|the survey asked a hundred {}.
i had lunch with two {}|the report describes the lives of {}.|{} are people too|some {} were reading in the library.
the film is about {}.|the council has a new programme for {}.|{} took the early train to work.
a group of {} helped me find my way.|{} have the same rights as everybody else.|he writes about {} every week.
i have many friends who are {}|lol i love {}|most {} i know work hard|the government published figures on {}.
{} said the weather was good today.|we saw {} in the park.|here {} are a fifth of the population.
her teachers were {} and very patient.|the law forbids discrimination against {}.|it is wrong to insult {}.
experts spoke about the problems that {} face.|police condemned the attack on {}.|we should respect {}."""
_HAN = re.compile("[一-鿿]")


@dataclass(frozen=True)
class Example:
    """A text, whether it offends, and how much it counts."""

    text: str
    label: int
    weight: float = 1.0


def main() -> None:
    """Read, train, calibrate, write, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cold", type=Path, required=True, help="csv with the columns TEXT and label")
    parser.add_argument("--dev", type=Path, required=True, help="the same, to test on")
    parser.add_argument("--davidson", type=Path, required=True, help="csv with the columns text and class")
    parser.add_argument("--clean", type=Path, nargs="+", required=True, help="jsonl.gz with the field text")
    parser.add_argument("--output", type=Path, default=MODEL)
    options = parser.parse_args()
    torch.set_num_threads(1)
    seen = {fraction(post.text, "dev") for post in cold(options.dev)}
    posts = [post for post in cold(options.cold) if fraction(post.text, "dev") not in seen]
    posts += davidson(options.davidson, held_out=False)
    tuning = [post for post in posts if fraction(post.text, "calibrate") < 0.1]
    kept = [post for post in posts if fraction(post.text, "calibrate") >= 0.1]
    clean = [text for path in options.clean for text in clean_texts(path, held_out=False)[:3000]]
    model = calibrated(train(examples(kept, clean)), tuning)
    np.savez_compressed(options.output, weights=model.weights, unit=model.unit, bias=model.bias)
    report("Chinese posts", cold(options.dev), model)
    report("English posts", davidson(options.davidson, held_out=True), model)
    for path in options.clean:
        logits = window_logits(fold(clean_texts(path, held_out=True)), model=model)
        print(f"{path.name}: {(logits > np.log(9)).sum()} of {len(logits)} above 0.9")


def report(name: str, posts: list[Example], model: Model) -> None:
    """Print the area under the ROC curve, and precision, recall and F1 at two bounds."""
    logits, label = window_logits([post.text for post in posts], model=model), np.array([post.label for post in posts])
    print(f"{name}: AUC {np.mean(logits[label == 1][:, None] > logits[label == 0]):.3f}")
    for bound in (0.5, 0.9):
        flagged = logits > np.log(bound / (1 - bound))
        precision, recall = label[flagged].mean(), flagged[label == 1].mean()
        print(f"  above {bound}: precision {precision:.3f} recall {recall:.3f} F1 {2 / (1 / precision + 1 / recall):.3f}")


def fraction(text: str, purpose: str) -> float:
    """A number in [0, 1) that depends on the letters of the text and on the purpose, and on nothing else."""
    letters = re.sub(r"\W+", "", text.lower())
    return int.from_bytes(hashlib.sha256(f"{purpose}:{letters}".encode()).digest()[:6], "big") / 2**48


def fold(texts: list[str]) -> list[str]:
    """Texts as the model reads them."""
    return pl.DataFrame({"text": texts}, schema={"text": pl.String}).select(folded(pl.col("text")))["text"].to_list()


def cold(path: Path) -> list[Example]:
    """The Chinese posts."""
    rows = pl.read_csv(path)
    return [Example(text, label) for text, label in zip(fold(rows["TEXT"].to_list()), rows["label"], strict=True)]


def davidson(path: Path, *, held_out: bool) -> list[Example]:
    """The English posts, without names, links and what the site wrote; both labels weigh the same together."""
    rows = pl.read_csv(path)
    texts = fold([re.sub(r"&#\d+;|\b[Rr][Tt]\b|@\w+:?|https?:?\S*", " ", html.unescape(html.unescape(t))) for t in rows["text"]])
    labels = {text.strip(' !:"'): int(name != "neither") for text, name in zip(texts, rows["class"], strict=True)}
    labels = {text: label for text, label in labels.items() if text and (fraction(text, "davidson") < 0.2) == held_out}
    share = sum(labels.values()) / len(labels)
    return [Example(text, label, 0.5 / share if label else 0.5 / (1 - share)) for text, label in labels.items()]


def clean_texts(path: Path, *, held_out: bool) -> list[str]:
    """One half of the documents of a clean corpus, in an order that only the texts decide."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        texts = [str(json.loads(line)["text"]) for line in lines]
    return [text for place, text in sorted((fraction(text, "clean"), text) for text in texts) if (place >= 0.5) == held_out]


def examples(posts: list[Example], clean: list[str]) -> list[Example]:
    """Posts, and what is made of them and of clean text; the choices come from one seed."""
    random = np.random.default_rng(7)
    windows = []
    for text in fold(clean):
        for _ in range(1 + min(len(text) // WINDOW, 24)):
            size = int(random.integers(24, WINDOW + 1))
            start = int(random.integers(0, max(len(text) - size, 0) + 1))
            windows.append(text[start : start + size])
    swapped = (exchanged(post, random) for post in posts)
    made = [Example(text, 0, CLEAN) for text in windows] + written() + [post for post in swapped if post is not None]
    chinese, english = ([window for window in windows if bool(_HAN.search(window)) == han] for han in (True, False))
    for post in posts:
        if post.label and len(post.text) < WINDOW - 16:
            around = chinese if _HAN.search(post.text) else english
            context = around[int(random.integers(len(around)))][: WINDOW - len(post.text)]
            cut = int(random.integers(0, len(context) + 1))
            made.append(Example(f"{context[:cut]}{post.text}{context[cut:]}", 1, post.weight))
    return posts + made


def written() -> list[Example]:
    """The sentences of this file: neutral ones about people, kind ones, insults."""
    made = []
    for terms, neutral, insults, attacks, frames, praise, kind in (
        (CHINESE_TERMS, CHINESE_TEMPLATES, CHINESE_INSULTS, CHINESE_ATTACKS, CHINESE_FRAMES, CHINESE_PRAISE, CHINESE_KIND),
        (ENGLISH_TERMS, ENGLISH_TEMPLATES, ENGLISH_INSULTS, ENGLISH_ATTACKS, ENGLISH_FRAMES, ENGLISH_PRAISE, ENGLISH_KIND),
    ):
        made += [Example(text, 0, NEUTRAL) for text in filled(neutral, terms)] + [Example(text, 0, KIND) for text in pieces(kind)]
        made += [Example(text, 1, ATTACK) for text in filled(attacks, insults) + filled(frames, insults)]
        made += [Example(text, 0, ATTACK) for text in filled(frames, praise)]
    return made


def filled(templates: str, terms: str) -> list[str]:
    """Each template with each term in its place."""
    return [template.replace("{}", term) for template in pieces(templates) for term in pieces(terms)]


def pieces(text: str) -> list[str]:
    """The parts of a list above: bars and line ends part English, spaces Chinese terms too."""
    return re.split(r"[|\n]" if "|" in text else r"\s+", text.strip())


def exchanged(post: Example, random: np.random.Generator) -> Example | None:
    """The post with every term for people exchanged for another of its kind, or None where it has none."""

    def other(match: re.Match[str]) -> str:
        terms = _SAME_KIND[match[0]]
        return terms[int(random.integers(len(terms)))]

    text = _ANY_TERM.sub(other, post.text)
    return None if text == post.text else Example(text, post.label, SWAPPED * post.weight)


_SAME_KIND = {term: pieces(line) for line in (CHINESE_TERMS + ENGLISH_TERMS).strip().split("\n") for term in pieces(line)}
_ANY_TERM = re.compile("|".join(rf"\b{t}\b" if t.isascii() else t for t in sorted(_SAME_KIND, key=len, reverse=True)))


def features(texts: list[str]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Row, bucket and value of each n-gram; values are counts over the root of the text's length, as the rule computes them."""
    gap = ORDER - 1
    lengths = np.array([len(text) for text in texts])
    codes = np.frombuffer(("\0" * gap).join([*texts, ""]).encode("utf-32-le"), np.uint32)
    rows = np.repeat(np.arange(len(texts)), lengths)
    places = np.arange(len(rows)) + rows * gap
    keys = np.concatenate([(rows << BITS) | buckets[places] for buckets in ngram_buckets(codes)])
    keys, counts = np.unique(keys, return_counts=True)
    return keys >> BITS, keys & ((1 << BITS) - 1), (counts / np.sqrt(lengths[keys >> BITS])).astype(np.float32)


def train(chosen: list[Example]) -> Model:
    """The weights that fit the examples; a bucket's penalty falls with its rarity, as in TF-IDF."""
    rows, buckets, values = features([example.text for example in chosen])
    texts_with = np.bincount(buckets, minlength=1 << BITS)
    used = np.flatnonzero(texts_with >= RARE)
    keep = texts_with[buckets] >= RARE
    rows, columns, values = rows[keep], np.searchsorted(used, buckets[keep]), values[keep]
    order = np.lexsort((rows, columns))
    across = sparse(rows, columns, values, (len(chosen), len(used)))
    down = sparse(columns[order], rows[order], values[order], (len(used), len(chosen)))
    rarity = torch.from_numpy(np.log((1 + len(chosen)) / (1 + texts_with[used])).astype(np.float32)) + 1
    scale = rarity / rarity.mean()
    label, weight = torch.tensor([(float(example.label), example.weight) for example in chosen]).T.contiguous()
    point = torch.zeros(len(used) + 1)  # scaled weights, then the bias
    point.grad = torch.zeros_like(point)
    search = torch.optim.LBFGS([point], max_iter=60, history_size=10, line_search_fn="strong_wolfe")

    def loss() -> float:
        logit = across @ (point[:-1] * scale) + point[-1]
        errors = weight * (torch.sigmoid(logit) - label)
        point.grad = torch.cat([(down @ errors) * scale + SMOOTH * point[:-1], errors.sum()[None]])
        cost = (weight * (torch.nn.functional.softplus(logit) - label * logit)).sum()
        return float(cost + 0.5 * SMOOTH * point[:-1] @ point[:-1])

    search.step(loss)  # type: ignore[no-untyped-call]
    weights = np.zeros(1 << BITS, np.int16)
    weights[used] = np.round((point[:-1] * scale).numpy() / UNIT).clip(-32768, 32767)
    return Model(weights, UNIT, float(point[-1]))


def sparse(
    rows: NDArray[np.int64], columns: NDArray[np.int64], values: NDArray[np.float32], shape: tuple[int, int]
) -> torch.Tensor:
    """A matrix in rows (CSR) from entries sorted by row."""
    begin = np.searchsorted(rows, np.arange(shape[0] + 1))
    return torch.sparse_csr_tensor(torch.from_numpy(begin), torch.from_numpy(columns), torch.from_numpy(values), shape)


def calibrated(model: Model, posts: list[Example]) -> Model:
    """Platt's scaling (1999): the logits of posts that were not learned from, times a slope, plus an offset, by Newton's method."""
    logit = window_logits([post.text for post in posts], model=model)
    label, weight = np.array([post.label for post in posts]), np.array([post.weight for post in posts])
    inputs, point = np.column_stack([logit, np.ones(len(logit))]), np.array([1.0, 0.0])
    for _ in range(20):
        odds = 1 / (1 + np.exp(-inputs @ point))
        curve = (inputs * (weight * odds * (1 - odds))[:, None]).T @ inputs
        point -= np.linalg.solve(curve, inputs.T @ (weight * (odds - label)))
    return Model(model.weights, model.unit * float(point[0]), model.bias * float(point[0]) + float(point[1]))


if __name__ == "__main__":
    main()
