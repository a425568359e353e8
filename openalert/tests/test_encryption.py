"""Secrets at rest: what stands in the columns, who can read it, and how keys are changed."""

import re
from io import StringIO

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import FieldError
from django.core.management import CommandError, call_command
from django.db import connection

from alerts.models import Integration
from alerts.tests.factories import IntegrationFactory
from notifications.models import ContactMethod, Webhook
from notifications.tests.factories import ContactMethodFactory, WebhookFactory
from openalert import encryption
from openalert.encryption import SecretUnreadable
from teams.models import Calendar
from teams.tests.factories import CalendarFactory, ScheduleFactory

pytestmark = pytest.mark.django_db

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()
KEYS = {"p256dh": "BPub", "auth": "s3cret-auth"}


def stored(model, name):
    column = model._meta.get_field(name).column
    with connection.cursor() as cursor:
        cursor.execute(f'SELECT "{column}"::text FROM "{model._meta.db_table}"')
        [(value,)] = cursor.fetchall()
    return value


def rotate(*arguments):
    out = StringIO()
    call_command("rotate_encryption", *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def secrets(settings):
    settings.ENCRYPTION_KEYS = [OLD]
    IntegrationFactory(secret="s3cret-of-grafana")
    WebhookFactory(
        url="https://hooks.slack.com/services/s3cret", secret="whsec_s3cret", previous_secret="s3cret-before"
    )
    CalendarFactory(schedule=ScheduleFactory(), url="https://calendar.example.org/s3cret/basic.ics")
    ContactMethodFactory(keys=KEYS)
    return {
        (Integration, "secret"): "s3cret-of-grafana",
        (Webhook, "url"): "https://hooks.slack.com/services/s3cret",
        (Webhook, "secret"): "whsec_s3cret",
        (Webhook, "previous_secret"): "s3cret-before",
        (Calendar, "url"): "https://calendar.example.org/s3cret/basic.ics",
        (ContactMethod, "keys"): KEYS,
    }


def readable(secrets):
    return {place: getattr(place[0].objects.get(), place[1]) for place in secrets}


def test_secrets_are_encrypted_in_their_columns(secrets):
    fields = {
        (model, field.name)
        for model in encryption.encrypted_models()
        for field in encryption.encrypted_fields(model)
    }
    assert set(secrets) <= fields
    for model, name in secrets:
        assert re.fullmatch(r'"?fernet:[\w=-]{100,}"?', stored(model, name)), (model, name)
    assert readable(secrets) == secrets


def test_a_copy_of_the_database_without_the_key_gives_no_secret_and_nothing_else_breaks(secrets, settings):
    settings.ENCRYPTION_KEYS = [NEW]
    integration = Integration.objects.get()
    with pytest.raises(SecretUnreadable):
        _ = integration.secret
    before = stored(Integration, "secret")
    integration.name = "Another name"
    integration.save()
    assert (Integration.objects.get().name, stored(Integration, "secret")) == ("Another name", before)
    integration.secret = "entered anew"
    integration.save()
    assert Integration.objects.get().secret == "entered anew"


def test_keys_are_rotated_and_the_old_one_may_go(secrets, settings):
    settings.ENCRYPTION_KEYS = [NEW, OLD]
    assert readable(secrets) == secrets
    assert "alerts.Integration.secret: 1 to be written, 0 as they should be" in rotate("--check")
    assert "alerts.Integration.secret: 1 written, 0 as they should be" in rotate()
    assert "alerts.Integration.secret: 0 written, 1 as they should be" in rotate()
    settings.ENCRYPTION_KEYS = [NEW]
    assert readable(secrets) == secrets


def test_rotation_goes_on_behind_its_batches(settings, monkeypatch):
    monkeypatch.setattr(encryption, "BATCH", 2)
    settings.ENCRYPTION_KEYS = [OLD]
    IntegrationFactory.create_batch(5, secret="s")
    settings.ENCRYPTION_KEYS = [NEW, OLD]
    assert "alerts.Integration.secret: 5 written" in rotate()


def test_rotation_names_what_it_cannot_read_and_leaves_it(secrets, settings):
    settings.ENCRYPTION_KEYS = [NEW]
    before = stored(Webhook, "secret")
    out = StringIO()
    with pytest.raises(CommandError, match="6 cannot be read"):
        call_command("rotate_encryption", stdout=out)
    assert f"cannot be read: {Webhook.objects.get().pk}" in out.getvalue()
    assert stored(Webhook, "secret") == before


def test_values_from_before_are_read_then_encrypted_and_can_go_back(secrets):
    rotate("--decrypt")
    assert stored(Integration, "secret") == "s3cret-of-grafana"
    assert stored(ContactMethod, "keys") == '{"auth": "s3cret-auth", "p256dh": "BPub"}'
    assert readable(secrets) == secrets
    rotate()
    assert "s3cret" not in "".join(stored(*place) for place in secrets)
    assert readable(secrets) == secrets


def test_what_is_empty_stays_empty(settings):
    IntegrationFactory(secret="")
    ContactMethodFactory()
    rotate()
    assert (stored(Integration, "secret"), stored(ContactMethod, "keys")) == ("", "{}")
    assert (Integration.objects.get().secret, ContactMethod.objects.get().keys) == ("", {})


def test_the_database_cannot_be_asked_for_a_secret(secrets):
    with pytest.raises(FieldError):
        Webhook.objects.filter(secret="whsec_s3cret").exists()
    [sealed] = Webhook.objects.values_list("secret", flat=True)
    assert "s3cret" not in str(sealed) and sealed.open() == "whsec_s3cret"


def test_tampering_is_noticed(secrets):
    sealed = stored(Integration, "secret")
    Integration.objects.update(
        secret=encryption.Sealed(sealed[:-5] + ("A" if sealed[-5] != "A" else "B") + sealed[-4:])
    )
    with pytest.raises(SecretUnreadable):
        _ = Integration.objects.get().secret


def test_deferred_and_refreshed(secrets):
    hook = Webhook.objects.defer("secret").get()
    assert hook.secret == "whsec_s3cret"
    Webhook.objects.update(secret="whsec_other")
    hook.refresh_from_db()
    assert hook.secret == "whsec_other"
