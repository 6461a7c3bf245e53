"""HTML into text: the article stays to the letter, and whatever is round it goes, by tag, name, role or its links."""

import re

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigc.core.rules.edits.html import HtmlToText

ENGLISH = [
    "The council met on Tuesday to discuss the new bridge. Engineers said that the work would take two years to finish.",
    "Residents asked about noise and traffic. The mayor promised a public hearing, and said no trees would be cut.",
]
CHINESE = ["市议会周二开会讨论新桥的建设。工程师表示，工程需要两年时间。", "居民询问了噪音和交通问题。市长承诺举行公开听证会。"]
ARTICLE = "".join(f"<p>{text}</p>" for text in [*ENGLISH, *CHINESE])
TEXT = "\n\n".join([*ENGLISH, *CHINESE])


def edited(*texts: str) -> list[str]:
    frame = pl.DataFrame({"text": list(texts)}, schema={"text": pl.String})
    return frame.with_columns(text=HtmlToText().text())["text"].to_list()


def page(*parts: str, body: str = "<body>") -> str:
    return f"<!DOCTYPE html><html><head><title>A title</title></head>{body}{''.join(parts)}</body></html>"


def links(*words: str) -> str:
    return "<ul>" + "".join(f'<li><a href="/{i}">{word}</a></li>' for i, word in enumerate(words)) + "</ul>"


MENU = links("Home", "News", "Sport", "首页", "体育")


@pytest.mark.parametrize(
    "chrome",
    [
        "<script>var a = '<p>no</p>';</script><style>p {}</style><noscript><p>Enable it</p></noscript>",
        f"<nav>{MENU}</nav><header>Site name</header><footer><p>© 2024</p></footer><aside>Also</aside>",
        f'<div class="navbar">{MENU}</div>',
        '<div class="cookie-banner"><p>We use cookies to improve your experience.</p><button>Accept</button></div>',
        '<div class="cookie-notice">我们使用 Cookie 来改善您的体验，继续浏览即表示您同意我们的隐私政策。</div>',
        '<div id="onetrust-consent-sdk"><div>We value your privacy.</div></div>',
        '<p class="breadcrumbs">Home &gt; News</p><div class="crumbs">首页 &gt; 新闻</div>',
        '<section class="socialLinks">Follow us</section><div class="share-box">分享到：微信</div>',
        '<div id="site-footer">© 2024 <p>京ICP备000000号</p></div>',
        '<div role="navigation">Home</div><div role="contentinfo">© 2024</div>',
        '<div style="color: red; display: none">x</div><p hidden>y</p><b aria-hidden="true">z</b><i class="sr-only">w</i>',
        '<ul class="related-posts"><li>The old bridge closes</li></ul><div id="comments"><p>Bob: nice!</p></div>',
        '<div class="newsletter-signup">Sign up <input></div><div class="ad-slot">Buy!</div><div class="sidebar">Cats</div>',
        '<a class="skip-link" href="#c">Skip</a><a href="#c">Skip to content</a>',
        MENU,
        "<div><a href=/>Home</a> | <a href=/a>News</a> | <a href=/b>Sport</a></div>",
        f"<h3>Read more</h3>{MENU}<h3>相关阅读</h3>{MENU}",
    ],
)
def test_chrome_goes_before_and_after_the_article(chrome: str) -> None:
    assert edited(page(chrome, ARTICLE), page(ARTICLE, chrome)) == [TEXT, TEXT]


@pytest.mark.parametrize(
    "whole",
    [
        page(ARTICLE, body='<body class="nav sidebar" id="menu" style="display:none">'),
        page('<article class="related share">', ARTICLE, "</article>"),
        page('<main id="comments">', ARTICLE, "</main>"),
        page('<div class="sidebar content"><div class="menu">', ARTICLE, "</div></div>"),
        page('<form action="page.aspx">', ARTICLE, "</form>"),
        page('<div class="share-price">', ARTICLE, "</div>"),
        page('<div class="cookie-recipe" id="related-work">', ARTICLE, "</div>"),
        f"<div class=nav>{MENU}</div>" + ARTICLE.replace("</p>", "") + "</b></i><div",
    ],
)
def test_a_name_or_a_broken_tag_does_not_cost_the_article(whole: str) -> None:
    assert edited(whole) == [TEXT]


