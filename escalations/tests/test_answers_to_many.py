"""One answer to a bundle of five hundred: in time for Slack, all of it, and told as it was."""

import time

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from escalations.enums import RunStatus
from escalations.models import EscalationRun
from escalations.tests.factories import RunFactory
from incidents import lifecycle
from incidents.enums import Kind, Severity, Status
from incidents.models import Incident, TimelineEntry
from incidents.tests.factories import IncidentFactory
from incidents.timeline import SYSTEM, Actor
from notifications import replies
from notifications.enums import Action, Channel, NotificationStatus, ReplyOutcome
from notifications.models import DeliveryAttempt, Notification, WebhookDelivery
from notifications.tests.factories import ContactMethodFactory, NotificationFactory, WebhookFactory
from openalert.ids import uuid7
from teams.tests.factories import MembershipFactory, ServiceFactory, UserFactory

pytestmark = pytest.mark.django_db
# Our own share of it: how long the database takes hangs on what else this machine does, so its queries are counted.
SLACKS_PATIENCE_SECONDS = 3.0
LARGEST = 500


@pytest.fixture
def ana():
    return UserFactory(name="Ana Ruiz")


@pytest.fixture
def service(ana):
    service = ServiceFactory()
    MembershipFactory(team=service.team, user=ana)
    return service


def bundle(ana, service, count, *, channel=Channel.SLACK, address="U024BE7LH"):
    """So many incidents, whose pages went to Ana in one message; the first of the pages."""
    method = ContactMethodFactory(user=ana, channel=channel, address=address)
    made = Incident.objects.bulk_create(
        IncidentFactory.build_batch(count, service=service, severity=Severity.HIGH)
    )
    incidents = list(Incident.objects.filter(pk__in=[one.pk for one in made]).order_by("pk"))
    request_id = uuid7()
    pages = Notification.objects.bulk_create(
        NotificationFactory.build(
            user=ana,
            incident=incident,
            contact_method=method,
            status=NotificationStatus.SENT,
            bundle_size=count,
            request_id=request_id,
        )
        for incident in incidents
    )
    DeliveryAttempt.objects.bulk_create(
        DeliveryAttempt(
            notification=page, number=1, request_id=request_id, account="slack", started_at=page.sent_at
        )
        for page in pages
    )
    return incidents, pages[0]


def press(page, user, key="trigger-1"):
    reply, _ = replies.take_action(
        channel=Channel.SLACK,
        key=key,
        sender=page.address,
        notification_id=page.pk,
        action=Action.ACKNOWLEDGE,
        user=user,
    )
    return reply


def by_sms(text, sender="+14155552671", key="SM1"):
    return replies.take_text(channel=Channel.SMS, key=key, sender=sender, text=text)


def waiting(incidents):
    return Incident.objects.filter(pk__in=[i.pk for i in incidents], status=Status.OPEN).count()


def test_a_button_for_five_hundred_is_done_in_time_for_slack(ana, service):
    incidents, page = bundle(ana, service, LARGEST)
    for incident in Incident.objects.filter(pk__in=[i.pk for i in incidents[:20]]):
        RunFactory(incident=incident, priority=Severity(incident.severity).rank)
    WebhookFactory(team=service.team)
    started = time.thread_time()
    reply = press(page, ana)
    assert time.thread_time() - started < SLACKS_PATIENCE_SECONDS
    assert (reply.outcome, reply.answer) == (ReplyOutcome.DONE, "500 incidents acknowledged by you.")
    assert waiting(incidents) == 0
    told = TimelineEntry.objects.filter(kind=Kind.ACKNOWLEDGED, actor=ana, via="slack")
    assert told.values("incident").distinct().count() == LARGEST
    assert WebhookDelivery.objects.count() == LARGEST
    assert not EscalationRun.objects.filter(status=RunStatus.RUNNING).exists()
    assert press(page, ana).answer == reply.answer, "what Slack sends again is answered by what was kept"
    assert press(page, ana, key="trigger-2").answer == "500 were acknowledged or resolved already."


def test_an_answer_to_many_takes_the_queries_of_one(ana, service):
    counts = []
    for count, address in ((2, "U024BE7L2"), (40, "U024BE740")):
        _, page = bundle(ana, service, count, address=address)
        with CaptureQueriesContext(connection) as queries:
            press(page, ana, key=f"trigger-{count}")
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_each_of_many_is_judged_by_itself(ana, service):
    """What is done already, by whom ever, stays as it is; what is not Ana's to answer is refused."""
    bo = UserFactory(name="Bo Lind")
    incidents, page = bundle(ana, service, 5)
    lifecycle.acknowledge(incident_id=incidents[0].pk, actor=Actor.person(bo, via="web"))
    lifecycle.resolve(incident_id=incidents[1].pk, actor=SYSTEM)
    reply = press(page, ana)
    assert reply.answer == "3 incidents acknowledged by you. 2 were acknowledged or resolved already."
    assert Incident.objects.get(pk=incidents[0].pk).acknowledged_by == bo
    stranger = press(page, UserFactory(), key="trigger-2")
    assert (stranger.outcome, stranger.answer) == (
        ReplyOutcome.REFUSED,
        "5 could not be acknowledged by you.",
    )


def test_all_by_sms_means_all_however_many_pages_each_had(ana, service, monkeypatch):
    monkeypatch.setattr(replies, "MOST_MEANT", 25)
    incidents, page = bundle(ana, service, 30, channel=Channel.SMS, address="+14155552671")
    for incident in incidents[:4]:
        NotificationFactory.create_batch(
            10,
            user=ana,
            incident=incident,
            contact_method=page.contact_method,
            status=NotificationStatus.SENT,
        )
    reply = by_sms("A ALL")
    assert reply.answer == "25 incidents acknowledged by you. More wait: reply A ALL again."
    assert waiting(incidents) == 5
    assert by_sms("A ALL", key="SM2").answer == "5 incidents acknowledged by you."
    assert waiting(incidents) == 0
