"""A client for the REST API that holds every answer against the OpenAPI document."""

import re
from datetime import datetime
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from drf_spectacular.generators import SchemaGenerator
from jsonschema import Draft202012Validator, FormatChecker
from rest_framework.test import APIClient

FORMATS = FormatChecker(["uuid", "email"])


@FORMATS.checks("uri")
def is_uri(value: Any) -> bool:
    return not isinstance(value, str) or bool(urlsplit(value).scheme)


@FORMATS.checks("date-time", raises=ValueError)
def is_instant(value: Any) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


@cache
def document() -> dict[str, Any]:
    return SchemaGenerator().get_schema(request=None, public=True)


@cache
def patterns() -> list[tuple[re.Pattern[str], str]]:
    """Each path of the document as a pattern; those without parameters first."""
    paths = sorted(document()["paths"], key=lambda path: path.count("{"))
    return [(re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), path) for path in paths]


@cache
def validator(method: str, path: str, status: int) -> Draft202012Validator | None:
    """For the body of an answer; None when the document describes none. Fails on undocumented operations."""
    operation = document()["paths"][path].get(method.lower())
    if operation is None:
        assert status in (401, 405), f"{method} {path} is not in the document"
        return None
    responses = operation["responses"]
    assert status >= 400 or str(status) in responses, f"{method} {path} answers {status}"
    content = (responses.get(str(status)) or responses["default"]).get("content")
    if content is None:
        return None
    schema = {**content["application/json"]["schema"], "components": document()["components"]}
    return Draft202012Validator(schema, format_checker=FORMATS)


def check(method: str, path: str, response: Any) -> None:
    """Fails when the document has no such operation, or another answer for it."""
    known = next(known for pattern, known in patterns() if pattern.fullmatch(path))
    body = validator(method, known, response.status_code)
    if body is None:
        return
    assert response.headers["Content-Type"] == "application/json"
    faults = [f"{fault.json_path}: {fault.message}" for fault in body.iter_errors(response.json())]
    assert not faults, f"{method} {path} → {response.status_code}: {faults}"


class DocumentedClient(APIClient):
    def generic(self, method: str, path: str, *args: Any, **kwargs: Any) -> Any:
        response = super().generic(method, path, *args, **kwargs)
        path = path.partition("?")[0].removeprefix("http://testserver")
        if path.startswith("/api/v1/") and getattr(response, "resolver_match", None):
            check(method, path, response)
        return response
