"""HTML into text."""

import re
from dataclasses import dataclass, field
from functools import lru_cache

import polars as pl
from selectolax.lexbor import LexborHTMLParser, LexborNode

from aigc.core.rules.rule import TEXT, Edit

__all__ = ["HtmlToText"]

_BLOCKS = frozenset(
    "address article aside blockquote body caption center details dialog div dl fieldset figcaption figure footer form h1 h2 h3"
    " h4 h5 h6 head header hgroup hr html legend main menu nav noscript ol p pre script search section style summary table tbody"
    " template tfoot thead title ul".split()
)
_LINES = frozenset("dd dt li option tr".split())
_CELLS = frozenset("td th".split())
_INLINE = frozenset(
    "a abbr acronym b bdi bdo big br cite code data del dfn em font i img ins kbd label mark q rp rt ruby s samp small span"
    " strike strong sub sup time tt u var wbr".split()
)
_NEVER_TEXT = frozenset(
    "annotation annotation-xml audio button canvas embed footer head iframe input nav noframes noscript object rp rt script"
    " select style svg template textarea title video".split()
)
_CHROME_TAGS = frozenset("aside dialog form header menu search".split())
_LIST_TAGS = frozenset("center div dl menu ol p section table ul".split())
_HEADINGS = frozenset("dt h1 h2 h3 h4 h5 h6 p strong".split())
_NEVER_CHROME = frozenset("article body html main".split())

_KNOWN = "|".join(sorted(_BLOCKS | _LINES | _CELLS | _INLINE | _NEVER_TEXT | {"base", "col", "colgroup", "link", "meta", "math"}))
_BARE = "async|checked|compact|controls|crossorigin|defer|disabled|download|hidden|itemscope|nowrap|noshade|open|required"
_ATTRIBUTE = rf"""\s+(?:[a-z_:@][\w:.@-]*\s*=\s*(?:"[^"]*"|'[^']*'|[^\s"'<>]+)|(?:{_BARE})\b)"""
_TAG = rf"(?i)</(?:{_KNOWN})\s*>|<(?:{_KNOWN})(?:{_ATTRIBUTE})*\s*/?>|<!--|<!doctype"
_BLOCK_TAG = re.compile(
    rf"</?(?:{'|'.join(sorted(_BLOCKS | _LINES | _CELLS | (_NEVER_TEXT - _INLINE)))})(?:\s[^<>]*)?/?>|<!doctype", re.IGNORECASE
)
_UNKNOWN_TAG = re.compile(rf"<(?=/?[a-z](?![\w.]*[-:]))(?!/?(?:{_KNOWN}|m[a-z]+|semantics|none)\b)", re.IGNORECASE)

_CHROME = frozenset(
    "ad ads adv advert advertisement adverts backtotop breadcrumb breadcrumbs colophon comment comments consent cookie"
    " cookies crumb crumbs disqus footer gdpr masthead menu modal nav navbar navi navigation newsletter onetrust pager"
    " pagination popup promo promoted recommend recommendation recommendations recommended related share sharebar sharing"
    " sidebar skip skiplink social sponsor sponsored subscribe toolbar topbar topnav".split()
)
_COMPANIONS = frozenset(
    "a accept account alert area article articles banner bar block body bottom box btn button buttons by c card cell center "
    "col column container content desktop dialog element fixed float footer form global group head header icon icons id in "
    "info inner item items js l law layout left link links list m main manager message mini mobile module more news notice o "
    "on outer overlay page panel policy post posts preferences primary region right row sdk secondary section settings signup "
    "site slot sticky stories story sub tab tags text this to tool tools top ul unit up us wall warning widget widgets wrap "
    "wrapper".split()
)
_HIDDEN_NAMES = frozenset({"sr-only", "visually-hidden", "visuallyhidden", "screen-reader-text", "screen-reader-only"})
_ROLES = frozenset("alertdialog banner complementary contentinfo dialog menu menubar navigation search toolbar tooltip".split())
_HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_SKIP = re.compile(r"\s*(?:skip to|jump to|back to top|跳到|跳至|跳转|返回顶部|回到顶部)", re.IGNORECASE)
_LIST_TITLE = re.compile(
    r"\W*(?:related|more|most|see also|read|recommended|popular|trending|latest|share|tags|you may"
    r"|相关|推荐|更多|热门|延伸|猜你|最新|分享|标签)",
    re.IGNORECASE,
)
_SPACE = re.compile(r"[ \t\r\n\f\xa0]+")
_SEPARATORS = " \t\r\n\xa0|·•»›>/-"


class HtmlToText(Edit):
    """Take the text out of HTML: scripts, navigation, banners, hidden parts, lists of links and footers go, the article stays.

    Paragraphs are apart by an empty line, items by a line break, cells by a tab; `<pre>` keeps its lines; entities become
    characters. An element that is chrome by its class, id or role alone stays where it is, or holds, the article.
    Text without a known HTML tag is left alone, so `a < b` and `vector<int>` survive. Not the same again when applied twice
    where the page shows tags as text (`&lt;b&gt;`).
    """

    def text(self) -> pl.Expr:
        return TEXT.map_batches(_strip_html, return_dtype=pl.String)


def _strip_html(texts: pl.Series) -> pl.Series:
    rows = texts.str.contains(_TAG).arg_true()
    if not len(rows):
        return texts
    return texts.scatter(rows, [_html_to_text(text) for text in texts.gather(rows)])


@dataclass(slots=True)
class _Element:
    """What is known of an element while its children are read. Weights are bytes of text, so a Han character counts three."""

    tag: str
    is_chrome: bool = False  # perhaps: unless it holds the article
    is_link_list: bool = False
    weight: int = 0  # without the chrome and the lists of links inside
    whole: int = 0  # with the chrome
    link_weight: int = 0
    links: int = 0
    pieces: list["str | _Element"] = field(default_factory=list)


