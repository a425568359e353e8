"""What people write, as HTML that is safe to show: CommonMark with tables, strikethrough and bare links.

No raw HTML, images (they would tell a stranger who reads) or headings (a note is no chapter of the page). What the parser
leaves is cleaned by nh3 again.
"""

import nh3
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt

TAGS = {"p", "br", "strong", "em", "s", "code", "pre", "blockquote", "ul", "ol", "li", "a", "hr"}
TABLES = {"table", "thead", "tbody", "tr", "th", "td"}
SCHEMES = {"http", "https", "mailto"}

_parser = (
    MarkdownIt("commonmark", {"html": False, "linkify": True, "breaks": True})
    .enable(["table", "strikethrough", "linkify"])
    .disable(["image", "heading", "lheading", "html_block", "html_inline"])
)


def as_html(text: str) -> SafeString:
    html = nh3.clean(
        _parser.render(text),
        tags=TAGS | TABLES,
        attributes={"a": {"href", "title"}, "ol": {"start"}},
        url_schemes=SCHEMES,
        link_rel="noopener noreferrer nofollow",
    )
    return mark_safe(html)  # noqa: S308  # nh3 has cleaned it
