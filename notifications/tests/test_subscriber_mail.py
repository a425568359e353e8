"""Status updates reach those who want them, each once, and nobody else."""

import pytest
from django.urls import reverse
from django.utils import timezone

from incidents import status_updates, subscriptions
from incidents.enums import UpdateState
from incidents.exceptions import TooManyAsked
from incidents.models import Stakeholder, Subscription
from incidents.tests.factories import IncidentFactory
from incidents.timeline import Actor, sentence
from notifications import subscriber_mail
from notifications.enums import NotificationStatus
from notifications.models import SubscriberMail
from openalert.tests.pages import Pages
from teams.tests.cast import Cast
from teams.tests.factories import ServiceFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def cast():
    cast = Cast()
    cast.service = ServiceFactory(team=cast.team, name="Checkout")
    return cast


@pytest.fixture
def pages(cast):
    return Pages(cast)


@pytest.fixture
def incident(cast):
    return IncidentFactory(service=cast.service, title="Disk full")


@pytest.fixture
def actor(cast):
    return Actor.person(cast.responder, via="web")


def told(incident):
    return [sentence(entry) for entry in incident.timeline.all()]


def subscribe(incident, address):
    return subscriptions.subscribe_address(address=address, incident=incident)


def publish(incident, actor, text="We look at it."):
    return status_updates.publish(
        incident_id=incident.pk, state=UpdateState.IDENTIFIED, text=text, actor=actor
    )


def test_nobody_gets_mail_before_they_have_agreed(client, incident, actor, mailoutbox):
    subscribe(incident, "Boss@Example.org")
    subscribe(incident, "boss@example.org")
    publish(incident, actor)
    subscriber_mail.deliver_due()
    [question] = mailoutbox
    assert question.to == ["boss@example.org"]
    path = next(line for line in question.body.splitlines() if "/subscriptions/confirm/" in line)
    path = path[path.index("/subscriptions/") :]
    assert client.get(path).status_code == 200  # a scanner looks at it
    assert Stakeholder.objects.get().confirmed_at is None
    assert "You get updates" in client.post(path).text
    publish(incident, actor, "It is **mended**.")
    for _ in range(2):
        subscriber_mail.deliver_due()
    [_, update] = mailoutbox
    assert update.subject == "Identified: Checkout: Disk full"
    assert "It is **mended**." in update.body and "<strong>mended</strong>" in update.alternatives[0].content
    assert incident.get_absolute_url() not in update.body  # they have no account
    assert client.post(path.replace("confirm/", "confirm/x")).status_code == 404


def test_one_click_in_a_mail_program_ends_it(client, incident, actor, mailoutbox):
    subscribe(incident, "boss@example.org")
    Stakeholder.objects.update(confirmed_at=timezone.now())
    publish(incident, actor)
    subscriber_mail.deliver_due()
    headers = mailoutbox[-1].extra_headers
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    path = headers["List-Unsubscribe"].strip("<>")
    path = path[path.index("/subscriptions/") :]
    client.handler.enforce_csrf_checks = True
    assert client.get(path).status_code == 200 and Subscription.objects.count() == 1
    publish(incident, actor)  # is on its way when they click
    for _ in range(2):
        assert client.post(path, {"List-Unsubscribe": "One-Click"}).status_code == 200
    sent = len(mailoutbox)
    subscriber_mail.deliver_due()
    assert not Subscription.objects.exists() and len(mailoutbox) == sent
    assert SubscriberMail.objects.filter(status=NotificationStatus.CANCELLED).count() == 2  # the question too
    client.post(path, {"everything": "1"})
    assert Stakeholder.objects.get().confirmed_at is None


def test_an_address_is_not_flooded_with_questions(clock, incident):
    for _ in range(3):
        subscribe(incident, "boss@example.org")
        clock.advance(hours=2)
    with pytest.raises(TooManyAsked):
        subscribe(incident, "boss@example.org")
    assert SubscriberMail.objects.count() == 3
    clock.advance(days=31)
    subscribe(incident, "boss@example.org")
    assert SubscriberMail.objects.count() == 4


