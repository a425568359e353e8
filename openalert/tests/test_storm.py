"""Many alerts of one failure at once, through the running stack."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from alerts.models import Alert
from alerts.tests.factories import IntegrationFactory
from escalations.tests.factories import PolicyFactory, RoutingRuleFactory
from incidents.models import Incident
from notifications.enums import Channel, NotificationStatus
from notifications.models import MailboxMessage, Notification
from openalert.tests.stack import eventually
from teams.tests.factories import UserFactory

CLIENTS, ALERTS_EACH, KEYS = 20, 25, 10


@pytest.mark.timeout(120)
def test_500_alerts_by_20_clients_make_one_incident_and_one_page(stack):
    integration = IntegrationFactory(grouping="all")
    team = integration.service.team
    RoutingRuleFactory(team=team, policy=PolicyFactory(team=team, levels=[[UserFactory(name="ana")]]))

    def client(number):
        with httpx.Client(headers={"Authorization": f"Bearer {integration.key}"}) as session:
            return [
                session.post(
                    f"{stack.url}/api/v1/alerts",
                    json={"external_id": f"db-{(number + turn) % KEYS}", "title": "Database is down"},
                ).status_code
                for turn in range(ALERTS_EACH)
            ]

    with ThreadPoolExecutor(CLIENTS) as pool:
        answers = [status for statuses in pool.map(client, range(CLIENTS)) for status in statuses]

    assert answers == [202] * (CLIENTS * ALERTS_EACH)
    incident = Incident.objects.get()
    assert sorted(Alert.objects.values_list("dedup_key", "count")) == [
        (f"db-{n}", CLIENTS * ALERTS_EACH // KEYS) for n in range(KEYS)
    ]
    assert set(Alert.objects.values_list("incident", flat=True)) == {incident.pk}

    def pages():
        return Notification.objects.filter(channel=Channel.EMAIL, status=NotificationStatus.SENT)

    eventually(pages, within=10, what="the page was sent")
    assert pages().get().user.name == "ana"
    assert MailboxMessage.objects.get().subject == f"[HIGH] #{incident.number} Database is down"
