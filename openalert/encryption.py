"""Secrets at rest: model fields whose column holds a Fernet token (AES-128-CBC and HMAC-SHA256) instead of the value.

The keys are ENCRYPTION_KEYS: the first one encrypts, all of them decrypt. A column may also hold what was written before
it was encrypted: that is read as it is, and `manage.py rotate_encryption` encrypts it.

A value is decrypted when it is used, not when its row is loaded: a row whose secret cannot be read any more is still
listed, changed and saved, and only what needs the secret fails.
"""

import dataclasses
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.apps import apps
from django.conf import settings
from django.db import connection, models, transaction
from django.db.models.query_utils import DeferredAttribute

from openalert.exceptions import OpenAlertError

# What an encrypted value begins with in its column; everything else was written before there was encryption.
PREFIX = "fernet:"
BATCH = 500


class SecretUnreadable(OpenAlertError):
    """What is stored was encrypted with a key that ENCRYPTION_KEYS does not name, or was tampered with.

    503, not 4xx: senders try again, and succeed once the key is back.
    """

    code = "secret_unreadable"
    detail = "A stored secret cannot be read: its encryption key is not among ENCRYPTION_KEYS."
    status = HTTPStatus.SERVICE_UNAVAILABLE


@lru_cache(maxsize=8)
def _ciphers(keys: tuple[str, ...]) -> tuple[Fernet, MultiFernet]:
    ciphers = [Fernet(key) for key in keys]
    return ciphers[0], MultiFernet(ciphers)


def encrypt(text: str) -> str:
    """`text` with the first key, as it is stored. Twice the same text gives two different values."""
    newest, _ = _ciphers(tuple(settings.ENCRYPTION_KEYS))
    return PREFIX + newest.encrypt(text.encode()).decode()


def decrypt(stored: str) -> str:
    """What was encrypted with any of the keys; what is not encrypted as it is. Raises SecretUnreadable."""
    if not stored.startswith(PREFIX):
        return stored
    _, any_key = _ciphers(tuple(settings.ENCRYPTION_KEYS))
    try:
        return any_key.decrypt(stored.removeprefix(PREFIX).encode()).decode()
    except InvalidToken as error:
        raise SecretUnreadable from error


def is_current(stored: str) -> bool:
    """Whether it is encrypted with the first key."""
    newest, _ = _ciphers(tuple(settings.ENCRYPTION_KEYS))
    try:
        newest.decrypt(stored.removeprefix(PREFIX).encode())
    except InvalidToken:
        return False
    return stored.startswith(PREFIX)


@dataclass(frozen=True)
class Sealed:
    """A column's value that nobody has asked for yet. `values()` and `values_list()` give it, too."""

    stored: str
    is_json: bool = False

    def open(self) -> Any:
        """Raises SecretUnreadable."""
        text = decrypt(self.stored)
        return json.loads(text) if self.is_json else text


class OpenedWhenUsed(DeferredAttribute):
    """The attribute of an encrypted field: decrypts when it is read, once."""

    def __get__(self, instance: models.Model | None, cls: type | None = None) -> Any:
        if instance is None:
            return self
        value = instance.__dict__.get(self.field.attname, self)
        if value is self:  # it was deferred
            value = super().__get__(instance, cls)
        if isinstance(value, Sealed):
            value = instance.__dict__[self.field.attname] = value.open()
        return value

    def __set__(self, instance: models.Model, value: Any) -> None:
        instance.__dict__[self.field.attname] = value


class EncryptedField(models.Field):
    """What both kinds have in common. The database can tell whether there is a value, and nothing else about it."""

    descriptor_class = OpenedWhenUsed
    is_json = False

    def get_lookup(self, lookup_name: str) -> Any:
        return super().get_lookup(lookup_name) if lookup_name == "isnull" else None

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        # What nobody has read goes back as it is: it need not be readable for its row to be saved.
        return model_instance.__dict__.get(self.attname)


