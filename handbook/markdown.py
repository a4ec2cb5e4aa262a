"""Markdown to HTML: tables, heading anchors, highlighted code, and links that lead to pages of the site."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup, escape
from pygments import highlight
from pygments.formatters.html import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

_ID = re.compile(r"\b[A-Z]{2,6}-\d{2}\b")
_SCROLL = '<div class="scroll" tabindex="0" role="region" aria-label="Table {}"><table>'
_TEXT = ("text", "code_inline", "softbreak")
_ALIASES = {"sh": "bash", "http": "http"}


@dataclass(frozen=True)
class Heading:
    level: int
    text: str
    anchor: str


@dataclass(frozen=True)
class Rendered:
    """``title`` is the text of the first heading, which ``html`` leaves out."""

    title: str
    html: Markup
    headings: Sequence[Heading]
    about: str


def render_markdown(text: str, link: Callable[[str], str], ids: Mapping[str, str]) -> Rendered:
    """``link`` turns a target as written into one that is right on the page; ``ids`` are the paths of requirements,
    which are linked wherever they are named."""
    tokens = _parser().parse(text)
    title, first = "", ""
    headings: list[Heading] = []
    kept: list[Token] = []
    for index, token in enumerate(tokens):
        following = tokens[index + 1] if index + 1 < len(tokens) else None
        if token.type == "heading_open" and following is not None:
            plain = _plain(following)
            if token.tag == "h1" and not title:
                title = plain
            anchor = _anchor(plain, headings)
            token.attrSet("id", anchor)
            headings.append(Heading(int(token.tag[1]), plain, anchor))
        if token.type == "paragraph_open" and not first and following is not None:
            first = _plain(following)
        kept.append(token)
    if title:
        kept = kept[3:] if kept and kept[0].tag == "h1" else kept
    for token in _inline(kept):
        token.children = list(_linked(token.children or [], link, ids))
    html = _parser().renderer.render(kept, _parser().options, {})
    # A wide table scrolls by itself, so that the page does not.
    numbers = count(1)
    html = re.sub("<table>", lambda _: _SCROLL.format(next(numbers)), html)
    html = html.replace("</table>", "</table></div>")
    return Rendered(title, Markup(html), [h for h in headings if h.level in (2, 3)], first)  # noqa: S704 - from our own files, raw HTML is off


def code(source: str, language: str) -> Markup:
    """Highlighted source; plain where the language is unknown."""
    try:
        lexer = get_lexer_by_name(_ALIASES.get(language, language or "text"))
    except ClassNotFound:
        lexer = get_lexer_by_name("text")
    inner = highlight(source, lexer, HtmlFormatter(nowrap=True))
    return Markup('<pre class="code" tabindex="0"><code>{}</code></pre>').format(Markup(inner))  # noqa: S704 - Pygments escapes


def anchor_of(text: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", text.lower()).strip().replace(" ", "-")


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    parser.add_render_rule("fence", lambda _, tokens, index, *__: str(_fence(tokens[index])))
    return parser


def _fence(token: Token) -> Markup:
    words = token.info.split()
    return code(token.content, words[0] if words else "text")


def _plain(token: Token) -> str:
    """The text alone; a line break in the source is a space."""
    parts = (" " if c.type == "softbreak" else c.content for c in token.children or [] if c.type in _TEXT)
    return "".join(parts)


def _anchor(text: str, known: Sequence[Heading]) -> str:
    wanted = anchor_of(text)
    taken = {h.anchor for h in known}
    number = 0
    found = wanted
    while found in taken:
        number += 1
        found = f"{wanted}-{number}"
    return found


def _inline(tokens: Sequence[Token]) -> Iterator[Token]:
    return (t for t in tokens if t.type == "inline")


def _linked(children: Sequence[Token], link: Callable[[str], str], ids: Mapping[str, str]) -> Iterator[Token]:
    inside = False
    for child in children:
        if child.type == "link_open":
            inside = True
            child.attrSet("href", link(str(child.attrGet("href"))))
        elif child.type == "image":
            child.attrSet("src", link(str(child.attrGet("src"))))
        elif child.type == "link_close":
            inside = False
        if inside or child.type not in ("text", "code_inline") or not _ID.search(child.content):
            yield child
        elif child.type == "code_inline":
            target = ids.get(child.content)
            yield (
                child
                if target is None
                else _html(
                    Markup('<a href="{}"><code>{}</code></a>').format(link("site:" + target), child.content)
                )
            )
        else:
            yield _html(_with_ids(child.content, link, ids))


def _with_ids(text: str, link: Callable[[str], str], ids: Mapping[str, str]) -> Markup:
    parts, at = [], 0
    for match in _ID.finditer(text):
        if match[0] in ids:
            parts.append(escape(text[at : match.start()]))
            parts.append(Markup('<a href="{}">{}</a>').format(link("site:" + ids[match[0]]), match[0]))
            at = match.end()
    return Markup("").join([*parts, escape(text[at:])])


def _html(markup: Markup) -> Token:
    token = Token("html_inline", "", 0)
    token.content = str(markup)
    return token


def resolve(source: str, target: str) -> str:
    """A link as it stands in the file ``source``, as a path of the repository."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
