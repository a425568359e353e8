"""Expressions that pick a value from JSON: JMESPath (jmespath.org), or a Jinja template where it has {{ or {%.

People write them, and others' payloads go through them, so neither may take the process's time or memory. A
template is read with what it may do, not what it may not: no loops, calls, assignments or multiplication, some
filters, and attributes are only ever keys of the JSON. In JMESPath, what multiplies is bounded. Texts are cut to
MAX_TEXT before and after everything that is done with them.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jinja2
import jmespath
import msgspec
import re2
from jinja2 import nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jmespath.exceptions import JMESPathError
from jmespath.functions import Functions

from .exceptions import InvalidExpression

MAX_EXPRESSION = 1_000
MAX_TEXT = 10_000
MOST_NODES = 100
MAX_PATTERN = 200
# JMESPath: how many times what is there a list of several, [a, b], may make of it, and the longest text in it.
MOST_MULTIPLIED = 16
MAX_LITERAL = 100
MOST_TO_STRING = 2
FUNCTIONS = frozenset(Functions.FUNCTION_TABLE)

ALLOWED_NODES = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.Name,
    nodes.Const,
    nodes.List,
    nodes.Getattr,
    nodes.Getitem,
    nodes.Filter,
    nodes.Test,
    nodes.If,
    nodes.CondExpr,
    nodes.And,
    nodes.Or,
    nodes.Not,
    nodes.Compare,
    nodes.Operand,
    nodes.Concat,
    nodes.Add,
    nodes.Sub,
    nodes.Neg,
    nodes.Keyword,
)
ALLOWED_TESTS = frozenset(
    {
        "defined",
        "undefined",
        "none",
        "string",
        "number",
        "mapping",
        "sequence",
        "boolean",
        "true",
        "false",
        "in",
    }
    | {"eq", "equalto", "==", "ne", "!=", "lt", "<", "le", "<=", "gt", ">", "ge", ">="}
)
KNOWN_NAMES = frozenset({"payload", "whole"})

Expression = Callable[[Any, Any], Any]


def compile_expression(text: str) -> Expression:
    """A function of a payload, and of the whole that it is a part of, to the value that the text picks.

    The value is None or "" when there is nothing. The function raises InvalidExpression when it cannot be done with
    that payload; so does this when the text cannot be read.
    """
    if len(text) > MAX_EXPRESSION:
        raise InvalidExpression(f"An expression may have {MAX_EXPRESSION} characters.")
    return _template(text) if "{{" in text or "{%" in text else _path(text)


def _impossible(fault: Exception) -> InvalidExpression:
    return InvalidExpression(
        f"It cannot be done with this payload: {fault or type(fault).__name__}"[:MAX_PATTERN]
    )


# JMESPath


def _path(text: str) -> Expression:
    try:
        compiled = jmespath.compile(text)
        parts = list(_walk(compiled.parsed))
    except JMESPathError as fault:
        # The message draws the text again, with an arrow under the place.
        words = str(fault).partition(":\n")[0].partition("\n")[0]
        raise InvalidExpression(f"This is not a JMESPath expression: {words}") from None
    except RecursionError:
        raise InvalidExpression("This is nested too deeply.") from None
    _check_path(parts)

    def pick(payload: Any, whole: Any) -> Any:
        try:
            return compiled.search(payload)
        except JMESPathError as fault:
            raise InvalidExpression(str(fault).partition("\n")[0]) from None
        except Exception as fault:  # there is no list of what a payload can do to an expression
            raise _impossible(fault) from None

    return pick


def _walk(part: Any) -> Iterator[dict[str, Any]]:
    yield part
    for child in part.get("children", ()):
        if isinstance(child, dict):
            yield from _walk(child)


def _check_path(parts: list[dict[str, Any]]) -> None:
    if len(parts) > MOST_NODES:
        raise InvalidExpression("This is too long: make it simpler.")
    multiplied = 1
    for part in parts:
        if part["type"] == "function_expression" and part["value"] not in FUNCTIONS:
            raise InvalidExpression(
                f"There is no function “{part['value']}”: use {', '.join(sorted(FUNCTIONS))}."
            )
        if part["type"] in ("multi_select_list", "multi_select_dict"):
            multiplied *= max(1, len(part["children"]))
        if part["type"] == "literal" and len(msgspec.json.encode(part["value"])) > MAX_LITERAL:
            raise InvalidExpression(f"A value in it may have {MAX_LITERAL} characters.")
    if multiplied > MOST_MULTIPLIED:
        raise InvalidExpression("It makes too much of what is there: use fewer lists of several fields.")
    if sum(part.get("value") == "to_string" for part in parts) > MOST_TO_STRING:
        raise InvalidExpression(f"Use to_string at most {MOST_TO_STRING} times.")


# Templates


def _cut(value: Any) -> Any:
    return str(value[:MAX_TEXT]) if isinstance(value, str) else value


def _shown(value: Any) -> str:
    """What a value is in a text: JSON, but for texts and for nothing at all."""
    if value is None or isinstance(value, jinja2.Undefined):
        return ""
    if isinstance(value, str):
        return value[:MAX_TEXT]
    return msgspec.json.encode(value).decode()[:MAX_TEXT]


class _Environment(ImmutableSandboxedEnvironment):
    """Names are looked up in JSON and nowhere else: `payload.items` is the key “items”."""

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, Mapping) and isinstance(argument, str) and argument in obj:
            return _cut(obj[argument])
        if isinstance(obj, list) and isinstance(argument, int) and -len(obj) <= argument < len(obj):
            return _cut(obj[argument])
        return self.undefined(obj=obj, name=argument)

    def getattr(self, obj: Any, attribute: str) -> Any:
        return self.getitem(obj, attribute)


def _pattern(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 512 * 1024
    try:
        return re2.compile(str(pattern)[:MAX_PATTERN], options)
    except re2.error:
        raise ValueError("this is not a pattern of RE2") from None


def _search(value: Any, pattern: str) -> str:
    """The first group of the first match, or all of it."""
    match = _pattern(pattern).search(_shown(value))
    if not match:
        return ""
    return (match.group(1) if match.re.groups else match.group(0)) or ""


def _default(value: Any, other: Any = "", even_if_empty: bool = False) -> Any:
    return (
        other
        if isinstance(value, jinja2.Undefined) or value is None or (even_if_empty and not value)
        else value
    )


def _joined(value: Any, glue: str = "") -> str:
    items = value[:MAX_TEXT] if isinstance(value, list) else [value]
    return str(glue)[:MAX_PATTERN].join(map(_shown, items))


def _end(value: Any, place: int) -> Any:
    if isinstance(value, str | list) and value:
        return value[place]
    return ""


# Jinja's own take more than they should of a hostile payload, and know HTML. These are the ones that people use.
FILTERS: dict[str, Callable[..., Any]] = {
    "abs": lambda value: abs(float(value)),
    "capitalize": lambda value: _shown(value).capitalize(),
    "count": lambda value: len(value) if isinstance(value, str | list | dict) else 0,
    "default": _default,
    "first": lambda value: _end(value, 0),
    "float": lambda value: float(_shown(value) or 0),
    "int": lambda value: int(float(_shown(value) or 0)),
    "join": _joined,
    "last": lambda value: _end(value, -1),
    "lower": lambda value: _shown(value).lower(),
    "regex_replace": lambda value, pattern, by="": _pattern(pattern).sub(
        str(by)[:MAX_PATTERN], _shown(value)
    ),
    "regex_search": _search,
    "replace": lambda value, old, new="": _shown(value).replace(str(old) or "\0", str(new)[:MAX_PATTERN]),
    "round": lambda value: round(float(value)),
    "string": _shown,
    "title": lambda value: _shown(value).title(),
    "tojson": lambda value: msgspec.json.encode(
        None if isinstance(value, jinja2.Undefined) else value
    ).decode(),
    "trim": lambda value: _shown(value).strip(),
    "truncate": lambda value, length=255: _shown(value)[: max(0, int(length))],
    "upper": lambda value: _shown(value).upper(),
}
FILTERS |= {"d": FILTERS["default"], "length": FILTERS["count"]}


def _cutting(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda value, *given: _cut(function(_cut(value), *given))


_environment = _Environment(
    undefined=jinja2.ChainableUndefined,
    finalize=_shown,
    autoescape=False,
    optimized=False,  # or what is constant is worked out when a template is read, and may fail there
)
_environment.globals.clear()
_environment.filters = {name: _cutting(function) for name, function in FILTERS.items()}
_environment.tests = {name: test for name, test in _environment.tests.items() if name in ALLOWED_TESTS}


def _template(text: str) -> Expression:
    try:
        parsed = _environment.parse(text)
        _check_template(parsed)
        template = _environment.from_string(parsed)
    except jinja2.TemplateError as fault:
        raise InvalidExpression(f"This is not a template: {fault.message}") from None
    except RecursionError:
        raise InvalidExpression("This is nested too deeply.") from None

    def pick(payload: Any, whole: Any) -> Any:
        try:
            return template.render(payload=payload, whole=whole).strip()[:MAX_TEXT]
        except Exception as fault:  # there is no list of what a payload can do to a template
            raise _impossible(fault) from None

    return pick


def _check_template(parsed: nodes.Template) -> None:
    """Raises InvalidExpression for what is not in the list of what is allowed."""
    waiting: list[nodes.Node] = [parsed]
    for count, node in enumerate(_each(waiting)):
        if count > MOST_NODES:
            raise InvalidExpression("This is too long: make it simpler.")
        if not isinstance(node, ALLOWED_NODES):
            raise InvalidExpression(f"“{type(node).__name__.lower()}” cannot be used here.")
        if isinstance(node, nodes.Name) and node.name not in KNOWN_NAMES:
            raise InvalidExpression(f"There is no “{node.name}”: use payload, or whole.")
        if isinstance(node, nodes.Filter) and node.name not in FILTERS:
            raise InvalidExpression(f"There is no filter “{node.name}”: use {', '.join(sorted(FILTERS))}.")
        if isinstance(node, nodes.Test) and node.name not in ALLOWED_TESTS:
            raise InvalidExpression(f"There is no test “{node.name}” here.")
        if isinstance(node, nodes.Filter | nodes.Test) and (node.kwargs or node.dyn_args or node.dyn_kwargs):
            raise InvalidExpression(f"Give “{node.name}” its values without names.")


def _each(waiting: list[nodes.Node]) -> Iterator[nodes.Node]:
    while waiting:
        node = waiting.pop()
        yield node
        waiting += node.iter_child_nodes()