def test_updates_go_to_those_who_still_see_the_incident_each_once(cast, incident, actor):
    for user in (cast.observer, cast.outsider):
        subscriptions.subscribe_user(user=user, incident=incident)
    subscriptions.subscribe_user(user=cast.observer, service=incident.service)
    assert [recipient.user_id for recipient in subscriptions.recipients_of(incident)] == [cast.observer.pk]
    update = publish(incident, actor)
    subscriber_mail.tell_of_updates([update])  # asked twice
    assert [mail.address for mail in SubscriberMail.objects.all()] == [cast.observer.email]
    assert told(incident) == ["Rui Responder told subscribers: Identified"]


def test_mail_is_tried_again_and_what_a_dead_sender_had_is_taken_over(
    clock, cast, incident, actor, mailoutbox, monkeypatch
):
    subscriptions.subscribe_user(user=cast.observer, incident=incident)
    publish(incident, actor)

    def broken(letter):
        raise subscriber_mail.DeliveryError("no mail server took it")

    with monkeypatch.context() as patch:
        patch.setattr(subscriber_mail, "send_mail", broken)
        assert subscriber_mail.deliver_due() == 1
    mail = SubscriberMail.objects.get()
    assert (mail.status, mail.last_error) == (NotificationStatus.PENDING, "no mail server took it")
    clock.advance(minutes=1)
    # A sender takes it and dies.
    assert subscriber_mail._claim(timezone.now()) == mail
    assert subscriber_mail.deliver_due() == 0
    clock.advance(minutes=3)
    assert subscriber_mail.deliver_due() == 1 and len(mailoutbox) == 1
    publish(incident, actor)
    clock.advance(hours=7)
    assert subscriber_mail.deliver_due() == 0
    assert SubscriberMail.objects.filter(status=NotificationStatus.DEAD).count() == 1


def test_the_panel_and_who_may_use_it(cast, pages, incident):
    publish_path = reverse("incident-publish", args=[incident.number])
    given = {"state": "monitoring", "text": "It is well again."}
    assert pages.statuses("post", publish_path, given) == pages.answers(302, 302, 403, 404)
    subscribers = reverse("incident-subscribers", args=[incident.number])
    assert pages.statuses("post", subscribers, {"address": "a@example.org"}) == pages.answers(
        302, 302, 403, 404
    )
    mine = reverse("incident-subscribe", args=[incident.number])
    assert pages.statuses("post", mine, {"on": "1"}) == pages.answers(302, 302, 302, 404)
    pages.client("responder").post(publish_path, given)
    pages.client("observer").post(mine, {"on": "1"})
    page = pages.text("observer", reverse("incident-updates", args=[incident.number]))
    assert "It is well again." in page and "1 subscribed" in page and "Do not tell me" in page
    pages.client("observer").post(mine, {"on": "0"})
    assert not Subscription.objects.exists()


def test_an_update_that_is_sent_twice_goes_out_once(cast, pages, incident):
    subscriptions.subscribe_user(user=cast.observer, incident=incident)
    path = reverse("incident-publish", args=[incident.number])
    client, htmx = pages.client("responder"), {"HX-Request": "true"}
    dialog = client.get(path, headers=htmx)
    given = {"state": "monitoring", "text": "Better.", "once_key": dialog.context["once_key"]}
    for _ in range(2):
        assert client.post(path, given, headers=htmx).status_code == 204
    assert SubscriberMail.objects.count() == 1


def test_forgotten_means_that_nothing_is_left(incident):
    subscription = subscribe(incident, "boss@example.org")
    assert subscriptions.forget([subscription.stakeholder_id]) == 1
    assert not Subscription.objects.exists() and not SubscriberMail.objects.exists()
