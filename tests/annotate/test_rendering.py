"""Markdown of people and models becomes a closed list of blocks; nothing of it runs or loads."""

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotate.rendering import blocks, html, parsed

TAGS = {
    "p", "h3", "h4", "h5", "h6", "pre", "code", "hr", "blockquote", "ul", "ol", "li", "strong", "em", "br", "a",
}  # fmt: skip
HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](data:text/html,<script>alert(1)</script>)",
    "[x](//evil.example/)",
    "![x](https://evil.example/x.png)",
    '[x](https://a.example/"onmouseover="alert(1))',
    "<a href='javascript:alert(1)'>x</a>",
    "<javascript:alert(1)>",
    "```html\n<script>alert(1)</script>\n```",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "# <svg onload=alert(1)>",
    "> <iframe src=x>",
    "[x]: javascript:alert(1)\n\n[x]",
]


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_markdown_makes_no_element_beyond_the_list(text):
    assert {tag for tag, _ in Tags(html(text)).found} <= TAGS


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_markdown_makes_no_attribute_that_runs_or_loads(text):
    attributes = [item for _, attrs in Tags(html(text)).found for item in attrs.items()]
    assert {name for name, _ in attributes} <= {"href", "rel", "start"}
    assert all(
        str(value).startswith(("http://", "https://", "mailto:")) for name, value in attributes if name == "href"
    )


def test_raw_html_stays_text():
    assert blocks("<b>bold</b>") == [{"type": "paragraph", "spans": [{"type": "text", "text": "<b>bold</b>"}]}]


def test_an_image_is_its_description():
    assert html("![a cat](https://a.example/cat.png)") == "<p>[image: a cat]</p>"


def test_lists_quotes_and_code_keep_their_form():
    assert html("- a\n- b\n\n> c\n\n    d") == (
        "<ul><li><p>a</p></li><li><p>b</p></li></ul><blockquote><p>c</p></blockquote><pre><code>d\n</code></pre>"
    )


def test_a_numbered_list_keeps_its_first_number():
    assert html("3. a\n4. b") == '<ol start="3"><li><p>a</p></li><li><p>b</p></li></ol>'


def test_headings_stand_below_those_of_the_page():
    assert html("# One\n\n###### Six") == "<h3>One</h3><h6>Six</h6>"


def test_a_link_leads_out_without_a_trace():
    assert html("[docs](https://docs.python.org/3/)") == (
        '<p><a href="https://docs.python.org/3/" rel="noopener noreferrer nofollow">docs</a></p>'
    )


def test_an_empty_text_has_no_blocks():
    assert blocks("") == []


@given(
    st.lists(st.sampled_from([*"ab .,:;-+=1()?'é\n\n\t*_`[]<>&!#|~\\\u3000\u2028", "\n\n"]), max_size=12).map("".join)
)
def test_a_text_that_the_parser_does_not_see_becomes_the_same_blocks(text):
    assert blocks(text) == parsed(text)
