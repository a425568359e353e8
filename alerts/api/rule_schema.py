"""The shapes of rules and fields in the OpenAPI document, from the structs that read them."""

import inspect
from typing import Any

import msgspec

from alerts.fields import Fields
from alerts.rules import ACTIONS, CONDITIONS
from incidents.enums import Severity

PREFIX = "Rule"


def _of_ours(type_: type) -> dict[str, Any]:
    if type_ is Severity:
        return {"$ref": "#/components/schemas/Severity"}
    raise NotImplementedError(type_)


def _described(schema: dict[str, Any]) -> dict[str, Any]:
    if "description" in schema:
        schema["description"] = inspect.cleandoc(schema["description"])
    return schema


(CONDITIONS_SCHEMA, ACTIONS_SCHEMA), _components = msgspec.json.schema_components(
    [CONDITIONS, ACTIONS], schema_hook=_of_ours, ref_template=f"#/components/schemas/{PREFIX}{{name}}"
)
COMPONENTS = {f"{PREFIX}{name}": _described(schema) for name, schema in _components.items()}

(FIELDS_SCHEMA,), _components = msgspec.json.schema_components(
    [Fields], schema_hook=_of_ours, ref_template="#/components/schemas/Integration{name}"
)
COMPONENTS |= {f"Integration{name}": _described(schema) for name, schema in _components.items()}