class EncryptedCharField(EncryptedField, models.CharField):
    """Text of at most `max_length` characters before it is encrypted; "" is stored as "". The column is `text`."""

    def db_type(self, connection: Any) -> str:
        return "text"

    def from_db_value(self, value: str | None, *_: Any) -> Sealed | str | None:
        return Sealed(value) if value else value

    def get_prep_value(self, value: Any) -> Any:
        if isinstance(value, Sealed):
            return value.stored
        value = super().get_prep_value(value)
        return encrypt(value) if value else value


class EncryptedJSONField(EncryptedField, models.JSONField):
    """JSON, whose column (`jsonb`) holds a string: the encrypted document. An empty value is stored as it is."""

    def from_db_value(self, value: Any, *arguments: Any) -> Any:
        value = super().from_db_value(value, *arguments)  # type: ignore[misc]
        return Sealed(value, is_json=True) if isinstance(value, str) and value.startswith(PREFIX) else value

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        if isinstance(value, Sealed):
            value = value.stored
        elif value:
            value = encrypt(json.dumps(value, cls=self.encoder))
        return super().get_db_prep_value(value, connection, prepared)


def encrypted_fields(model: type[models.Model]) -> list[EncryptedField]:
    return [field for field in model._meta.local_concrete_fields if isinstance(field, EncryptedField)]


def encrypted_models() -> list[type[models.Model]]:
    return [model for model in apps.get_models() if encrypted_fields(model)]


@dataclass
class Rotation:
    """What became of the secrets of one field. `unreadable` names the rows whose secrets stay as they are."""

    field: str
    written: int = 0
    current: int = 0
    unreadable: list[str] = dataclasses.field(default_factory=list)


def rotate(*, to_plain: bool = False, dry: bool = False) -> list[Rotation]:
    """Encrypt with the first key what is not: what an older key encrypted, and what was never encrypted.

    `to_plain` decrypts instead, for going back to a release without encryption; `dry` only counts. Each batch is a
    transaction of its own; it may be stopped at any time, repeated, and run by several at once.
    """
    results = []
    for model in encrypted_models():
        for column in encrypted_fields(model):
            result = Rotation(f"{model._meta.label}.{column.name}")
            _rotate_field(model, column, result, to_plain=to_plain, dry=dry)
            results.append(result)
    return results


def _rotate_field(
    model: type[models.Model], column: EncryptedField, result: Rotation, *, to_plain: bool, dry: bool
) -> None:
    table, key, name = (f'"{part}"' for part in (model._meta.db_table, model._meta.pk.column, column.column))
    is_json = isinstance(column, models.JSONField)
    stored = f"{name} #>> '{{}}'" if is_json else name  # of a JSON string, what stands in it
    select = (
        f"SELECT {key}, {stored} FROM {table} WHERE {stored} <> '' AND (%(last)s IS NULL OR {key} > %(last)s) "  # noqa: S608
        f"ORDER BY {key} LIMIT {BATCH} {'' if dry else 'FOR NO KEY UPDATE'}"
    )
    value = ("%s::jsonb" if to_plain else "to_jsonb(%s::text)") if is_json else "%s"
    update = f"UPDATE {table} SET {name} = {value} WHERE {key} = %s"  # noqa: S608
    last = None
    while True:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(select, {"last": last})
            rows: list[tuple[Any, str]] = cursor.fetchall()
            changes = list(_changes(rows, result, is_json=is_json, to_plain=to_plain))
            if changes and not dry:
                cursor.executemany(update, changes)
        if len(rows) < BATCH:
            return
        last = rows[-1][0]


def _changes(
    rows: Iterable[tuple[Any, str]], result: Rotation, *, is_json: bool, to_plain: bool
) -> Iterator[tuple[str, Any]]:
    """The new values with the rows' ids, of rows that are not as they should be."""
    for pk, stored in rows:
        is_empty = is_json and not stored.startswith(PREFIX) and not json.loads(stored)
        if is_empty or (not stored.startswith(PREFIX) if to_plain else is_current(stored)):
            result.current += not is_empty
            continue
        try:
            plain = decrypt(stored)
        except SecretUnreadable:
            result.unreadable.append(str(pk))
            continue
        result.written += 1
        yield (plain if to_plain else encrypt(plain)), pk
