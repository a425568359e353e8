"""A mail as it comes over the wire (RFC 5322, MIME), taken apart: its headers, its words, its attachments' names.

Nothing in a mail is refused. What is broken is read as well as it can be: a monitoring system cannot be asked
to write its mail again.
"""

import base64
import binascii
import html
import quopri
import re
from collections.abc import Iterator, Mapping
from email import message_from_bytes
from email.message import Message
from email.parser import BytesHeaderParser
from typing import Any

MOST_HEADERS = 100
LONGEST_HEADER = 2_000
LONGEST_TEXT = 50_000
LONGEST_HTML = 100_000
MOST_ATTACHMENTS = 50
LONGEST_NAME = 255

# RFC 2047 §2, with RFC 2231's language.
ENCODED_WORD = re.compile(r"=\?([^?*\s]+)(?:\*[^?]*)?\?([bq])\?([^?]*)\?=", re.IGNORECASE)

TAG = re.compile(r"<!--|<(/?)([a-z][a-z0-9]*)|<[!?]", re.IGNORECASE)
LINK = re.compile(r"""\shref\s*=\s*["']?(https?://[^\s"'<>]+)""", re.IGNORECASE)
SILENT = frozenset({"head", "script", "style", "template", "title"})
INLINE = frozenset(
    {
        "a",
        "abbr",
        "b",
        "code",
        "em",
        "font",
        "i",
        "img",
        "mark",
        "s",
        "small",
        "span",
        "strong",
        "sub",
        "sup",
        "u",
    }
)


def decode(body: bytes, headers: Mapping[str, str]) -> dict[str, Any]:
    """What `email.read` reads: {"headers": [[name, value], …], "text": …, "attachments": [name, …]}.

    Names of headers are lower-case, their order is kept. The text is the mail's plain one, or its HTML's words.
    `headers` are of the HTTP request and not used.
    """
    try:
        message = message_from_bytes(body)
        text, names = _contents(message)
    except Exception:
        # The library has failed on broken mail in many ways, and deep nesting is more than it can stand.
        message = BytesHeaderParser().parsebytes(body)
        text, names = text_of(body.partition(b"\r\n\r\n")[2] or body.partition(b"\n\n")[2], ""), []
    return mail(message, text, names)


def mail(message: "Message[str, str]", text: str, attachments: list[str]) -> dict[str, Any]:
    """A mail of the headers of `message`; the rest is as given."""
    pairs = list(message.raw_items())[:MOST_HEADERS]
    return {
        "headers": [[clean(str(name)).lower(), header_text(str(value))] for name, value in pairs],
        "text": clean("\n".join(text[:LONGEST_TEXT].splitlines())).strip(),
        "attachments": [clean(name)[:LONGEST_NAME] for name in attachments[:MOST_ATTACHMENTS]],
    }


def clean(text: str) -> str:
    """Without what PostgreSQL cannot store: U+0000, and halves of surrogate pairs."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def text_of(data: bytes, charset: str) -> str:
    """In the charset that is said, or else the one that fits."""
    for name in (charset, "utf-8"):
        try:
            return data.decode(name)
        except (LookupError, ValueError):
            continue
    return data.decode("cp1252", "replace")


def header_text(raw: str) -> str:
    """A header's value on one line, its encoded words decoded; `raw` is as the library's parser leaves it."""
    value = text_of(raw[:LONGEST_HEADER].encode("utf-8", "surrogateescape"), "")
    found: list[str] = []
    data, charset, end = b"", "", 0
    for word in ENCODED_WORD.finditer(value):
        between = value[end : word.start()]
        # White space between two encoded words is not there (§6.2); a character may be cut by such a seam.
        if between.strip() or not data or word[1].lower() != charset:
            found += [text_of(data, charset), "" if data and not between.strip() else between]
            data, charset = b"", word[1].lower()
        data += _word(word[2], word[3])
        end = word.end()
    found += [text_of(data, charset), value[end:]]
    return " ".join(clean("".join(found)).split())


def _word(encoding: str, given: str) -> bytes:
    data = given.encode()
    if encoding in "qQ":
        return quopri.decodestring(data, header=True)
    try:
        return base64.b64decode(data + b"===")
    except binascii.Error:
        return data


def _contents(message: "Message[str, str]") -> tuple[str, list[str]]:
    """The words of a mail and the names of what is attached."""
    plain, marked_up = "", ""
    names: list[str] = []
    for part in message.walk():
        if part.is_multipart():
            continue
        name = file_name(part)
        if name is not None or part.get_content_disposition() == "attachment":
            names.append(name or part.get_content_type())
        elif part.get_content_type() == "text/html":
            marked_up = marked_up or _part_text(part)
        elif part.get_content_maintype() in ("text", "multipart"):  # the latter without its parts
            plain = plain or _part_text(part).strip()
    return plain or words_of_html(marked_up), names


def file_name(part: "Message[str, str]") -> str | None:
    """The name of a file; None for a part that is none."""
    for field, value in list(part.raw_items()):
        # The library gives up on bytes beyond ASCII, which browsers and old mailers put into names.
        if field.lower() in ("content-disposition", "content-type") and not str(value).isascii():
            part.replace_header(field, text_of(str(value).encode("utf-8", "surrogateescape"), ""))
    name = part.get_filename()
    return None if name is None else header_text(name)


def _part_text(part: "Message[str, str]") -> str:
    data = part.get_payload(decode=True)
    return text_of(data, part.get_content_charset("")) if isinstance(data, bytes) else ""


def words_of_html(source: str) -> str:
    """What a person would read, a line for each block, with the addresses of links.

    A small scanner, as the library's parser takes seconds for hostile mail.
    """
    found: list[str] = []
    source, link, end = source[:LONGEST_HTML], "", 0
    while tag := TAG.search(source, end):
        found.append(source[end : tag.start()])
        name = (tag[2] or "").lower()
        until = "-->" if tag[0] == "<!--" else ">"
        end = source.find(until, tag.end()) + len(until)
        if end < len(until):  # it is never closed
            break
        if name in SILENT and not tag[1]:
            closing = re.compile(f"</{name}", re.IGNORECASE).search(source, end)
            end = closing.start() if closing else len(source)
        elif name == "a":
            if link and link not in found[-1]:
                found.append(f" &lt;{link}&gt;")
            address = LINK.search(source, tag.end(), end)
            link = address[1] if address and not tag[1] else ""
        if name and name not in INLINE:
            found.append(" " if name in ("td", "th") else "\n")
    else:
        found.append(source[end:])
    # A line break of the source is a space; those that were put in are pieces of their own.
    text = "".join(piece if piece == "\n" else re.sub(r"\s+", " ", piece) for piece in found)
    lines = (" ".join(line.split()) for line in html.unescape(text).splitlines())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def header_values(pairs: Any) -> Iterator[tuple[str, str]]:
    """The headers of a decoded mail, whatever stands in their place."""
    for pair in pairs if isinstance(pairs, list) else ():
        if isinstance(pair, list) and len(pair) == 2 and all(isinstance(part, str) for part in pair):
            yield pair[0].lower(), pair[1]
