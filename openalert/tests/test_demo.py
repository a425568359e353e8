"""The demo: whole, harmless, written once."""

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from alerts.models import Alert, Integration
from escalations.enums import RunStatus
from escalations.models import EscalationRun
from escalations.routing import policy_for
from escalations.snapshot import of_policy
from escalations.targets import Targets
from incidents.enums import Severity, Status
from incidents.models import Incident
from incidents.timeline import sentence
from notifications.enums import UNFINISHED
from notifications.models import Notification
from openalert import demo
from teams.models import Team, User


@pytest.fixture
def seeded(clock, db):
    assert demo.seed()


def test_it_is_written_once(seeded):
    before = [model.objects.count() for model in (User, Team, Incident, Alert, Notification)]
    assert before[:2] == [6, 2]
    assert demo.seed() is False
    assert [model.objects.count() for model in (User, Team, Incident, Alert, Notification)] == before


def test_it_pages_nobody(seeded):
    assert not Notification.objects.filter(status__in=UNFINISHED).exists()
    assert not EscalationRun.objects.filter(status=RunStatus.RUNNING).exists()
    assert not Incident.objects.filter(status=Status.OPEN).exists()


def test_accounts_can_sign_in(seeded, client):
    for account in demo.demo_sign_ins():
        assert client.login(username=account.email, password=account.password)


def test_printed_keys_are_the_integrations_keys(seeded):
    [curl] = [line for line in demo.first_steps() if "curl" in line]
    for name in (demo.FIRST_INTEGRATION, demo.SECOND_INTEGRATION):
        key = demo.integration_key(name)
        assert Integration.objects.get(name=name).key_hash == Integration.hash_key(key)
        assert any(key in line for line in demo.first_steps())
    assert demo.integration_key(demo.FIRST_INTEGRATION) in curl


@pytest.mark.parametrize("days", [0, 5, 40, 200])
def test_first_alert_pages_the_first_sign_in_whenever_the_demo_runs(seeded, clock, days):
    clock.advance(days=days)
    service = Integration.objects.get(name=demo.FIRST_INTEGRATION).service
    snapshot = of_policy(policy_for(service=service, severity=Severity.CRITICAL))
    people = [Targets([snapshot]).people(step, at=timezone.now()) for step in snapshot["steps"]]
    assert [user.email for user in people[0]] == [demo.demo_sign_ins()[0].email]
    assert people[1]
    assert people[1] != people[0]
    assert {step["delay_seconds"] for step in snapshot["steps"]} == {60}


def test_every_story_can_be_told(seeded):
    for incident in Incident.objects.all():
        assert all(sentence(entry) for entry in incident.timeline.all())
        instants = [entry.at for entry in incident.timeline.order_by("at", "pk")]
        assert instants[0] == incident.opened_at


def test_it_asks_before_it_makes_known_passwords_elsewhere(db, settings):
    settings.EMBEDDED = False
    with pytest.raises(CommandError, match="--force"):
        call_command("seed_demo")
    call_command("seed_demo", "--force")
    assert User.objects.count() == 6
