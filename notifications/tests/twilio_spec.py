"""Twilio's own OpenAPI description of its API: are these the requests that it takes?"""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from .provider import Answer, Taken, as_json

ROOT = Path(__file__).resolve().parent.parent.parent
FILE = Path("shared/provider-specs/twilio_api_v2010.json")
FORMATS = FormatChecker([])


@FORMATS.checks("uri")
def is_uri(value: Any) -> bool:
    # “URLs must contain a valid hostname (underscores are not permitted)”
    url = urlsplit(str(value))
    return url.scheme in ("http", "https") and bool(url.hostname) and "_" not in (url.hostname or "")


@FORMATS.checks("phone-number")
def is_phone_number(value: Any) -> bool:
    return re.fullmatch(r"\+[1-9]\d{6,14}", str(value)) is not None


@FORMATS.checks("http-method")
def is_http_method(value: Any) -> bool:
    return value in ("GET", "POST")


@cache
def spec() -> dict[str, Any]:
    found = next((parent / FILE for parent in ROOT.parents if (parent / FILE).exists()), None)
    if found is None:
        pytest.skip(f"{FILE} is not beside the project")
    return json.loads(found.read_text())


def operation(taken: Taken) -> dict[str, Any]:
    for path, described in spec()["paths"].items():
        found = re.fullmatch(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path), taken.path)
        if found and taken.method.lower() in described:
            made = described[taken.method.lower()]
            for parameter in made.get("parameters", ()):
                if parameter["in"] == "path":
                    value = found[parameter["name"]]
                    assert not faults(parameter["schema"], value), f"{parameter['name']}: {value}"
            return made
    raise AssertionError(f"Twilio has no {taken.method} {taken.path}")


def faults(schema: dict[str, Any], value: Any) -> list[str]:
    whole = {**schema, "components": spec()["components"]}
    return [fault.message for fault in Draft202012Validator(whole, format_checker=FORMATS).iter_errors(value)]


def typed(schema: dict[str, Any], values: list[str]) -> Any:
    """A form's values as what the description says they are."""
    if schema.get("type") == "array":
        return values
    assert len(values) == 1, f"given {len(values)} times"
    [text] = values
    if schema.get("type") in ("integer", "number"):
        return float(text) if schema["type"] == "number" else int(text)
    return {"true": True, "false": False}[text] if schema.get("type") == "boolean" else text


def check(taken: Taken) -> None:
    """Fails when Twilio would not take the request."""
    content = operation(taken)["requestBody"]["content"]
    assert list(content) == [taken.headers["Content-Type"]] == ["application/x-www-form-urlencoded"]
    schema = content["application/x-www-form-urlencoded"]["schema"]
    unknown = taken.form.keys() - schema["properties"].keys()
    assert not unknown, f"Twilio knows no {unknown}"
    values = {name: typed(schema["properties"][name], given) for name, given in taken.form.items()}
    assert not faults(schema, values)


def answer(taken: Taken, **changes: Any) -> Answer:
    """Twilio's own example of an answer to this request, with what was asked for in it."""
    check(taken)
    described = operation(taken)["responses"]["201"]["content"]["application/json"]
    example = next(iter(described["examples"].values()))["value"]
    body = {**example, "to": taken.fields["To"], **changes}
    return as_json(body, 201)
