"""Payloads as pages show them: laid out when they are JSON, and no more of them than a person reads."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from .samples import Sample

# Of each payload; JSON becomes longer when it is laid out.
MOST_SHOWN = 40_000
LONGEST_BEGINNING = 200
# JSON that is nested deeper is shown as it came: laying it out could make megabytes of indentation.
DEEPEST = 24
# A line of JSON as msgspec lays it out, the key as it is written.
LINE = re.compile(r'(?P<indent> *)(?:(?P<key>"(?:[^"\\]|\\.)*"): )?(?P<rest>.*)', re.DOTALL)
# JMESPath: what needs no quotes.
PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Payload(NamedTuple):
    """A sample as a page shows it, with its beginning in one line; `is_cut` when there was more."""

    sample: Sample
    beginning: str
    text: str
    is_cut: bool
    is_laid_out: bool


def payload_of(sample: Sample) -> Payload:
    laid_out = _laid_out(sample.body)
    text = laid_out or sample.body.decode("utf-8", "replace")
    is_cut = sample.is_cut or len(text) > MOST_SHOWN
    return Payload(sample, beginning_of(sample), text[:MOST_SHOWN], is_cut, laid_out is not None)


def beginning_of(sample: Sample) -> str:
    """In one line."""
    return " ".join(sample.body.decode("utf-8", "replace")[:LONGEST_BEGINNING].split())


def _laid_out(body: bytes) -> str | None:
    """JSON with indentation, its numbers and the order of its keys as they were; None for what is none."""
    try:
        if not body or _is_deeper(msgspec.json.decode(body), DEEPEST):
            return None
        return msgspec.json.format(body, indent=2).decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _is_deeper(value: Any, levels: int) -> bool:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return bool(children) and (not levels or any(_is_deeper(child, levels - 1) for child in children))


def with_paths(payload: Payload) -> SafeString:
    """The text as HTML, each key a button that knows its JMESPath, from the top of the payload."""
    if not payload.is_laid_out:
        return format_html("{}", payload.text)
    return format_html_join("\n", "{}{}{}", _lines(payload.text))


def _lines(text: str) -> Iterator[tuple[str, SafeString | str, str]]:
    """Each line as its indentation, its key and the rest; the last may be cut anywhere."""
    path: list[str] = []  # of the objects and lists that are open, an element each
    places: list[int | None] = []  # of the next element, None in an object
    # Not splitlines(), which knows breaks that JSON's texts may have.
    for line in text.split("\n"):
        indent, key, rest = LINE.fullmatch(line).group("indent", "key", "rest")  # type: ignore[union-attr]
        if rest[:1] in ("}", "]") and places:
            places.pop()
            path.pop()
        step = ""
        if key:
            name = key[1:-1]
            step = name if PLAIN.fullmatch(name) else key
        elif places and places[-1] is not None and rest[:1] not in ("}", "]"):
            step, places[-1] = f"[{places[-1]}]", places[-1] + 1
        if key:
            words = '<button class="json-key" type="button" data-path="{}">{}</button>: '
            yield indent, format_html(words, joined([*path, step]), key), rest
        else:
            yield indent, "", rest
        if rest in ("{", "["):
            path.append(step)
            places.append(0 if rest == "[" else None)


def joined(steps: list[str]) -> str:
    """A JMESPath of its steps, like ["a", "[0]", "b"]; empty ones are left out."""
    path = ""
    for step in steps:
        path += step if not path or not step or step.startswith("[") else f".{step}"
    return path
