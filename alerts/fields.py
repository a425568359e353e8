"""What an integration for any JSON picks from a payload, and for which field of an alert.

Kept in `Integration.settings["fields"]`. Whatever is left empty is found by the names that such things usually have
(`alerts.formats.generic`).
"""

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from incidents.enums import Severity
from openalert.words import listed

from .events import find_nul
from .exceptions import InvalidExpression
from .expressions import MAX_EXPRESSION, Expression, compile_expression

MOST_LABELS = 20
MOST_WORDS = 50
MAX_WORD = 100

ExpressionText = Annotated[str, Meta(max_length=MAX_EXPRESSION)]
Word = Annotated[str, Meta(min_length=1, max_length=MAX_WORD)]
Words = Annotated[list[Word], Meta(max_length=MOST_WORDS)]

# Those that are one expression each, in the order of the form.
PICKED = ("title", "dedup_key", "status", "severity", "name", "source", "description", "link")

WORDS = {"each": "alerts", "dedup_key": "dedup key"}


class Fields(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, dict=True
):
    """Expressions by field; "" leaves a field to its usual names.

    `each` picks a list: each of its elements is an alert, and the others' `payload`. `resolved` and `acknowledged` are
    values of the status that stand for them, instead of the usual words; `severities` says what values of the severity
    stand for, before the usual words. Upper and lower case are the same.
    """

    each: ExpressionText = ""
    title: ExpressionText = ""
    dedup_key: ExpressionText = ""
    status: ExpressionText = ""
    resolved: Words = []
    acknowledged: Words = []
    severity: ExpressionText = ""
    severities: Annotated[dict[Word, Severity], Meta(max_length=MOST_WORDS)] = {}
    name: ExpressionText = ""
    source: ExpressionText = ""
    labels: Annotated[
        dict[Word, Annotated[ExpressionText, Meta(min_length=1)]], Meta(max_length=MOST_LABELS)
    ] = {}
    description: ExpressionText = ""
    link: ExpressionText = ""

    @cached_property
    def compiled(self) -> dict[str, Expression]:
        """By field, “each” and “labels.<name>”; only those that are given. Raises InvalidExpression."""
        given = {name: getattr(self, name) for name in ("each", *PICKED)}
        given |= {f"labels.{name}": text for name, text in self.labels.items()}
        return {name: _compiled(text.strip(), name) for name, text in given.items() if text.strip()}


NO_FIELDS = Fields()


def read_fields(value: Any) -> Fields:
    """Raises InvalidExpression; its field is like “title”, “severities” or “labels.host”."""
    try:
        fields = msgspec.convert(value, Fields)
        if find_nul(msgspec.json.decode(msgspec.json.encode(fields))):
            raise InvalidExpression("U+0000 cannot be stored.")
    except UnicodeEncodeError:
        raise InvalidExpression("Half a pair of surrogates is no character.") from None
    except msgspec.ValidationError as fault:
        # “Expected `str`, got `int` - at `$.labels[...]`”
        words, _, place = str(fault).partition(" - at `")
        name = re.search(r"\$\.(\w+)", place)
        raise InvalidExpression(f"{words}.", field=name[1] if name else None) from None
    assert fields.compiled is not None  # now, so that faults are known before it is saved
    return fields


def stored_fields(settings: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """An integration's fields, only what is given, and what is wrong with them: they may be older than this code.

    Of those that are wrong, texts are returned, to be put right.
    """
    stored = settings.get("fields", {})
    try:
        return as_stored(read_fields(stored)), ""
    except InvalidExpression as fault:
        given = stored if isinstance(stored, dict) else {}
        texts = {name: given[name] for name in ("each", *PICKED) if isinstance(given.get(name), str)}
        return texts, f"{fault.field}: {fault.detail}" if fault.field else fault.detail


def picked_in_words(settings: Mapping[str, Any]) -> str:
    """What an integration's fields pick, for people, like “title, severity and labels”; "" when that is nothing."""
    stored, fault = stored_fields(settings)
    # Lists and values say how what is picked is understood.
    names = [name for name in ("each", *PICKED, "labels") if stored.get(name)] if not fault else []
    return listed([WORDS.get(name, name) for name in names])


def as_stored(fields: Fields) -> dict[str, Any]:
    """For `Integration.settings["fields"]`: only what is given."""
    return msgspec.to_builtins(fields)


def _compiled(text: str, name: str) -> Expression:
    try:
        return compile_expression(text)
    except InvalidExpression as fault:
        raise InvalidExpression(fault.detail, field=name) from None