def _html_to_text(html: str) -> str:
    is_page = _BLOCK_TAG.search(html) is not None  # in a page, line breaks of the source mean nothing
    body = LexborHTMLParser(_UNKNOWN_TAG.sub("&lt;", html)).body
    if body is None:
        return ""
    lines: list[str] = []  # text whose line breaks mean something: "\0number\0" until the end
    root = _read(body, is_page, lines)
    text = _written(root, with_lists=False) or _written(root, with_lists=True)
    if is_page and "  " in text:
        text = re.sub(" {2,}", " ", text)
    return re.sub("\0(\\d+)\0", lambda found: lines[int(found[1])], text).strip("\n")


def _read(body: LexborNode, is_page: bool, lines: list[str]) -> _Element:
    """The body as a tree of elements. Without recursion, for pages nest as deep as they like."""
    root = _Element("body")
    path: list[tuple[LexborNode, _Element]] = [(body, root)]
    inside = dict.fromkeys(("pre", "article", "main"), 0)
    node = body.first_child
    while True:
        if node is None:
            parent, element = path.pop()
            if not path:
                return root
            if element.tag in inside:
                inside[element.tag] -= 1
            _close(element, path[-1][1])
            node = parent.next
            continue
        tag, into = node.tag or "", path[-1][1]
        if tag == "-text":
            _add_text(node.text_content or "", into, lines if inside["pre"] else None, is_page)
        elif tag == "br":
            into.pieces.append("\n")
        elif tag not in _NEVER_TEXT and not tag.startswith(("-", "!")):
            is_chrome = _is_chrome(tag, node.attributes, in_article=bool(inside["article"] or inside["main"]))
            path.append((node, _Element(tag, is_chrome)))
            if tag in inside:
                inside[tag] += 1
            node = node.first_child
            continue
        node = node.next


def _add_text(text: str, into: _Element, lines: list[str] | None, is_page: bool) -> None:
    weight = len(text.strip(_SEPARATORS).encode())
    into.weight += weight
    into.whole += weight
    if lines is not None:
        into.pieces.append(f"\0{len(lines)}\0")
        lines.append(text)
    else:
        into.pieces.append(_SPACE.sub(" ", text) if is_page else text)


def _close(element: _Element, parent: _Element) -> None:
    """Put an element that was read to the end into its parent; a list of links takes its title with it."""
    title = next((piece for piece in reversed(parent.pieces) if not isinstance(piece, str) or piece.strip()), None)
    parent.pieces.append(element)
    if element.tag == "a":
        element.link_weight, element.links = element.weight, int(element.weight > 0)
        if element.weight < 100 and _SKIP.match("".join(piece for piece in element.pieces if isinstance(piece, str))):
            element.is_link_list = True
    elif element.tag in _LIST_TAGS and element.links >= 3:
        mean = element.link_weight / element.links
        element.is_link_list = mean <= 100 and element.link_weight >= 0.75 * element.weight
    goes = element.is_link_list or element.is_chrome
    if goes and isinstance(title, _Element) and title.tag in _HEADINGS and not (title.is_chrome or title.is_link_list):
        words = "".join(piece for piece in title.pieces if isinstance(piece, str))
        if _LIST_TITLE.match(words):  # the title goes with its list
            title.is_link_list = True
            parent.weight -= title.weight
            parent.whole -= title.whole
    if not element.is_link_list:
        parent.whole += element.whole
        if not element.is_chrome:
            parent.weight += element.weight
            parent.link_weight += element.link_weight
            parent.links += element.links


def _written(root: _Element, *, with_lists: bool) -> str:
    """The text of a tree, without chrome; what holds two thirds of the page's text, and is not mostly links, is no chrome."""
    written: list[str] = []
    pieces: list[str | _Element] = [root]
    while pieces:
        piece = pieces.pop()
        if isinstance(piece, str):
            written.append(piece)
            continue
        gap = "\n\n" if piece.tag in _BLOCKS else "\n" if piece.tag in _LINES else ""
        holds_page = piece.whole >= 250 and piece.whole > root.whole * 2 / 3 and piece.link_weight < 0.5 * piece.whole
        if (piece.is_link_list and not with_lists) or (piece.is_chrome and not holds_page):
            written.append(gap)
            continue
        pieces.append("\t" if piece.tag in _CELLS else "" if piece.tag in _LINES else gap)
        pieces.extend(reversed(piece.pieces))
        pieces.append(gap)
    text = "".join(written)
    if "\t" in text:
        text = re.sub(r" *\t[ \t]*", "\t", text)
    text = "\n".join(line.strip(" \t") for line in text.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def _is_chrome(tag: str, attributes: dict[str, str | None], *, in_article: bool) -> bool:
    if tag in _NEVER_CHROME:
        return False
    if tag in _CHROME_TAGS and not (tag == "header" and in_article):
        return True
    if not attributes:
        return False
    if "hidden" in attributes or attributes.get("aria-hidden") == "true" or attributes.get("role") in _ROLES:
        return True
    if _HIDDEN_STYLE.search(attributes.get("style") or ""):
        return True
    return _is_chrome_name(attributes.get("class") or "") or _is_chrome_name(attributes.get("id") or "")


@lru_cache(maxsize=1024)
def _is_chrome_name(names: str) -> bool:
    """Whether a class or id says chrome and nothing else: `site-footer`, `navBar`, but not `share-price` or `cookie-recipe`."""
    for name in names.split():
        words = {word.lower() for word in _WORDS.findall(name)}
        if name.lower() in _HIDDEN_NAMES or (words & _CHROME and words <= _CHROME | _COMPANIONS):
            return True
    return False
