"""What people write, as HTML that is safe to show: CommonMark with tables, strikethrough and bare links.

No raw HTML, images (they would tell a stranger who reads) or headings (a note is no chapter of the page). What the parser
leaves is cleaned by nh3 again.
"""

import nh3
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt

TAGS = {"p", "br", "strong", "em", "s", "code", "pre", "blockquote", "ul", "ol", "li", "a", "hr"}
TABLES = {"table", "thead", "tbody", "tr", "th", "td"}
HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
SCHEMES = {"http", "https", "mailto"}

_parser = (
    MarkdownIt("commonmark", {"html": False, "linkify": True, "breaks": True})
    .enable(["table", "strikethrough", "linkify"])
    .disable(["image", "heading", "lheading", "html_block", "html_inline"])
)
# A document of its own has chapters; they stand below the page's heading.
_document_parser = (
    MarkdownIt("commonmark", {"html": False, "linkify": True, "breaks": True})
    .enable(["table", "strikethrough", "linkify"])
    .disable(["image", "html_block", "html_inline"])
)


def as_html(text: str) -> SafeString:
    return _clean(_parser.render(text), TAGS | TABLES)


def as_document(text: str) -> SafeString:
    """With headings, one level further down each."""
    tokens = _document_parser.parse(text)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + 1)}"
    html = _document_parser.renderer.render(tokens, _document_parser.options, {})
    return _clean(html, TAGS | TABLES | HEADINGS)


def _clean(html: str, tags: set[str]) -> SafeString:
    html = nh3.clean(
        html,
        tags=tags,
        attributes={"a": {"href", "title"}, "ol": {"start"}},
        url_schemes=SCHEMES,
        link_rel="noopener noreferrer nofollow",
    )
    return mark_safe(html)  # noqa: S308  # nh3 has cleaned it
