"""The base of serializers that write models."""

import copy
from typing import Any

from django.core.exceptions import ValidationError as DjangoValidationError
from django.db.models import BaseConstraint, DateTimeField, Model, UniqueConstraint
from django.db.models.functions import Lower
from rest_framework import serializers
from rest_framework.fields import get_error_detail

from .fields import InstantField


class ModelSerializer(serializers.ModelSerializer):
    """Applies the model's own rules (`clean`, validators, constraints) before anything is written.

    A broken unique constraint is an error of the field that people would change, in words.
    """

    serializer_field_mapping = {
        **serializers.ModelSerializer.serializer_field_mapping,
        DateTimeField: InstantField,
    }

    def server_values(self) -> dict[str, Any]:
        """Values of model fields that the input has no say in, such as the person who asks."""
        return {}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs = {**super().validate(attrs), **self.server_values()}
        candidate = copy.copy(self.instance) if self.instance else self.Meta.model()
        columns = {field.name for field in candidate._meta.concrete_fields}
        for name in columns & attrs.keys():
            setattr(candidate, name, attrs[name])
        written = {name for name, field in self.fields.items() if not field.read_only and name in columns}
        written |= columns & attrs.keys()
        check(candidate, excluded=columns - written)
        # What `clean` put right is what gets written.
        return attrs | {name: getattr(candidate, name) for name in written}

    # DRF would make validators of its own from the constraints, with words of its own.

    def get_unique_together_validators(self) -> list[Any]:
        return []

    def get_uniqueness_extra_kwargs(
        self, field_names: Any, declared_fields: Any, extra_kwargs: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        return extra_kwargs, {}


class Whole:
    """For nested serializers: each is written as a whole, even when what it is part of is patched."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        values = super().to_internal_value(data)
        missing = [
            field for field in self._writable_fields if field.required and field.field_name not in data
        ]
        if missing:
            raise serializers.ValidationError(
                {field.field_name: [field.error_messages["required"]] for field in missing}, "required"
            )
        return values


def check(candidate: Model, *, excluded: set[str]) -> None:
    """Raises DRF's ValidationError when the model forbids what `candidate` is about to become."""
    try:
        candidate.full_clean(exclude=excluded, validate_constraints=False)
    except DjangoValidationError as error:
        raise serializers.ValidationError(get_error_detail(error)) from error
    for constraint in candidate._meta.constraints:
        try:
            constraint.validate(type(candidate), candidate, exclude=excluded)
        except DjangoValidationError as error:
            raise serializers.ValidationError(broken(constraint, candidate)) from error


def broken(constraint: BaseConstraint, candidate: Model) -> dict[str, list[serializers.ErrorDetail]]:
    if not isinstance(constraint, UniqueConstraint):
        return {"non_field_errors": [serializers.ErrorDetail("These values do not go together.", "invalid")]}
    # The owner stands first among the fields; among expressions, what people type is in lower case.
    field = constraint.fields[-1] if constraint.fields else typed_field(constraint)
    words = f"There is such a {candidate._meta.verbose_name} already."
    return {field: [serializers.ErrorDetail(words, "unique")]}


def typed_field(constraint: UniqueConstraint) -> str:
    return next(
        inner.name
        for expression in constraint.expressions
        if isinstance(expression, Lower)
        for inner in expression.get_source_expressions()
    )
