"""Every source that can be chosen has a text that says what to do."""

import pytest
from django.test import override_settings

from alerts.enums import Source
from alerts.formats import FORMATS
from alerts.forms import IntegrationForm
from alerts.models import Integration
from alerts.set_up import address_of, set_up_text
from teams.models import Service

KEY = "0123456789abcdef0123456789abcdef"


@override_settings(SITE_URL="https://alerts.example.org", INTAKE_MAIL_DOMAIN="in.example.org")
@pytest.mark.parametrize("source", sorted(FORMATS))
def test_each_source_is_told_its_address(source):
    text = set_up_text(Integration(source=source), KEY)
    address = address_of(source, KEY)
    assert KEY in text
    assert address.rstrip("/") in text or source == Source.PROMETHEUS


@override_settings(SITE_URL="https://alerts.example.org")
def test_prometheus_is_told_host_scheme_and_prefix_apart():
    text = set_up_text(Integration(source=Source.PROMETHEUS), KEY)
    assert "scheme: https\n" in text
    assert f"path_prefix: /integrations/prometheus/{KEY}\n" in text
    assert 'targets: ["alerts.example.org"]' in text


def test_only_what_is_understood_can_be_chosen():
    chosen = [value for value, _ in IntegrationForm(service=Service()).fields["source"].choices]
    assert sorted(chosen) == sorted(FORMATS)