def test_links_inside_a_sentence_stay_and_a_page_of_links_is_not_empty() -> None:
    assert edited(page("<p>Read <a href=a>one</a>, <a href=b>two</a> and <a href=c>three</a> as they were published.</p>")) == [
        "Read one, two and three as they were published."
    ]
    assert edited(page(links("One", "Two", "Three"))) == ["One\nTwo\nThree"]


def test_the_header_of_an_article_is_its_title() -> None:
    assert edited(page("<header>Site</header><article><header><h1>桥</h1></header>", ARTICLE, "</article>")) == ["桥\n\n" + TEXT]


def test_pre_keeps_its_lines_cells_are_apart_and_entities_become_characters() -> None:
    assert edited(page("<pre>def f():\n    return  1\n</pre>")) == ["def f():\n    return  1"]
    assert edited(page("<table><tr><th>年</th><th>Cost</th></tr><tr><td>2024</td><td>4</td></tr></table>")) == ["年\tCost\n2024\t4"]
    assert edited("<p>Fish &amp; chips &lt;hot&gt;&nbsp;&#20013;</p>") == ["Fish & chips <hot> 中"]
    assert edited("<p><ruby>漢<rp>(</rp><rt>kan</rt><rp>)</rp></ruby>字</p>") == ["漢字"]


@pytest.mark.parametrize(
    "text",
    [
        "vector<int> a < b",
        "#include <stdio.h>",
        "map<string, list<T>> m;",
        "if a <b and c> d",
        "x<y>z",
        "一 < 二 > 〇",
        "&lt;b&gt;",
    ],
)
def test_code_and_comparisons_are_no_html(text: str) -> None:
    assert edited(text) == [text]


def test_what_is_no_tag_inside_a_page_stays() -> None:
    assert edited("<p>vector<int> v; a < b</p>") == ["vector<int> v; a < b"]


def test_text_that_shows_tags_is_the_one_case_that_changes_twice() -> None:
    (once,) = edited("<p>Write &lt;b&gt;bold&lt;/b&gt;</p>")
    assert once == "Write <b>bold</b>"


# fmt: off
PIECES = st.sampled_from([
    "<p>", "</p>", "<div class=nav>", "</div>", "<ul>", "<li>", "<a href=x>", "</a>", "<pre>", "</pre>", "<table>",
    "<td>", "<tr>", "<b", ">", "<!--", "-->", "<script>", "</body>", "<frameset>", "\0", "中文", "words ", "\n", " ",
    '"', "&amp;", "<br>", "<svg>",
])
# fmt: on


@settings(max_examples=100, deadline=None)
@given(text=st.lists(PIECES, max_size=20).map("".join) | st.text(max_size=40))
def test_broken_html_of_any_shape_gives_text_that_stays(text: str) -> None:
    (once,) = edited(text)
    assert isinstance(once, str)
    if "&" not in text and "<" not in once:
        assert edited(once) == [once], "done after one time, but for text that shows tags"


@settings(max_examples=50, deadline=None)
@given(words=st.lists(st.text("abc一二三。, ", min_size=1, max_size=30).filter(str.strip), min_size=1, max_size=5))
def test_an_article_of_any_words_is_the_same_but_for_white_space(words: list[str]) -> None:
    whole = page(f'<div class="menu">{MENU}</div>', *(f"<p>{text}</p>" for text in words), "<footer>© 2024</footer>")
    (text,) = edited(whole)
    assert re.sub(r"\s", "", text) == re.sub(r"\s", "", "".join(words))


def test_a_page_that_nests_deep_does_not_fail() -> None:
    assert edited("<div>" * 3000 + "deep" + "</div>" * 3000) == ["deep"]
